"""What a verb works on: a model that a SPEC led to, and the input to run it with."""

from __future__ import annotations

import io
import sys
from contextlib import redirect_stdout
from dataclasses import dataclass

from torch import nn

from torchskip.errors import SpecError
from torchskip.example import Example, UnknownInput, infer_example, parse_shapes
from torchskip.spec.load import Loaded, Skipped, load

__all__ = ["Subject", "UnknownInputs", "drawn", "subjects"]


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


class UnknownInputs(SpecError):  # noqa: N818
    """No model of a SPEC is known to run; ``guesses`` are those that ran a part of the way."""

    def __init__(self, message: str, guesses: tuple[Subject, ...]) -> None:
        super().__init__(message)
        self.guesses = guesses


def subjects(spec: str, shapes: str | None) -> tuple[tuple[Subject, ...], tuple[Skipped, ...]]:
    """Load the models of a SPEC, each with the given or an inferred input.

    A model whose input is unknown is skipped with the reason when others remain, and so is one
    that another of them contains: there it is looked at with the input that it gets.
    """
    loaded, skipped = load(spec)
    given = parse_shapes(shapes) if shapes is not None else None
    found: list[Subject] = []
    guesses: list[Subject] = []
    left = list(skipped)
    for item in loaded:
        try:
            with redirect_stdout(io.StringIO()):  # what a model prints at every try
                example = given or _inferred(item)
        except SpecError as error:
            left.append(Skipped(item.name, str(error)))
            if isinstance(error, UnknownInput) and error.nearest.graph.nodes:
                guess = error.nearest.example.filled()
                guesses.append(Subject(item.name, item.model.eval(), guess, _made(item)))
        else:
            # A fresh model is in training mode, in which statistics refuse a batch of one.
            found.append(Subject(item.name, item.model.eval(), example, _made(item)))
    if not found:
        reasons = [f"{s.name}: {s.reason}" for s in left]
        raise UnknownInputs(
            "\n  ".join([f"no model of {spec!r} can be run", *reasons][len(reasons) == 1 :]),
            tuple(guesses),
        )
    inside = {type(part) for one in found for part in one.model.modules() if part is not one.model}
    outer = tuple(one for one in found if type(one.model) not in inside) or tuple(found)
    known = {type(part).__name__ for one in outer for part in one.model.modules()}
    return outer, tuple(s for s in left if s.name not in known)


def drawn(spec: str, shapes: str | None) -> tuple[tuple[Subject, ...], tuple[Skipped, ...]]:
    """Load the models of a SPEC to draw them: as far as they run, where no input is known."""
    try:
        return subjects(spec, shapes)
    except UnknownInputs as error:
        if not error.guesses:
            raise
        print(f"torchskip: {error}", file=sys.stderr)
        return error.guesses, ()


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
