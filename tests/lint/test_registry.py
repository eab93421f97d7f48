"""No rule without documentation, code and name; every file of a rule is listed."""

from pathlib import Path

import pytest

from torchskip.errors import SpecError
from torchskip.lint import registry
from torchskip.lint.registry import CHECKS, RULES, find_rule
from torchskip.lint.rule import SECTIONS

FOLDER = Path(registry.__file__).parent / "rules"


def test_every_file_is_listed():
    files = {path.stem for path in FOLDER.glob("*.py")} - {"__init__"}
    assert files == {check.__module__.rpartition(".")[2] for _, check in CHECKS}


def test_codes_and_names_are_unique_and_sorted():
    codes = [rule.code for rule in RULES]
    assert codes == sorted(set(codes))
    assert len({rule.name for rule in RULES}) == len(RULES)


@pytest.mark.parametrize("rule", RULES, ids=lambda r: r.code)
def test_the_code_says_the_severity(rule):
    assert {"1": "error", "2": "warning", "3": "note"}[rule.code[2]] == rule.severity


@pytest.mark.parametrize("rule", RULES, ids=lambda r: r.code)
@pytest.mark.parametrize("title", SECTIONS)
def test_every_section_is_written(rule, title):
    assert len(rule.section(title)) > 10


@pytest.mark.parametrize("rule", RULES, ids=lambda r: r.code)
def test_the_name_is_the_files(rule):
    (check,) = [check for other, check in CHECKS if other is rule]
    assert rule.name == check.__module__.rpartition(".")[2].replace("_", "-")
    assert rule.summary.endswith((".", ":"))


def test_rules_are_found_by_code_and_name():
    assert find_rule("ts104") is find_rule("shortcut-overwritten")
    with pytest.raises(SpecError, match=r"^there is no rule 'TS199'; nearest: TS\d+, TS\d+$"):
        find_rule("TS199")
