"""Pooling windows that cover every pixel and are centred where a geometry asks."""

from fractions import Fraction
from math import floor

from torchskip.nn.geometry import Geometry

__all__ = ["centred_kernel", "left_padding"]


def centred_kernel(geometry: tuple[Geometry, ...]) -> tuple[int, ...] | None:
    """Smallest window that covers every pixel and can be centred: stride or stride + 1."""
    kernel = []
    for g in geometry:
        if g.stride.denominator != 1 or (2 * g.centre).denominator != 1:
            return None
        stride = int(g.stride)
        kernel.append(stride if (stride - 1 - int(2 * g.centre)) % 2 == 0 else stride + 1)
    return tuple(kernel)


def left_padding(geometry: tuple[Geometry, ...], kernel: tuple[int, ...]) -> tuple[int, ...]:
    """Left padding that centres windows of ``kernel``; a half pixel rounds to the left one."""
    return tuple(
        -floor(g.centre - Fraction(k - 1, 2)) for g, k in zip(geometry, kernel, strict=True)
    )
