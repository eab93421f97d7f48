"""Inputs with the reason for them, and those that a user writes out."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from torchskip.errors import SpecError

__all__ = ["Example", "parse_shapes"]


@dataclass(frozen=True, slots=True, eq=False)
class Example:
    """Input tensors and where their shapes come from, in words."""

    tensors: tuple[Tensor, ...]
    reason: str

    @property
    def shapes(self) -> str:
        """The shapes as a user writes them: ``1,3,224,224``, several separated by a space."""
        return " ".join(",".join(map(str, t.shape)) for t in self.tensors)

    def filled(self) -> Example:
        """The example with random numbers, and indices of zero, where it has no data."""
        tensors = tuple(_filled(t) if t.is_meta else t for t in self.tensors)
        return replace(self, tensors=tensors)


def parse_shapes(text: str) -> Example:
    """Make random inputs from ``1,3,32,32`` (several inputs: separate with spaces or ``;``).

    >>> [tuple(t.shape) for t in parse_shapes("1,3,32,32 1,10").tensors]
    [(1, 3, 32, 32), (1, 10)]
    """
    shapes = []
    for word in text.replace(";", " ").split():
        try:
            shape = tuple(int(part) for part in word.strip("(),[]").split(",") if part.strip())
        except ValueError:
            shape = ()
        if not shape or min(shape) < 1:
            raise SpecError(f"{word!r} is no shape; mend: --input 1,3,32,32")
        shapes.append(shape)
    if not shapes:
        raise SpecError("--input is empty; mend: --input 1,3,32,32")
    return Example(tuple(torch.rand(s) for s in shapes), "given")


def _filled(tensor: Tensor) -> Tensor:
    if not tensor.is_floating_point():
        return torch.zeros(tensor.shape, dtype=tensor.dtype)
    return torch.rand(tensor.shape).to(tensor.dtype)
