"""Settings of `check` in ``pyproject.toml``, section ``[tool.torchskip]``."""

from __future__ import annotations

import difflib
import tomllib
from dataclasses import dataclass
from pathlib import Path

from torchskip.errors import SpecError
from torchskip.lint.finding import SEVERITIES, Severity
from torchskip.lint.suppress import chosen

__all__ = ["Config", "read"]


@dataclass(frozen=True, slots=True)
class Config:
    """What ``[tool.torchskip]`` may say; `file` is where it was read, None when nowhere."""

    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    fail_on: Severity = "error"
    file: Path | None = None


def read(start: Path) -> Config:
    """Settings of the nearest ``pyproject.toml`` with a torchskip section, from `start` upwards.

    Raises `SpecError` for unknown keys and wrong values: a typo must not switch rules off.
    """
    folder = start.resolve()
    for place in (folder, *folder.parents):
        file = place / "pyproject.toml"
        if file.is_file():
            try:
                section = tomllib.loads(file.read_text(encoding="utf-8"))
            except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
                raise SpecError(f"{str(file)!r} cannot be read: {error}") from error
            if (found := section.get("tool", {}).get("torchskip")) is not None:
                return _config(found, file)
    return Config()


def _config(section: object, file: Path) -> Config:
    where = f"{file}: [tool.torchskip]"
    if not isinstance(section, dict):
        raise SpecError(f"{where} must be a table")
    known = ("select", "ignore", "fail-on")
    for key in section:
        if key not in known:
            near = difflib.get_close_matches(str(key), known, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else f"; known: {', '.join(known)}"
            raise SpecError(f"{where} has no setting {key!r}{hint}")
    lists = []
    for key in ("select", "ignore"):
        codes = section.get(key, [])
        if not isinstance(codes, list) or not all(isinstance(code, str) for code in codes):
            raise SpecError(f"{where} {key} must be a list of rule codes, not {codes!r}")
        chosen("TS101", codes)  # refuses what is no code
        lists.append(tuple(codes))
    fail_on = section.get("fail-on", "error")
    if fail_on not in SEVERITIES:
        raise SpecError(f"{where} fail-on must be one of {', '.join(SEVERITIES)}, not {fail_on!r}")
    return Config(lists[0], lists[1], fail_on, file)
