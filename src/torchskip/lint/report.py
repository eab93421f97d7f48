"""What `check` returns."""

from __future__ import annotations

from dataclasses import dataclass

from torchskip.graph import Graph, SkipPath
from torchskip.lint.finding import SEVERITIES, Finding, Severity

__all__ = ["Ran", "Report"]


@dataclass(frozen=True, slots=True)
class Ran:
    """One thing `check` ran the model for, and what came of it."""

    name: str
    outcome: str


@dataclass(frozen=True, slots=True)
class Report:
    """Findings about one model, most severe first, with what they were found in.

    `ran` says what the model was run for; `suppressed` counts the findings that comments hide.
    """

    model: str
    findings: tuple[Finding, ...]
    graph: Graph
    skips: tuple[SkipPath, ...]
    ran: tuple[Ran, ...] = ()
    suppressed: int = 0

    def count(self, severity: Severity) -> int:
        """How many findings have this severity."""
        return sum(finding.severity == severity for finding in self.findings)

    def exit_code(self, fail_on: Severity = "error") -> int:
        """1 when a finding is at least as severe as `fail_on`, else 0."""
        least = SEVERITIES.index(fail_on)
        return int(any(SEVERITIES.index(f.severity) >= least for f in self.findings))

    def __str__(self) -> str:
        from torchskip.render.findings_text import text

        return text(self)
