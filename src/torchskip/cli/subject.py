"""What a verb works on: a model that a SPEC led to, and the input to run it with."""

from __future__ import annotations

import io
from contextlib import redirect_stdout
from dataclasses import dataclass

from torch import nn

from torchskip.errors import SpecError
from torchskip.example import Example, infer_example, parse_shapes
from torchskip.spec.load import Loaded, Skipped, load

__all__ = ["Subject", "subjects"]


@dataclass(frozen=True, slots=True, eq=False)
class Subject:
    """A model, its name, its example input, and the call that made it where it needs saying."""

    name: str
    model: nn.Module
    example: Example
    made: str = ""

    @property
    def headline(self) -> str:
        """The line that says what is looked at, and with which input and why."""
        name = f"{self.name}, {self.made}" if self.made else self.name
        return f"{name}, input {self.example.shapes} ({self.example.reason})"


def subjects(spec: str, shapes: str | None) -> tuple[tuple[Subject, ...], tuple[Skipped, ...]]:
    """Load the models of a SPEC, each with the given or an inferred input.

    A model whose input is unknown is skipped with the reason when others remain, and so is one
    that another of them contains: there it is looked at with the input that it gets.
    """
    loaded, skipped = load(spec)
    given = parse_shapes(shapes) if shapes is not None else None
    found: list[Subject] = []
    left = list(skipped)
    for item in loaded:
        try:
            with redirect_stdout(io.StringIO()):  # what a model prints at every try
                example = given or _inferred(item)
        except SpecError as error:
            left.append(Skipped(item.name, str(error)))
        else:
            # A fresh model is in training mode, in which statistics refuse a batch of one.
            found.append(Subject(item.name, item.model.eval(), example, _made(item)))
    if not found:
        reasons = [f"{s.name}: {s.reason}" for s in left]
        raise SpecError(
            "\n  ".join([f"no model of {spec!r} can be run", *reasons][len(reasons) == 1 :])
        )
    inside = {type(part) for one in found for part in one.model.modules() if part is not one.model}
    outer = tuple(one for one in found if type(one.model) not in inside) or tuple(found)
    known = {type(part).__name__ for one in outer for part in one.model.modules()}
    return outer, tuple(s for s in left if s.name not in known)


def _inferred(item: Loaded) -> Example:
    if item.written is None or item.file is None:
        return infer_example(item.model)
    name = item.file.name
    meant: list[Example] = []
    seen: list[Example] = []
    for use in item.written.uses:
        if use.making.maker in {type(item.model).__name__, item.name}:
            same = str(use.making) == str(item.making or f"{use.making.maker}()")
            example = Example(use.inputs, f"from {name} line {use.line}")
            (meant if same else seen).append(example)
    seen += [Example((t,), f"from {name} line {line}") for t, line in item.written.tensors]
    return infer_example(item.model, meant, seen)


def _made(item: Loaded) -> str:
    return f"made as {item.making} in line {item.making.line}" if item.making else ""
