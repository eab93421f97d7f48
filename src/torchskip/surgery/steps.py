"""What can become of a torch call in which arms meet."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from torchskip.errors import SurgeryError
from torchskip.surgery.place import operands, replaced

__all__ = ["Meet", "TakeOut", "Visit"]

_SUMS = frozenset(("add", "add_", "__add__", "__radd__", "__iadd__"))

Visit = Callable[[str, Tensor, Tensor], tuple[Tensor, Tensor]]
"""Called with a skip's name, its shortcut's value and its branch's; returns what to merge."""


@dataclass(frozen=True, slots=True)
class TakeOut:
    """The call with the tensors at `positions` counting as `neutral`, 0 or 1."""

    positions: tuple[int, ...]
    neutral: float

    def joined(self, other: Any) -> TakeOut:
        """Return the step that takes out what both do."""
        if not isinstance(other, TakeOut) or other.neutral != self.neutral:
            raise _twice()
        return TakeOut(tuple(sorted({*self.positions, *other.positions})), self.neutral)

    def __call__(self, func: Any, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run the call without them."""
        positions, tensors = self.positions, operands(args, kwargs)
        rest = [t for i, t in enumerate(tensors) if i not in positions]
        if name in _SUMS and not kwargs and len(tensors) == 2 and len(rest) == 1:
            shapes = (t.shape for t in tensors)
            shape = torch.broadcast_shapes(*shapes)  # type: ignore[no-untyped-call]
            if rest[0].shape == shape and not (_inplace(name) and 0 in positions):
                # The branch alone. A copy, because the sum would have been memory of its own.
                return rest[0] if _inplace(name) else rest[0].clone()
        if _inplace(name) and 0 in positions:
            tensors[0].fill_(self.neutral)

        def swap(i: int, tensor: Tensor) -> Tensor:
            if i not in positions or (i == 0 and _inplace(name)):
                return tensor
            return tensor.new_full((), self.neutral).expand(tensor.shape)

        args, kwargs = replaced(args, kwargs, swap)
        return func(*args, **kwargs)


@dataclass(frozen=True, slots=True)
class Meet:
    """The call with what `visit` makes of the two arms that meet in it."""

    name: str
    shortcut: int
    branch: int
    visit: Visit

    def joined(self, other: Any) -> Meet:
        """Refuse: the arms of one call are looked at once."""
        raise _twice()

    def __call__(self, func: Any, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Show the arms, then run the call with what comes back."""
        tensors = operands(args, kwargs)
        given = tensors[self.shortcut], tensors[self.branch]
        shown = dict(zip((self.shortcut, self.branch), self.visit(self.name, *given), strict=True))

        def swap(i: int, tensor: Tensor) -> Tensor:
            other = shown.get(i, tensor)
            if other is tensor or i != 0 or not _inplace(name):
                return other
            return tensor.copy_(other)

        args, kwargs = replaced(args, kwargs, swap)
        return func(*args, **kwargs)


def _inplace(name: str) -> bool:
    return name == "__iadd__" or (name.endswith("_") and not name.endswith("__"))


def _twice() -> SurgeryError:
    return SurgeryError(
        "this join is changed already, in another way\n"
        "  mend: begin with the model that the twin was made of"
    )
