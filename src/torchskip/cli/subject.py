"""What a verb works on: a model that a SPEC led to, and the input to run it with."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from torchskip.errors import SpecError
from torchskip.example import Example, infer_example, parse_shapes
from torchskip.spec.load import Loaded, Skipped, load

__all__ = ["Subject", "subjects"]


@dataclass(frozen=True, slots=True, eq=False)
class Subject:
    """A model, its name, and its example input."""

    name: str
    model: nn.Module
    example: Example

    @property
    def headline(self) -> str:
        """The line that says what is looked at, and with which input and why."""
        return f"{self.name}, input {self.example.shapes} ({self.example.reason})"


def subjects(spec: str, shapes: str | None) -> tuple[tuple[Subject, ...], tuple[Skipped, ...]]:
    """Load the models of a SPEC, each with the given or an inferred input.

    A model whose input nothing tells is skipped with the reason when others remain.
    """
    loaded, skipped = load(spec)
    given = parse_shapes(shapes) if shapes is not None else None
    found: list[Subject] = []
    left = list(skipped)
    for item in loaded:
        try:
            found.append(Subject(item.name, item.model, given or _inferred(item)))
        except SpecError as error:
            left.append(Skipped(item.name, str(error)))
    if not found:
        raise SpecError("; ".join(f"{s.name}: {s.reason}" for s in left))
    inside = {type(part).__name__ for one in found for part in one.model.modules()}
    return tuple(found), tuple(s for s in left if s.name not in inside)


def _inferred(item: Loaded) -> Example:
    return infer_example(item.model, item.file)
