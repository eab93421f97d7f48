"""The operators that move pixels, and what each does to the geometry of its input.

Every other operator leaves pixels where they are, or loses them (see ``follow``).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from torch import Tensor

from torchskip.nn.geometry import Geometry

__all__ = ["MOVES", "Axis", "Dims", "Lost"]


@dataclass(frozen=True, slots=True)
class Lost:
    """A spatial axis whose geometry is no longer affine, and why."""

    reason: str


Axis = tuple[int, Geometry | Lost]  # which spatial axis of the input, and how it is sampled
Dims = Sequence[Axis | None]  # per dimension of a tensor; None: batch, channels
Call = dict[str, Any]  # the operator's arguments by name
Move = Callable[[Dims, Call, Tensor, Tensor], Dims]  # (dims, call, input, output) -> dims


def _each(dims: Dims, step: Callable[[int, Geometry], Geometry | Lost], count: int) -> Dims:
    """Apply ``step(index, geometry)`` to the last ``count`` dimensions."""
    moved = list(dims)
    for index in range(count):
        d = len(dims) - count + index
        dim = moved[d]
        if dim is not None and isinstance(dim[1], Geometry):
            moved[d] = (dim[0], step(index, dim[1]))
    return moved


def _per_axis(values: Any, count: int, default: int) -> list[int]:
    values = list(values) if isinstance(values, list | tuple) else [values]
    values = values or [default]
    return [int(v) for v in (values * count if len(values) == 1 else values)]


def _convolution(dims: Dims, call: Call, x: Tensor, out: Tensor) -> Dims:
    kernel = list(call["weight"].shape[2:])
    count = len(kernel)
    stride = _per_axis(call["stride"], count, 1)
    padding = _per_axis(call["padding"], count, 0)
    dilation = _per_axis(call["dilation"], count, 1)

    def step(i: int, geometry: Geometry) -> Geometry:
        move = geometry.transposed if call["transposed"] else geometry.window
        return move(dilation[i] * (kernel[i] - 1), stride[i], padding[i])

    return _each(dims, step, count)


def _pool(dims: Dims, call: Call, x: Tensor, out: Tensor) -> Dims:
    count = len(call["kernel_size"]) if len(call["kernel_size"]) > 1 else x.dim() - 2
    kernel = _per_axis(call["kernel_size"], count, 1)
    stride = _per_axis(call.get("stride") or kernel, count, 1)
    padding = _per_axis(call.get("padding", 0), count, 0)
    dilation = _per_axis(call.get("dilation", 1), count, 1)
    return _each(
        dims, lambda i, g: g.window(dilation[i] * (kernel[i] - 1), stride[i], padding[i]), count
    )


def _pad(dims: Dims, call: Call, x: Tensor, out: Tensor) -> Dims:
    pads = list(call["pad"] if "pad" in call else call["padding"])
    count = len(pads) // 2  # given from the last dimension backwards
    return _each(dims, lambda i, g: g.window(0, 1, int(pads[2 * (count - 1 - i)])), count)


def _resize(reach: int) -> Move:
    def move(dims: Dims, call: Call, x: Tensor, out: Tensor) -> Dims:
        count = x.dim() - 2
        scales = call.get("scale_factors") or [
            call.get(key) for key in ("scales_d", "scales_h", "scales_w")[3 - count :]
        ]
        if count == 1:
            scales = [call.get("scales")]

        def step(i: int, geometry: Geometry) -> Geometry | Lost:
            if call.get("align_corners"):
                return Lost("a resize with align_corners=True has no fixed stride")
            scale = scales[i]
            factor = Fraction(out.shape[2 + i], x.shape[2 + i])
            if scale:
                factor = Fraction(scale).limit_denominator(64)
            return geometry.scaled(factor, reach)

        return _each(dims, step, count)

    return move


def _adaptive(dims: Dims, call: Call, x: Tensor, out: Tensor) -> Dims:
    lost = Lost("adaptive pooling has no fixed stride")
    return _each(dims, lambda i, g: lost, len(call["output_size"]))


def _pixel_shuffle(dims: Dims, call: Call, x: Tensor, out: Tensor) -> Dims:
    factor = Fraction(int(call["upscale_factor"]))
    return _each(dims, lambda i, g: g.scaled(factor, 0), 2)


def _pixel_unshuffle(dims: Dims, call: Call, x: Tensor, out: Tensor) -> Dims:
    factor = int(call["downscale_factor"])
    return _each(dims, lambda i, g: g.window(factor - 1, factor, 0), 2)


def _slice(dims: Dims, call: Call, x: Tensor, out: Tensor) -> Dims:
    dim, start, step = slice_of(call, x)
    moved, axis = list(dims), dims[dim]
    if axis is not None and isinstance(axis[1], Geometry):
        moved[dim] = (axis[0], axis[1].window(0, step, -start))
    return moved


def slice_of(call: Call, x: Tensor) -> tuple[int, int, int]:
    """``(dim, start, step)`` of a call of ``aten::slice``, counted from the front."""
    dim = int(call.get("dim") or 0) % x.dim()
    start, size = int(call.get("start") or 0), x.shape[dim]
    return dim, max(0, start + size if start < 0 else start), int(call.get("step") or 1)


def _flip(dims: Dims, call: Call, x: Tensor, out: Tensor) -> Dims:
    flipped = {int(d) % x.dim() for d in call["dims"]}
    lost = Lost("a flip runs against the input's direction")
    return [(dim[0], lost) if dim and d in flipped else dim for d, dim in enumerate(dims)]


def _permute(dims: Dims, call: Call, x: Tensor, out: Tensor) -> Dims:
    return [dims[int(d)] for d in call["dims"]]


def _transpose(dims: Dims, call: Call, x: Tensor, out: Tensor) -> Dims:
    moved = list(dims)
    a, b = int(call.get("dim0", 0)), int(call.get("dim1", 1))
    moved[a], moved[b] = moved[b], moved[a]
    return moved


def _unsqueeze(dims: Dims, call: Call, x: Tensor, out: Tensor) -> Dims:
    moved = list(dims)
    moved.insert(int(call["dim"]) % out.dim(), None)
    return moved


def _squeeze(dims: Dims, call: Call, x: Tensor, out: Tensor) -> Dims:
    given = call.get("dim", list(range(x.dim())))
    chosen = {int(d) % x.dim() for d in (given if isinstance(given, list | tuple) else [given])}
    return [dim for d, dim in enumerate(dims) if not (d in chosen and x.shape[d] == 1)]


MOVES: dict[str, Move] = {
    "convolution": _convolution,
    "permute": _permute,
    "transpose": _transpose,
    "t": _transpose,
    "unsqueeze": _unsqueeze,
    "squeeze": _squeeze,
    "slice": _slice,
    "flip": _flip,
    "constant_pad_nd": _pad,
    "pixel_shuffle": _pixel_shuffle,
    "pixel_unshuffle": _pixel_unshuffle,
    "max_pool2d_with_indices": _pool,
    "max_pool3d_with_indices": _pool,
}
for _count in (1, 2, 3):
    MOVES[f"reflection_pad{_count}d"] = MOVES[f"replication_pad{_count}d"] = _pad
    MOVES[f"avg_pool{_count}d"] = MOVES[f"max_pool{_count}d"] = _pool
    for _name in ("_adaptive_avg_pool", "adaptive_avg_pool", "adaptive_max_pool"):
        MOVES[f"{_name}{_count}d"] = _adaptive
    for _name in ("upsample_nearest", "_upsample_nearest_exact"):
        MOVES[f"{_name}{_count}d"] = _resize(0)
for _name in ("linear1d", "bilinear2d", "trilinear3d"):
    MOVES[f"upsample_{_name}"] = _resize(1)
for _name in ("upsample_bicubic2d", "_upsample_bilinear2d_aa", "_upsample_bicubic2d_aa"):
    MOVES[_name] = _resize(3)
