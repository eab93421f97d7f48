"""What fusing did: fused, not fused and why, and the proof."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from torchskip.deploy.program import Event
from torchskip.deploy.proof import Check

__all__ = ["Report"]


@dataclass(frozen=True, slots=True)
class Report:
    """The account of one fusing.

    `fused` and `kept` list every place with a module path; `notes` say which input sizes the
    fused model takes, how many samples it runs at once, and what does not happen any more.
    """

    model: str
    fused: tuple[Event, ...]
    kept: tuple[Event, ...]
    checks: tuple[Check, ...]
    tolerance: float
    notes: tuple[str, ...]
    operators_before: int
    operators_after: int
    seconds: float

    @property
    def difference(self) -> float:
        """The largest relative difference that the proof saw."""
        return max((c.difference for c in self.checks), default=0.0)

    def __str__(self) -> str:
        lines = [
            f"{self.model}: {self.operators_before} operators became {self.operators_after} "
            f"in {self.seconds:.2f} s"
        ]
        for (what, why), count in Counter((e.what, e.why) for e in self.fused).most_common():
            lines.append(f"  {count:4d} {what}" + (f": {why}" if why else ""))
        for (what, why), count in Counter((e.what, e.why) for e in self.kept).most_common():
            first = next(e.where for e in self.kept if (e.what, e.why) == (what, why))
            place = f" ({first!r}{' and others' if count > 1 else ''})" if first else ""
            lines.append(f"  {count:4d} {what} not fused: {why}{place}")
        lines += [
            f"  differs by at most {self.difference:.1e} of the largest output "
            f"(allowed {self.tolerance:.0e}) on {', '.join(c.inputs for c in self.checks)}"
        ]
        return "\n".join([*lines, *(f"  {note}" for note in self.notes)])
