"""One row of the truth: a model, how many skips of each kind it has, where, and why."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["Place", "Row"]

Place = tuple[int, str, str, str, str]


@dataclass(frozen=True)
class Row:
    """The truth about one model.

    A place is (count, kind, module of the join, text of the join's line, module that made the
    split value); modules and texts are shell patterns, ``""`` is the model's own forward and
    ``input`` a value that no module made.
    """

    spec: str
    counts: dict[str, int]
    why: str
    places: tuple[Place, ...] = field(default=())
