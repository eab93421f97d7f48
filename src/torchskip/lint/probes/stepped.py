"""Functions in steps that autograd records as they are: no function of the user's own around."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from torchskip.lint.facts import Line
from torchskip.lint.ops import STEPS
from torchskip.lint.probes.inputs import random_like
from torchskip.lint.probes.real import RAISED, Arguments, borrowed, carrying, has_numbers
from torchskip.trace.locate import here, source

__all__ = ["stepped"]


class _Noted(TorchFunctionMode):
    """Keeps the lines; the forward of an `autograd.Function` runs with autograd off."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: set[Line] = set()

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        name = getattr(func, "__name__", "").strip("_")
        place = source(here()) if name in STEPS and torch.is_grad_enabled() else None
        if place is not None and any(isinstance(a, Tensor) and a.requires_grad for a in args):
            self.lines.add((place.file, place.line))
        return func(*args, **(kwargs or {}))


def stepped(model: nn.Module, example: Arguments, kwargs: dict[str, Any]) -> frozenset[Line]:
    """Lines of the training pass that call such a function of a value with a gradient."""
    if not has_numbers(model):
        return frozenset()
    noted = _Noted()
    with borrowed(model, training=True), torch.enable_grad(), noted, suppress(*RAISED):
        model(*carrying(random_like(example)), **kwargs)
    return frozenset(noted.lines)
