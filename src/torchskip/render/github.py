"""Findings as annotations of a GitHub workflow: one command per line."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torchskip.lint.finding import Finding
    from torchskip.lint.report import Report

__all__ = ["commands"]

_COMMANDS = {"error": "error", "warning": "warning", "note": "notice"}


def commands(reports: tuple[Report, ...], root: Path | None = None) -> str:
    """Workflow commands, paths relative to `root` so that they land on the changed files."""
    return "\n".join(_line(f, root or Path.cwd()) for report in reports for f in report.findings)


def _line(finding: Finding, root: Path) -> str:
    place = ""
    if finding.source:
        path = Path(finding.source.file)
        shown = path.relative_to(root) if path.is_relative_to(root) else path
        place = f"file={_property(shown.as_posix())},line={finding.source.line},"
    mends = "".join(f"\nmend: {mend.text}" for mend in finding.mends)
    return (
        f"::{_COMMANDS[finding.severity]} {place}"
        f"title={_property(f'{finding.code} {finding.name}')}::{_data(finding.message + mends)}"
    )


# The escapes of actions/toolkit, packages/core/src/command.ts.
def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
