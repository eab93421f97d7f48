"""Scales of a branch: learned from zero, learned per channel, or fixed."""

import math

import torch
from torch import Tensor, nn

from torchskip.errors import ArgumentError

__all__ = ["SCALES", "FixedScale", "LayerScale", "ReZero", "SkipInit"]

SCALES = ("rezero", "skipinit", "layerscale")


class ReZero(nn.Module):
    """Multiply by one learned number: ``y = alpha x``, ``alpha = 0`` at first.

    Bachlechner et al. 2020, *ReZero is All You Need*, eq. 1. A block starts as its shortcut.

    Shapes:
        ``(N, *) -> (N, *)``.

    >>> block = ReZero()
    >>> block(torch.ones(2)).tolist(), block.alpha.shape
    ([0.0, 0.0], torch.Size([]))
    """

    def __init__(
        self, device: torch.device | None = None, dtype: torch.dtype | None = None
    ) -> None:
        super().__init__()
        self.alpha = nn.Parameter(torch.zeros((), device=device, dtype=dtype))

    def forward(self, x: Tensor) -> Tensor:
        """Return ``alpha x``."""
        return x * self.alpha


class SkipInit(ReZero):
    """The same scalar under its other name: ``y = alpha x``, ``alpha = 0`` at first.

    De & Smith 2020, *Batch Normalization Biases Residual Blocks Towards the Identity Function*,
    section 4: it lets deep residual networks train without normalisation.

    Shapes:
        ``(N, *) -> (N, *)``.

    >>> SkipInit()(torch.ones(2)).tolist()
    [0.0, 0.0]
    """


class LayerScale(nn.Module):
    """Multiply every channel by a learned number: ``y_c = gamma_c x_c``, all ``init`` at first.

    Touvron et al. 2021, *Going deeper with Image Transformers*, eq. 4; ``init`` is 0.1 up to
    depth 18, 1e-5 up to 24 and 1e-6 beyond (their section 2), 1e-6 in ConvNeXt.

    Shapes:
        ``(N, C, *spatial) -> (N, C, *spatial)``.

    Raises:
        ArgumentError: unless ``init`` is finite.

    >>> LayerScale(2, spatial=1, init=0.5)(torch.ones(1, 2, 1)).flatten().tolist()
    [0.5, 0.5]

    """

    def __init__(
        self,
        channels: int,
        spatial: int = 2,
        init: float = 1e-6,
        device: torch.device | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        _finite(init)
        shape = (channels,) + (1,) * spatial
        self.gamma = nn.Parameter(torch.full(shape, float(init), device=device, dtype=dtype))

    def forward(self, x: Tensor) -> Tensor:
        """Return ``gamma x``."""
        return x * self.gamma


class FixedScale(nn.Module):
    """Multiply by a constant: ``y = factor x``.

    Szegedy et al. 2016, *Inception-v4*, section 3.3: factors of 0.1 to 0.3 stabilise wide
    residual branches.

    Shapes:
        ``(N, *) -> (N, *)``.

    Raises:
        ArgumentError: unless ``factor`` is finite.

    >>> FixedScale(0.5)(torch.ones(2)).tolist()
    [0.5, 0.5]

    """

    def __init__(self, factor: float) -> None:
        super().__init__()
        _finite(factor)
        self.factor = float(factor)

    def forward(self, x: Tensor) -> Tensor:
        """Return ``factor x``."""
        return x * self.factor

    def extra_repr(self) -> str:
        """Show the factor."""
        return f"factor={self.factor}"


def _finite(value: float) -> None:
    if not math.isfinite(value):
        raise ArgumentError(
            f"scale is {value}, which would make every output {value}\n"
            f"  mend: give a finite number, or one of {', '.join(map(repr, SCALES))}"
        )
