"""The shortcuts: modules that end on the branch's grid, of exactly its size, aligned with it."""

from collections import OrderedDict
from math import prod
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from torchskip.errors import ArgumentError, GeometryError
from torchskip.nn.frame import Frame, fixed_right
from torchskip.nn.probe import Probe
from torchskip.nn.resample import Resample
from torchskip.nn.windows import centred_kernel, left_padding

__all__ = ["SHORTCUTS", "PadChannels", "Subsample", "derive_shortcut", "projection"]

SHORTCUTS = ("auto", "identity", "project", "pool", "pad")

_POOLS: dict[int, type[Any]] = {1: nn.AvgPool1d, 2: nn.AvgPool2d, 3: nn.AvgPool3d}
_PADS: dict[int, type[Any]] = {1: nn.ConstantPad1d, 2: nn.ConstantPad2d, 3: nn.ConstantPad3d}
_CONVS: dict[int, type[Any]] = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}


class Subsample(nn.Module):
    """Keep every ``stride``-th pixel: ``y[i] = x[stride * i]`` along every axis.

    Shapes:
        ``(..., n_1, ..., n_d) -> (..., ceil(n_1 / stride_1), ...)``.
    """

    def __init__(self, stride: tuple[int, ...]) -> None:
        super().__init__()
        self.stride = stride
        self._index: tuple[Any, ...] = (..., *(slice(None, None, s) for s in stride))

    def forward(self, x: Tensor) -> Tensor:
        """Return a strided view of ``x``."""
        return x[self._index]

    def extra_repr(self) -> str:
        """Show the stride."""
        return f"stride={self.stride}"


class PadChannels(nn.Module):
    """Append ``extra`` channels of zeros: option A of He et al. 2015, section 3.3.

    Shapes:
        ``(N, C, *spatial) -> (N, C + extra, *spatial)``.
    """

    def __init__(self, extra: int, spatial: int) -> None:
        super().__init__()
        self.extra = extra
        self._pads = [0, 0] * spatial + [0, extra]

    def forward(self, x: Tensor) -> Tensor:
        """Return ``x`` with its zero channels."""
        return F.pad(x, self._pads)

    def extra_repr(self) -> str:
        """Show the number of added channels."""
        return f"extra={self.extra}"


def derive_shortcut(
    kind: str,
    found: Probe,
    *,
    channels: bool = True,
    device: torch.device | None = None,
    dtype: torch.dtype | None = None,
) -> nn.Module:
    """The cheapest module of a kind that has the branch's output size for every input size.

    Args:
        kind: one of ``auto``, ``identity``, ``project``, ``pool``, ``pad``.
        found: what the probe learned of the branch.
        channels: whether the number of channels must match too (not for a concatenation).
        device: where the parameters live.
        dtype: type of the parameters.

    Raises:
        GeometryError: when the kind cannot follow the branch's geometry.

    """
    differs = found.in_channels != found.out_channels
    # Where the sizes agree the shortcut stays a true identity (He et al. 2016, section 3), also
    # beside a branch that looks off to a side, such as the causal convolutions of a TCN.
    if kind == "identity" or (found.keeps_size and not differs):
        return nn.Identity()
    steps: OrderedDict[str, nn.Module] = OrderedDict()
    stride = tuple(int(g.stride) for g in found.geometry)
    if kind == "pad":
        _need_integer_stride(kind, found)
        steps.update(_framed(found, (1,) * found.spatial))
        if max(stride, default=1) > 1:
            steps["subsample"] = Subsample(stride)
        if differs and channels:
            extra = (found.out_channels or 0) - (found.in_channels or 0)
            if extra < 0:
                raise ArgumentError(
                    f'shortcut="pad" appends channels of zeros and cannot go from '
                    f"{found.in_channels} to {found.out_channels} channels\n"
                    f'  mend: shortcut="auto" or "project" learns a 1x1 convolution'
                )
            steps["pad_channels"] = PadChannels(extra, found.spatial)
    elif kind == "project":
        _need_integer_stride(kind, found)
        steps.update(_framed(found, (1,) * found.spatial))
        steps["project"] = projection(
            found.in_channels, found.out_channels, found.spatial, stride, device, dtype
        )
    else:
        project = (
            projection(found.in_channels, found.out_channels, found.spatial, 1, device, dtype)
            if differs and channels
            else None
        )
        shrinks = prod(g.stride for g in found.geometry) >= 1
        if project is not None and not shrinks:
            steps["project"] = project
        steps.update(_on_grid(kind, found))
        if project is not None and shrinks:
            steps["project"] = project
    if not steps:
        return nn.Identity()
    return next(iter(steps.values())) if len(steps) == 1 else nn.Sequential(steps)


