"""Tensors that come from outside torch and yet depend on the input: numpy, lists, new tensors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from torchskip.lint.facts import Line
from torchskip.lint.probes.inputs import random_like
from torchskip.lint.probes.real import RAISED, Arguments, borrowed, carrying, has_numbers
from torchskip.skips.ops import words
from torchskip.trace.locate import here, source
from torchskip.trace.schema import METADATA_ONLY
from torchskip.trace.tree import leaves

__all__ = ["outside"]

# Of all but the first argument, these take shape or type alone.
_LIKE = words("to type_as view_as reshape_as expand_as")


class _Noted(TorchFunctionMode):
    """Keeps what operations read that torch did not make of the input, by line, in order.

    What torch made and detached is in the graph: it came from outside no more than its origin.
    """

    def __init__(self) -> None:
        super().__init__()
        self.read: dict[Line, list[Tensor]] = {}
        self._made: dict[int, Tensor] = {}  # without a gradient; alive, so that no id is reused

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        cut = [
            t
            for _, t in leaves(args)
            if t.is_floating_point() and t.ndim > 1 and not self._followed(t)
        ]
        place = source(here()) if cut else None
        if place is not None:
            self.read.setdefault((place.file, place.line), []).extend(t.clone() for t in cut)
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "")
        made = any(self._followed(t) for _, t in leaves(_read(name, args, kwargs)))
        result = func(*args, **kwargs)
        if made:
            written = args[:1] if name == "__setitem__" else result
            self._made.update((id(t), t) for _, t in leaves(written) if not t.requires_grad)
        return result

    def _followed(self, tensor: Tensor) -> bool:
        return tensor.requires_grad or id(tensor) in self._made


def _read(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> object:
    """The arguments that a function reads for their numbers."""
    if name in METADATA_ONLY:
        return ()
    if name in _LIKE:
        return args[:1]
    return args[name == "new_tensor" :], kwargs


def outside(model: nn.Module, example: Arguments, kwargs: dict[str, Any]) -> frozenset[Line]:
    """Lines that read a tensor without gradient which another input changes."""
    if not has_numbers(model):
        return frozenset()
    runs: list[dict[Line, list[Tensor]]] = []
    for seed in (0, 1):
        with borrowed(model, training=False), torch.enable_grad():
            given = carrying(random_like(example, seed))
            try:
                with _Noted() as noted:
                    model(*given, **kwargs)
            except RAISED:  # a model that does not run for real shows nothing
                return frozenset()
        runs.append(noted.read)
    first, second = runs
    return frozenset(
        line
        for line, read in first.items()
        # How many boxes are found says nothing of what is read beside them.
        if any(
            a.shape == b.shape and not a.equal(b)
            for a, b in zip(read, second.get(line, ()), strict=False)
        )
    )
