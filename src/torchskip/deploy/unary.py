"""The activations that a layer can end with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["Unary"]

_EAGER: dict[str, Callable[..., Tensor]] = {
    "relu": torch.relu_,
    "sigmoid": torch.sigmoid_,
    "tanh": torch.tanh_,
    "swish": lambda x: F.silu(x, inplace=True),
    "hardswish": lambda x: F.hardswish(x, inplace=True),
    "hardsigmoid": lambda x: F.hardsigmoid(x, inplace=True),
    "leaky_relu": lambda x, slope: F.leaky_relu(x, slope, inplace=True),
    "hardtanh": lambda x, low, high: x.clamp_(low, high),
    "gelu": lambda x, approximate: F.gelu(x, approximate=approximate),
}


@dataclass(frozen=True, slots=True)
class Unary:
    """An activation by oneDNN's name, its numbers and its variant."""

    name: str
    scalars: tuple[float, ...] = ()
    algorithm: str = ""

    def eager(self, x: Tensor) -> Tensor:
        """Apply it to `x`, in place where there is such a form."""
        more = (self.algorithm,) if self.algorithm else self.scalars
        return _EAGER[self.name](x, *more)
