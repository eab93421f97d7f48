"""What a rule returns: frozen values that rendering reads and tests compare whole."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import takewhile
from typing import Literal

from torchskip.graph import Source

__all__ = ["SEVERITIES", "Edit", "Finding", "Mend", "Severity", "Step", "Way", "Wrap"]

Severity = Literal["error", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("note", "warning", "error")


@dataclass(frozen=True, slots=True)
class Step:
    """One operation on an arm: what ran, where, and the shape of its result."""

    op: str
    module: str
    shape: tuple[int, ...]
    source: Source | None = None


@dataclass(frozen=True, slots=True)
class Way:
    """One arm of a finding, from the split to the join, step by step.

    `parts` is the index of the first step after which this arm can no longer meet the other,
    None where they meet.
    """

    role: str
    start: tuple[int, ...]
    steps: tuple[Step, ...]
    parts: int | None = None

    @property
    def end(self) -> tuple[int, ...]:
        """Shape with which the arm arrives."""
        return self.steps[-1].shape if self.steps else self.start


@dataclass(frozen=True, slots=True)
class Edit:
    """One change of a module's setting: `module` is the dotted path, `value` the new value."""

    module: str
    setting: str
    value: object


@dataclass(frozen=True, slots=True)
class Wrap:
    """A branch put into a `Skip`: dotted paths of its modules in order, and keyword arguments.

    `takes` is the shape that comes in, `gives` the one that must come out.
    """

    modules: tuple[str, ...]
    arguments: tuple[tuple[str, str], ...]
    takes: tuple[int, ...]
    gives: tuple[int, ...]

    @property
    def code(self) -> str:
        """The constructor's call, as the module that holds the branch writes it.

        >>> Wrap(("net.0.conv1", "net.0.act.1"), (), (), ()).code
        'Skip(self.conv1, self.act[1])'
        """
        parts = [path.split(".") for path in self.modules]
        levels = zip(*(path[:-1] for path in parts), strict=False)
        shared = sum(1 for _ in takewhile(lambda names: len(set(names)) == 1, levels))
        while shared and any(path[shared].isdigit() for path in parts):
            shared -= 1
        words = [
            "self" + "".join(f"[{p}]" if p.isdigit() else f".{p}" for p in path[shared:])
            for path in parts
        ]
        return f"Skip({', '.join([*words, *(f'{k}={v!r}' for k, v in self.arguments)])})"


@dataclass(frozen=True, slots=True)
class Mend:
    """Code that removes a finding.

    `edits` apply it to the model's modules, `wrap` to a branch of them; a mend with neither
    changes the user's source. `verified` is None until it was applied and run, then says
    whether the finding went away.
    """

    text: str
    edits: tuple[Edit, ...] = ()
    wrap: Wrap | None = None
    verified: bool | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """One result of a rule; `source` is the line it is reported at, `join` the meeting's.

    `also` are the other modules in which the same line has the same fault.
    """

    code: str
    name: str
    severity: Severity
    message: str
    module: str
    source: Source | None = None
    join: Source | None = None
    arms: tuple[Way, ...] = ()
    mends: tuple[Mend, ...] = ()
    also: tuple[str, ...] = ()
