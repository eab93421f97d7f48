"""Published models: no error and no warning that docs/zoo-findings.md does not judge."""

import re
from pathlib import Path

import pytest
from tests.lint.published import names
from tests.lint.sweep import alone, prepare

pytest.importorskip("timm")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
PAGE = Path(__file__).parents[2] / "docs" / "zoo-findings.md"


@pytest.fixture(scope="module")
def judged():
    """Pairs of rule and model of the page's table of errors and warnings."""
    rows = re.findall(r"^\| (TS\d+) \| (.+?) \| True", PAGE.read_text(), re.M)
    return {(code, name) for code, models in rows for name in re.findall(r"`(.+?)`", models)}


@pytest.fixture(scope="module", autouse=True)
def _packages():
    for package in ("segmentation_models_pytorch", "monai"):
        pytest.importorskip(package)
    prepare()


@pytest.mark.parametrize(("family", "name"), names())
def test_nothing_false(family, name, judged):
    answer = alone(family, name)
    if "unbuilt" in answer:
        pytest.skip(answer["unbuilt"])
    assert "crash" not in answer
    found = {(code, name) for severity, code, *_ in answer["findings"] if severity != "note"}
    assert found <= judged
