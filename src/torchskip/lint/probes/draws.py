"""What the masks that a forward multiplies with look like: their numbers over several passes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from torchskip.lint.facts import Draws, Place
from torchskip.lint.probes.inputs import random_like
from torchskip.lint.probes.real import RAISED, borrowed, carrying, has_numbers
from torchskip.trace.locate import here, source

__all__ = ["draws", "draws_alone", "hands_on"]

_TRIES = 200
_PRODUCTS = frozenset({"mul", "__mul__", "__rmul__", "mul_", "__imul__", "multiply", "multiply_"})


def draws(
    model: nn.Module, example: tuple[Any, ...], kwargs: dict[str, Any], training: bool
) -> Mapping[Place, Draws]:
    """The masks of every product of a value that depends on the input, by module and line."""
    if not has_numbers(model):
        return {}
    given = random_like(example)
    with borrowed(model, training=training), torch.enable_grad(), _running(model) as stack:
        return _drawn(8, stack, lambda: model(*carrying(given), **kwargs))


def draws_alone(model: nn.Module, path: str, rank: int, training: bool) -> Mapping[Place, Draws]:
    """The masks of one module that holds nothing, run by itself on many samples."""
    module = model.get_submodule(path)
    if any(True for _ in module.children()) or any(True for _ in module.parameters()):
        return {}
    ones = torch.ones(2048, *(1 for _ in range(rank - 1)))
    with borrowed(module, training=training), torch.enable_grad():
        return _drawn(2, [path], lambda: module(ones.requires_grad_() * 1))


def hands_on(model: nn.Module, path: str) -> bool:
    """Whether the module, run by itself in training mode, always returns what it was given."""
    module = model.get_submodule(path)
    ones = torch.ones(64, 1, 1, 1)
    with borrowed(module, training=True), torch.no_grad():
        try:
            return all(torch.equal(module(ones.clone()), ones) for _ in range(_TRIES))
        except RAISED:  # it takes something else
            return False


def _drawn(passes: int, stack: list[str], run: Callable[[], object]) -> Mapping[Place, Draws]:
    seen: dict[Place, list[Tensor]] = {}
    try:
        for seed in range(passes):
            torch.manual_seed(seed)
            with _Watch(stack, seen):
                run()
    except RAISED:  # it does not run for real
        return {}
    return {place: _facts(masks) for place, masks in seen.items()}


def _facts(masks: list[Tensor]) -> Draws:
    flat = torch.cat([m.detach().double().flatten() for m in masks])
    peak = float(flat.max())
    return Draws(
        mean=float(flat.mean()),
        peak=peak,
        binary=bool(((flat == 0) | (flat == peak)).all()),
        varied=any(m.shape != masks[0].shape or not torch.equal(m, masks[0]) for m in masks[1:]),
        count=flat.numel(),
    )


@contextmanager
def _running(model: nn.Module) -> Iterator[list[str]]:
    """The path of the module that runs, at the end of the list; hooks go with the borrowing."""
    stack = [""]
    for path, module in model.named_modules():
        module.register_forward_pre_hook(lambda m, i, path=path: stack.append(path))
        module.register_forward_hook(lambda m, i, o: stack.pop() and None)
    yield stack


class _Watch(TorchFunctionMode):
    """Notes the operand of each product that carries no gradient beside one that does."""

    def __init__(self, stack: list[str], seen: dict[Place, list[Tensor]]) -> None:
        super().__init__()
        self.stack = stack
        self.seen = seen

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        if getattr(func, "__name__", "") in _PRODUCTS and len(args) > 1:
            pair = [a for a in args[:2] if isinstance(a, Tensor)]
            masks = [t for t in pair if not t.requires_grad]
            if len(pair) == 2 and len(masks) == 1:
                place = self.stack[-1], source(here())
                self.seen.setdefault(place, []).append(masks[0].clone())
        return func(*args, **(kwargs or {}))
