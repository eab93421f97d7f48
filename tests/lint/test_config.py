"""Settings in pyproject.toml: read upwards, and typos refused."""

import pytest

from torchskip.errors import SpecError
from torchskip.lint.config import Config, read


def written(folder, text):
    (folder / "pyproject.toml").write_text(text)
    return folder


def test_settings_are_read_upwards(tmp_path):
    written(tmp_path, '[tool.torchskip]\nselect = ["TS1"]\nignore = ["TS104"]\nfail-on = "note"\n')
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    written(tmp_path / "a", "[tool.other]\nx = 1\n")
    assert read(inner) == Config(("TS1",), ("TS104",), "note", tmp_path / "pyproject.toml")


def test_without_settings(tmp_path):
    assert read(tmp_path).fail_on == "error"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("fail_on = 'error'", "has no setting 'fail_on'; did you mean 'fail-on'?"),
        ("zzz = 1", "has no setting 'zzz'; known: select, ignore, fail-on"),
        ("fail-on = 'fatal'", "fail-on must be one of note, warning, error, not 'fatal'"),
        ("ignore = 'TS104'", "ignore must be a list of rule codes, not 'TS104'"),
    ],
)
def test_typos_are_refused(tmp_path, text, message):
    written(tmp_path, f"[tool.torchskip]\n{text}\n")
    with pytest.raises(SpecError) as caught:
        read(tmp_path)
    assert str(caught.value) == f"{tmp_path / 'pyproject.toml'}: [tool.torchskip] {message}"


def test_broken_toml_is_named(tmp_path):
    written(tmp_path, "[tool")
    with pytest.raises(SpecError, match=r"pyproject\.toml' cannot be read: "):
        read(tmp_path)
