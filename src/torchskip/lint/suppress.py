"""Which findings are wanted: codes selected or ignored, and comments in the user's source."""

from __future__ import annotations

import linecache
import re
from collections.abc import Iterable

from torchskip.errors import SpecError
from torchskip.graph import Source
from torchskip.lint.finding import Finding

__all__ = ["chosen", "suppressed", "unknown"]

_COMMENT = re.compile(r"#\s*torchskip:\s*ignore(?:\[(?P<codes>[^\]]*)\])?", re.I)
_CODE = re.compile(r"TS\d{0,3}")


def chosen(code: str, select: Iterable[str] = (), ignore: Iterable[str] = ()) -> bool:
    """Whether a code is wanted: ``TS1`` stands for all errors; no selection means all.

    >>> chosen("TS104"), chosen("TS104", ignore=["TS1"]), chosen("TS104", select=["TS2"])
    (True, False, False)
    """
    selected, ignored = _codes(select), _codes(ignore)
    return (not selected or code.startswith(selected)) and not (
        ignored and code.startswith(ignored)
    )


def unknown(codes: Iterable[str], known: Iterable[str]) -> None:
    """Raise `SpecError` for a code that no known one begins with.

    >>> unknown(["TS1"], ["TS104"])
    >>> unknown(["TS9"], ["TS104"])
    Traceback (most recent call last):
    torchskip.errors.SpecError: no rule's code begins with 'TS9'; mend: torchskip rules lists them
    """
    rules = tuple(known)
    for code in _codes(codes):
        if not any(rule.startswith(code) for rule in rules):
            raise SpecError(
                f"no rule's code begins with {code!r}; mend: torchskip rules lists them"
            )


def suppressed(finding: Finding) -> bool:
    """Whether a comment at the finding's line, or at its join's, asks to ignore it."""
    return any(_ignores(place, finding.code) for place in (finding.source, finding.join) if place)


def _codes(patterns: Iterable[str]) -> tuple[str, ...]:
    codes = tuple(pattern.strip().upper() for pattern in patterns if pattern.strip())
    for code in codes:
        if not _CODE.fullmatch(code):
            raise SpecError(
                f"{code!r} is no rule code; codes look like TS104, or TS1 for all errors"
            )
    return codes


def _ignores(place: Source, code: str) -> bool:
    line = linecache.getline(place.file, place.line) or place.text
    found = _COMMENT.search(line)
    if not found:
        return False
    codes = found["codes"]
    return codes is None or any(
        code.startswith(c.strip().upper()) for c in codes.split(",") if c.strip()
    )
