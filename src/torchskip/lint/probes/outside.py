"""Tensors that come from outside torch and yet depend on the input: numpy, lists, new tensors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from torchskip.lint.probes.inputs import random_like
from torchskip.lint.probes.real import RAISED, Arguments, borrowed, carrying, has_numbers
from torchskip.trace.locate import here, source
from torchskip.trace.tree import leaves

__all__ = ["Line", "outside"]

Line = tuple[str, int]


class _Noted(TorchFunctionMode):
    """Keeps what operations read without a gradient, by the user's line, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.read: dict[Line, list[Tensor]] = {}

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        cut = [
            t
            for _, t in leaves(args)
            if t.is_floating_point() and t.ndim > 1 and not t.requires_grad
        ]
        place = source(here()) if cut else None
        if place is not None:
            self.read.setdefault((place.file, place.line), []).extend(t.clone() for t in cut)
        return func(*args, **(kwargs or {}))


def outside(model: nn.Module, example: Arguments, kwargs: dict[str, Any]) -> frozenset[Line]:
    """Lines that read a tensor without gradient which another input changes."""
    if not has_numbers(model):
        return frozenset()
    runs: list[dict[Line, list[Tensor]]] = []
    for seed in (0, 1):
        with borrowed(model, training=False), torch.enable_grad(), _Noted() as noted:
            try:
                model(*carrying(random_like(example, seed)), **kwargs)
            except RAISED:  # a model that does not run for real shows nothing
                return frozenset()
        runs.append(noted.read)
    first, second = runs
    return frozenset(
        line
        for line, read in first.items()
        if len(read) != len(second.get(line, ())) or not all(map(torch.equal, read, second[line]))
    )
