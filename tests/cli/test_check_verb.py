"""``torchskip check``, ``rule`` and ``rules``: output, exit codes, bad input."""

import json

import pytest

from torchskip.cli import main
from torchskip.lint import check as lint_check

TUTORIAL = """
import torch
from torch import nn

class SkipConnection(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv_layer1 = nn.Conv2d(3, 6, 2, stride=2, padding=2)
        self.relu = nn.ReLU(inplace=True)
        self.conv_layer2 = nn.Conv2d(6, 3, 2, stride=2, padding=2)
        self.relu2 = nn.ReLU(inplace=True)

    def forward(self, input):
        x = self.conv_layer1(input)
        x = self.relu(x)
        x = self.conv_layer2(x)
        out2 = self.relu2(x)
        return input + out2

model = SkipConnection()
input = torch.rand((1, 3, 32, 32))
print("Output shape:", model(input).shape)
"""

CLEAN = """
from torch import nn
print("loud")

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Conv2d(3, 3, 3, padding=1)

    def forward(self, x):
        print("louder")
        return x + self.a(x)

class Needs(nn.Module):
    def __init__(self, width):
        super().__init__()
"""


LEAVES = """
import sys
from torch import nn

class Leaves(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Conv2d(3, 3, 3, padding=1)

    def forward(self, x):
        sys.exit(1)
"""


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tutorial.py").write_text(TUTORIAL)
    (tmp_path / "clean.py").write_text(CLEAN)
    (tmp_path / "broken.py").write_text("import nothing_of_this_name\n")
    (tmp_path / "leaves.py").write_text(LEAVES)
    (tmp_path / "raises.py").write_text("from torch import nn\nclass N(nn.Linear):\n    pass\n")
    return tmp_path


def test_the_tutorials_own_code_is_explained(files, capsys):
    assert main(["check", "tutorial.py", "--verify-mends"]) == 1
    out = capsys.readouterr().out
    assert out.splitlines()[:9] == [
        "error TS101 shape-mismatch",
        "  tutorial.py:18  return input + out2",
        "  cannot add branch (1, 3, 11, 11) and shortcut (1, 3, 32, 32): 11 against 32 on axis 2, "
        "11 against 32 on axis 3; the branch parts at step 1, convolution 'conv_layer1': "
        "(1, 3, 32, 32) to (1, 6, 18, 18)",
        "    branch   (1, 3, 32, 32)",
        "        1. convolution 'conv_layer1'                    (1, 6, 18, 18)  <- parts here",
        "        2. relu 'relu'                                  (1, 6, 18, 18)",
        "        3. convolution 'conv_layer2'                    (1, 3, 11, 11)",
        "        4. relu 'relu2'                                 (1, 3, 11, 11)",
        "    shortcut (1, 3, 32, 32)",
    ]
    assert out.count("[applied and run: works]") == 3


def test_clean_models_are_clean_and_their_prints_do_not_mix_in(files, capsys):
    assert main(["check", "clean.py", "--format", "json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["reports"][0]["model"] == "Net"
    assert "loud" in err
    assert "not checked: Needs: its constructor needs arguments (width)" in err


def test_fail_on_and_settings(files, capsys):
    assert main(["check", "tutorial.py", "--ignore", "TS1"]) == 0
    assert main(["check", "tutorial.py", "--ignore", "TS1", "--fail-on", "warning"]) == 1
    (files / "pyproject.toml").write_text(
        '[tool.torchskip]\nignore = ["TS1", "TS206"]\nfail-on = "note"\n'
    )
    assert main(["check", "tutorial.py"]) == 1
    assert main(["check", "tutorial.py", "--ignore", "TS301"]) == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["broken.py"], "nothing_of_this_name"),
        (["missing.py"], "there is no file 'missing.py'"),
        (["clean.py:Needs"], "its constructor needs arguments"),
        (["clean.py", "--input", "3,32"], "does not take the example (3, 32)"),
        (["clean.py", "--input", "3,32"], "mend: --input 1,3,32,32 (inferred from a (Conv2d))"),
        (["broken.py"], "No module named 'nothing_of_this_name', before any model was defined"),
        (["clean.py:Nat"], "'clean.py' has no 'Nat'; nearest: 'Net'"),
        (["clean.py:Other"], "'clean.py' has no 'Other'; it defines Net, Needs"),
        (["."], "'.' is a directory; mend: name its files"),
        (
            ["leaves.py"],
            "Leaves: it cannot be run here: SystemExit: 1",
        ),
        (["clean.py", "--select", "TS999"], "no rule's code begins with 'TS999'"),
        (["clean.py", "--select", "E501"], "'E501' is no rule code"),
        ([], "nothing to check; mend: torchskip check model.py"),
    ],
)
def test_misuse_is_status_2(files, capsys, arguments, words):
    assert main(["check", *arguments]) == 2
    assert words in capsys.readouterr().err


@pytest.mark.parametrize("first", ["broken.py", "leaves.py"])
def test_the_rest_is_checked(files, capsys, first):
    assert main(["check", first, "tutorial.py"]) == 2
    out, err = capsys.readouterr()
    assert "TS101" in out
    assert f"torchskip: {first}" in err


def test_a_fault_of_ours_leaves_the_other_models(files, capsys, monkeypatch):
    whole = lint_check.check

    def faulty(model, *example, **kwargs):
        if type(model).__name__ == "Net":
            raise IndexError("list index out of range")
        return whole(model, *example, **kwargs)

    monkeypatch.setattr(lint_check, "check", faulty)
    assert main(["check", "clean.py", "tutorial.py"]) == 2
    out, err = capsys.readouterr()
    assert "TS101" in out
    assert "torchskip: Net: check stopped: IndexError: list index out of range (test_che" in err


def test_sarif_to_a_file(files, capsys):
    assert main(["check", "tutorial.py", "--format", "sarif", "--out", "log.sarif"]) == 1
    log = json.loads((files / "log.sarif").read_text())
    assert log["runs"][0]["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"] == {
        "uri": "tutorial.py",
        "uriBaseId": "ROOT",
    }


def test_rules(capsys):
    assert main(["rules", "--severity", "note"]) == 0
    assert [line[:5] for line in capsys.readouterr().out.splitlines()] == [
        "TS301",
        "TS302",
        "TS303",
        "TS304",
    ]
    assert main(["rule", "shortcut-overwritten"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("# TS104 shortcut-overwritten (error)\n\nThe shortcut is overwritten")
    assert main(["rule", "TS000"]) == 2
    assert "there is no rule 'TS000'" in capsys.readouterr().err
