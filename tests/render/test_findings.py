"""Findings as text, JSON, SARIF 2.1.0 and GitHub annotations."""

import json
from pathlib import Path

import jsonschema
import pytest

from torchskip.graph import Graph, Source
from torchskip.lint.finding import Edit, Finding, Mend, Step, Way
from torchskip.lint.registry import RULES
from torchskip.lint.report import Ran, Report
from torchskip.render.findings_json import as_json
from torchskip.render.findings_text import renderable, text
from torchskip.render.github import commands
from torchskip.render.sarif import sarif

HERE = Path(__file__).parent
LINE = Source("/work/net/model.py", 7, "Net.forward", "return x + y, 100 %")


def report(**kwargs):
    finding = Finding(
        "TS101",
        "shape-mismatch",
        "error",
        "cannot add:\n50 % of it",
        "net.0",
        LINE,
        Source("/work/net/model.py", 9, "Net.forward"),
        (Way("branch", (1, 3), (Step("relu", "net.0", (1, 4), LINE), Step("add", "", (1, 5))), 0),),
        (Mend("set padding", (Edit("net.0", "padding", (1, 1)),), verified=True),),
        also=("net.1",),
    )
    nowhere = Finding("TS301", "activation-before-add", "note", "only a note", "")
    graph = Graph("Net", (), (), (), ())
    return Report("Net", (finding, nowhere), graph, (), (Ran("evaluation", "2 operations"),), 1)


def test_text(monkeypatch):
    monkeypatch.chdir("/")
    assert text(report()) == (
        "error TS101 shape-mismatch  'net.0', 'net.1'\n"
        "  work/net/model.py:7  return x + y, 100 %\n"
        "  work/net/model.py:9  (the join)\n"
        "  cannot add:�50 % of it\n"
        "    branch   (1, 3)\n"
        "        1. relu 'net.0'                                 (1, 4)  <- parts here\n"
        "        2. add                                          (1, 5)\n"
        "  mend: set padding  [applied and run: works]\n"
        "\n"
        "note TS301 activation-before-add\n"
        "  only a note\n"
        "\n"
        "Net: 0 skip connections, 1 error, 1 note, 1 hidden by comments"
    )
    assert renderable(report()).plain == text(report())


def test_a_long_arm_shows_its_ends_and_where_it_parts():
    steps = tuple(Step("relu", str(i), (1, i)) for i in range(40))
    finding = Finding("TS101", "n", "error", "m", "", arms=(Way("branch", (1, 0), steps, 20),))
    shown = text(Report("Net", (finding,), Graph("Net", (), (), (), ()), ()))
    numbers = [int(line.split(".")[0]) for line in shown.splitlines() if line.strip()[:1].isdigit()]
    assert numbers == [1, 2, 3, 4, 19, 20, 21, 22, 23, 38, 39, 40]
    assert "..." in shown


def test_json():
    record = json.loads(as_json((report(),)))
    assert record["schema"] == "torchskip-check-1"
    (only,) = record["reports"]
    assert only["totals"] == {"error": 1, "warning": 0, "note": 1}
    assert only["findings"][0]["mends"][0]["edits"] == [
        {"module": "net.0", "setting": "padding", "value": [1, 1]}
    ]
    assert only["ran"] == [{"name": "evaluation", "outcome": "2 operations"}]


def test_sarif_is_valid():
    log = json.loads(sarif((report(), report()), RULES, Path("/work")))
    schema = json.loads((HERE / "sarif-schema-2.1.0.json").read_text())
    jsonschema.Draft202012Validator(schema).validate(log)
    (run,) = log["runs"]
    first = run["results"][0]
    place = first["locations"][0]["physicalLocation"]
    assert place["artifactLocation"] == {"uri": "net/model.py", "uriBaseId": "ROOT"}
    assert place["region"]["startLine"] == 7
    assert run["tool"]["driver"]["rules"][first["ruleIndex"]]["id"] == "TS101"
    assert first["relatedLocations"][0]["physicalLocation"]["region"]["startLine"] == 9
    assert [r["level"] for r in run["results"]] == ["error", "note"] * 2


def test_an_invalid_sarif_is_refused():
    """The schema can fail: a level that SARIF does not know."""
    log = json.loads(sarif((report(),), RULES))
    log["runs"][0]["results"][0]["level"] = "fatal"
    schema = json.loads((HERE / "sarif-schema-2.1.0.json").read_text())
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(schema).validate(log)


def test_github():
    assert commands((report(),), Path("/work")) == (
        "::error file=net/model.py,line=7,title=TS101 shape-mismatch::cannot add:%0A50 %25 of it"
        "%0Amend: set padding\n"
        "::notice title=TS301 activation-before-add::only a note"
    )