def projection(
    in_channels: int | None,
    out_channels: int | None,
    spatial: int,
    stride: int | tuple[int, ...] = 1,
    device: torch.device | None = None,
    dtype: torch.dtype | None = None,
) -> nn.Module:
    """A 1x1 convolution without bias that keeps the variance of its input at initialisation.

    A linear layer where there is no spatial axis. Weights are normal with
    ``std = 1 / sqrt(in_channels)``: He et al. 2015 (arXiv 1502.01852) eq. 10 without the factor
    for a rectifier, which a shortcut does not have.

    Raises:
        GeometryError: when the branch does not tell its number of channels.

    """
    if in_channels is None or out_channels is None:
        raise GeometryError(
            "a 1x1 projection needs the number of channels, which the branch's layers do not "
            "tell\n  mend: pass in_channels=..."
        )
    layer: nn.Module
    if spatial:
        layer = _CONVS[spatial](
            in_channels, out_channels, 1, stride, bias=False, device=device, dtype=dtype
        )
    else:
        layer = nn.Linear(in_channels, out_channels, bias=False, device=device, dtype=dtype)
    nn.init.kaiming_normal_(layer.get_parameter("weight"), nonlinearity="linear")
    return layer


def _on_grid(kind: str, found: Probe) -> OrderedDict[str, nn.Module]:
    """Pool, pad or interpolate onto the branch's grid."""
    if found.keeps_size:
        return OrderedDict()
    kernel = centred_kernel(found.geometry)
    if kernel is None:
        if kind == "pool":
            _need_integer_stride(kind, found)
        return OrderedDict(resample=_upsample(found) or Resample(found.geometry, found.sizes))
    stride = tuple(int(g.stride) for g in found.geometry)
    left = left_padding(found.geometry, kernel)
    if max(kernel) > 1:
        pads = _fixed_pads(found, left, kernel, stride)
        if pads is not None and _pool_can_pad(pads, kernel):
            own = tuple(a for a, _ in pads)
            return OrderedDict(pool=_POOLS[found.spatial](kernel, stride, own))
    steps = _framed(found, kernel)
    if max(kernel) > 1:
        steps["pool"] = _POOLS[found.spatial](kernel, stride)
    return steps


def _framed(found: Probe, kernel: tuple[int, ...]) -> OrderedDict[str, nn.Module]:
    """Zero padding and cropping for windows of ``kernel`` at the branch's stride."""
    stride = tuple(int(g.stride) for g in found.geometry)
    left = left_padding(found.geometry, kernel)
    pads = _fixed_pads(found, left, kernel, stride)
    if pads is None:
        return OrderedDict(frame=Frame(left, kernel, stride, found.sizes))
    steps: OrderedDict[str, nn.Module] = OrderedDict()
    flat = [side for pair in reversed(pads) for side in pair]
    # Growing first: cropping a small image before it has grown would leave nothing.
    grow, crop = [max(p, 0) for p in flat], [min(p, 0) for p in flat]
    if any(grow):
        steps["pad"] = _PADS[found.spatial](tuple(grow), 0.0)
    if any(crop):
        steps["crop"] = _PADS[found.spatial](tuple(crop), 0.0)
    return steps


def _fixed_pads(
    found: Probe, left: tuple[int, ...], kernel: tuple[int, ...], stride: tuple[int, ...]
) -> list[tuple[int, int]] | None:
    pads = []
    for rule, a, k, s in zip(found.sizes, left, kernel, stride, strict=True):
        right = fixed_right(rule, a, k, s)
        if right is None:
            return None
        pads.append((a, right))
    return pads


def _pool_can_pad(pads: list[tuple[int, int]], kernel: tuple[int, ...]) -> bool:
    """Whether the pooling layer's own padding does.

    Not in three dimensions: ``avg_pool3d`` compares its kernel with the image without padding.
    """
    if len(kernel) == 3 and any(side for pair in pads for side in pair):
        return False
    return all(0 <= a == b <= k // 2 for (a, b), k in zip(pads, kernel, strict=True))


def _upsample(found: Probe) -> nn.Module | None:
    """Interpolation by torch itself, where its coordinates are the branch's for every size."""
    for g, rule in zip(found.geometry, found.sizes, strict=True):
        factor = 1 / g.stride
        whole = factor.denominator == 1
        if not whole or g.centre != (g.stride - 1) / 2 or rule.offset:
            return None
        if rule.terms != ((int(factor), 0),) or rule.period != 1:
            return None
    mode = {1: "linear", 2: "bilinear", 3: "trilinear"}[found.spatial]
    factors = tuple(float(1 / g.stride) for g in found.geometry)
    return nn.Upsample(scale_factor=factors, mode=mode, align_corners=False)


def _need_integer_stride(kind: str, found: Probe) -> None:
    strides = tuple(str(g.stride) for g in found.geometry)
    if any("/" in stride for stride in strides) or (
        kind == "pool" and centred_kernel(found.geometry) is None
    ):
        raise GeometryError(
            f'shortcut="{kind}" needs windows that fit the branch\'s pixels, but its strides are '
            f"{', '.join(strides)} and its centres "
            f"{', '.join(str(g.centre) for g in found.geometry)} pixels\n"
            f'  mend: shortcut="auto" interpolates'
        )
