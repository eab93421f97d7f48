"""Which call in the source runs right now: the frames between it and its module."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from inspect import unwrap
from itertools import islice
from types import CodeType, FrameType
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import checkpoint

__all__ = ["Place", "Spot", "operands", "place", "replaced"]

Spot = tuple[tuple[str, tuple[int | None, ...]], ...]
"""Function name and place in its source of every frame from a call out to its module's forward.

The same in training and evaluation, for every input and after pickling, as long as the source
is the same. Lines count from the function's first. File names are left out: those of generated
code are numbered anew by every copy.
"""

_MODULE_CALL = nn.Module._call_impl.__code__
# What stands between a call and the modes that see it.
_BETWEEN = frozenset(
    os.path.join(os.path.dirname(__file__), name)
    for name in ("place.py", "rewire.py", "steps.py", "witness.py")
)


@dataclass(frozen=True, slots=True)
class Place:
    """The running module and the spot in its forward.

    `inside` names what re-runs or hides the call's backward between the two, if anything.
    """

    module: nn.Module
    spot: Spot
    inside: str = ""


def place() -> Place | None:
    """Return the place of the torch call that a function mode was told of; None outside modules."""
    frame: FrameType | None = sys._getframe(2)
    spot: list[tuple[str, tuple[int | None, ...]]] = []
    inside = ""
    while frame is not None:
        code = frame.f_code
        if code is _MODULE_CALL:
            return Place(frame.f_locals["self"], tuple(spot), inside)
        if code.co_filename == checkpoint.__file__:
            inside = inside or "a checkpointed function, which runs again in the backward pass"
        elif _by_hand(code):
            inside = inside or "a torch.autograd.Function, whose backward is written by hand"
        elif code.co_filename == _MODULE_CALL.co_filename:
            pass  # one frame more where a module has hooks, another where torch.jit traces
        elif code.co_filename in _BETWEEN or code.co_name == "__torch_function__":
            pass  # this mode, and others such as torch.device's
        else:
            spot.append(_where(code, frame.f_lasti))
        frame = frame.f_back
    return None


@lru_cache(4096)
def _by_hand(code: CodeType) -> bool:
    """Whether this is the forward of a `torch.autograd.Function`.

    Not the frame of `Function.apply`: from PyTorch 2.15 on it is written in C and leaves none.
    """
    waiting: list[type] = [torch.autograd.Function]
    while waiting:
        function = waiting.pop()
        waiting += type.__subclasses__(function)
        forward: Any = vars(function).get("forward")
        if getattr(unwrap(forward), "__code__", None) is code:
            return True
    return False


@lru_cache(4096)
def _where(code: CodeType, offset: int) -> tuple[str, tuple[int | None, ...]]:
    # Not the offset: a call that the interpreter specialised stands at another one (Python 3.11).
    position = next(islice(code.co_positions(), offset // 2, None), (None,) * 4)
    first, last, left, right = position
    start = code.co_firstlineno
    return code.co_qualname, (
        None if first is None else first - start,
        None if last is None else last - start,
        left,
        right,
    )


def operands(args: Sequence[Any], kwargs: Mapping[str, Any]) -> list[Tensor]:
    """Return the tensors of a call in the order of its arguments, lists of them included."""
    return [t for item in (*args, *kwargs.values()) for t in _flat(item)]


def replaced(
    args: Sequence[Any], kwargs: Mapping[str, Any], swap: Callable[[int, Tensor], Tensor]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the arguments with ``swap(i, tensor)`` for the i-th of `operands`."""
    count = iter(range(1_000_000))

    def walk(item: Any) -> Any:
        if isinstance(item, Tensor):
            return swap(next(count), item)
        if isinstance(item, list | tuple) and any(True for _ in _flat(item)):
            items = [walk(i) for i in item]
            return items if isinstance(item, list) else tuple(items)
        return item

    return tuple(walk(a) for a in args), {key: walk(a) for key, a in kwargs.items()}


def _flat(item: Any) -> Iterator[Tensor]:
    if isinstance(item, Tensor):
        yield item
    elif isinstance(item, list | tuple):
        for i in item:
            yield from _flat(i)
