"""Findings for a terminal or a log: place, message, both arms step by step, mends."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from torchskip.render.words import plain

if TYPE_CHECKING:
    from rich.text import Text

    from torchskip.graph import Source
    from torchskip.lint.finding import Finding, Mend, Way
    from torchskip.lint.report import Report

__all__ = ["renderable", "text"]

_STYLES = {"error": "bold red", "warning": "bold yellow", "note": "bold cyan"}
_SHOWN = 12  # steps of one arm; of longer arms the ends and the parting are shown
_VERIFIED = {True: "  [applied and run: works]", False: "  [applied and run: does not help]"}

Line = tuple[tuple[str, str], ...]  # words with their styles


def text(report: Report) -> str:
    """The report without colours."""
    return "\n".join("".join(word for word, _ in line) for line in _lines(report))


def renderable(report: Report) -> Text:
    """The report for a rich console."""
    from rich.text import Text

    whole = Text()
    for number, line in enumerate(_lines(report)):
        whole.append("\n" if number else "")
        for word, style in line:
            whole.append(word, style)
    return whole


def _lines(report: Report) -> Iterator[Line]:
    for finding in report.findings:
        yield from _finding(finding)
        yield ()
    counts = [
        f"{report.count(s)} {s}{'' if report.count(s) == 1 else 's'}"
        for s in ("error", "warning", "note")
        if any(f.severity == s for f in report.findings)
    ]
    skips = f"{len(report.skips)} skip connection{'' if len(report.skips) == 1 else 's'}"
    hidden = f", {report.suppressed} hidden by comments" if report.suppressed else ""
    found = ", ".join(counts) or "nothing found"
    yield ((f"{plain(report.model)}: {skips}, {found}{hidden}", "bold"),)


def _finding(finding: Finding) -> Iterator[Line]:
    places = [repr(p) for p in (finding.module, *finding.also) if p]
    where = ", ".join(places[:4]) + (f" and {len(places) - 4} more" if len(places) > 4 else "")
    yield (
        (f"{finding.severity} {finding.code}", _STYLES[finding.severity]),
        (f" {finding.name}", "bold"),
        (f"  {plain(where)}" if where else "", "dim"),
    )
    if finding.source:
        yield (f"  {_place(finding.source)}", "dim"), (_code(finding.source), "")
    if finding.join and finding.join != finding.source:
        yield (
            (f"  {_place(finding.join)}", "dim"),
            (_code(finding.join), ""),
            ("  (the join)", "dim"),
        )
    yield (("  " + plain(finding.message), ""),)
    for way in finding.arms:
        yield from _way(way)
    for mend in finding.mends:
        yield from _mend(mend)


def _way(way: Way) -> Iterator[Line]:
    yield (f"    {way.role:<9}", "bold"), (str(way.start), "")
    last = len(way.steps)
    near = way.parts if way.parts is not None else 0
    for number, step in enumerate(way.steps):
        if last > _SHOWN and 3 < number < last - 3 and abs(number - near) > 2:
            if number == 4:
                yield (("              ...", "dim"),)
            continue
        mark = "  <- parts here" if way.parts == number else ""
        name = f"{step.op} {step.module!r}" if step.module else step.op
        yield (
            (f"      {number + 1:>3}. ", "dim"),
            (f"{plain(name):<44} ", ""),
            (str(step.shape), ""),
            (mark, "bold red"),
        )


def _mend(mend: Mend) -> Iterator[Line]:
    yield (
        ("  mend: ", "bold green"),
        (plain(mend.text), ""),
        (_VERIFIED.get(mend.verified, "") if mend.verified is not None else "", "dim"),
    )


def _place(source: Source) -> str:
    path = Path(source.file)
    here = Path.cwd()
    shown = path.relative_to(here) if path.is_relative_to(here) else path
    return f"{plain(str(shown))}:{source.line}"


def _code(source: Source) -> str:
    return f"  {plain(source.text)}" if source.text else ""
