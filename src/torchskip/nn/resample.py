"""Linear interpolation at exactly the coordinates that a geometry asks for."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from torchskip.nn.geometry import Geometry, SizeRule

__all__ = ["Resample"]


class Resample(nn.Module):
    """Separable linear interpolation: ``y[i] = x(stride * i + centre)`` along every axis.

    ``x(c) = (1 - w) x[floor(c)] + w x[floor(c) + 1]`` with ``w = c - floor(c)``; the edge pixel
    continues outside. Unlike ``torch.nn.functional.interpolate``, whose coordinates follow from
    the ratio of the two sizes, the coordinates here do not depend on the sizes, so output ``i``
    is centred on ``stride * i + centre`` for every size. ``c`` is computed in integers: exact.

    Shapes:
        ``(..., n_1, ..., n_d) -> (..., m_1, ..., m_d)``, ``m`` by the size rules or as given.

    >>> from fractions import Fraction
    >>> double = Resample([Geometry().scaled(Fraction(2), 0)], [SizeRule(1, 0, ((2, 0),))])
    >>> double(torch.tensor([[[0.0, 4.0]]]))
    tensor([[[0., 1., 3., 4.]]])
    """

    def __init__(
        self, geometry: Sequence[Geometry], sizes: Sequence[SizeRule] | None = None
    ) -> None:
        super().__init__()
        self.geometry = tuple(geometry)
        self._steps = tuple(_integers(g) for g in self.geometry)
        self.sizes = None if sizes is None else tuple(sizes)

    def forward(self, x: Tensor, size: Sequence[int] | None = None) -> Tensor:
        """Resample ``x`` to ``size``, or to the size that the size rules say."""
        count = len(self.geometry)
        layout = _channels_last(x)
        for axis, steps in enumerate(self._steps):
            n = x.shape[axis - count]
            if size is not None:
                m = size[axis]
            else:
                assert self.sizes is not None  # noqa: S101  (one of the two, by construction)
                m = self.sizes[axis](n)
            x = _along(x, axis - count, n, m, *steps)
        return x if layout is None else x.contiguous(memory_format=layout)

    def extra_repr(self) -> str:
        """Show stride and centre per axis."""
        return ", ".join(f"{g.stride} i + {g.centre}" for g in self.geometry)


def _channels_last(x: Tensor) -> torch.memory_format | None:
    """The layout that selecting by index would lose."""
    layout = {4: torch.channels_last, 5: torch.channels_last_3d}.get(x.dim())
    if layout is None or x.is_contiguous() or not x.is_contiguous(memory_format=layout):
        return None
    return layout


def _integers(geometry: Geometry) -> tuple[int, int, int]:
    """Stride and centre over one denominator: compilers do not follow fractions."""
    stride, centre = geometry.stride, geometry.centre
    scale = stride.denominator * centre.denominator
    return int(stride * scale), int(centre * scale), scale


def _along(x: Tensor, dim: int, n: int, m: int, step: int, start: int, scale: int) -> Tensor:
    position = torch.arange(m, device=x.device) * step + start
    below = torch.div(position, scale, rounding_mode="floor")
    if scale == 1:
        return x.index_select(dim, below.clamp(0, n - 1))
    weight = ((position - below * scale).to(x.dtype) / scale).view(-1, *[1] * (-1 - dim))
    low = x.index_select(dim, below.clamp(0, n - 1))
    high = x.index_select(dim, (below + 1).clamp(0, n - 1))
    return torch.lerp(low, high, weight)
