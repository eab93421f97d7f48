"""Shapes of the commonest operations on meta tensors, without torch's slow Python kernels.

A batch normalisation costs torch's own meta kernel a millisecond, more than the layer itself
on small images. Each rule answers the plain case alone and leaves the rest to that kernel.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

__all__ = ["RULES"]

Rule = Callable[..., Any]
aten = torch.ops.aten
_WIDE = (torch.float32, torch.float64)  # statistics of narrower types are kept wider


def _like(x: torch.Tensor) -> torch.Tensor:
    return torch.empty_strided(x.shape, x.stride(), dtype=x.dtype, device="meta")


def _plain(x: Any) -> bool:
    """Whether results have the strides of `x`: it is dense, in rows or in channels-last order."""
    return (
        isinstance(x, torch.Tensor)
        and x.is_meta
        and x.is_floating_point()
        and (x.is_contiguous() or (x.dim() == 4 and _channels_last(x)))
    )


def _channels_last(x: torch.Tensor) -> bool:
    return x.is_contiguous(memory_format=torch.channels_last)


def _unary(x: Any, *_: Any, **__: Any) -> Any:
    return _like(x) if _plain(x) else NotImplemented


def _unary_inplace(x: Any, *_: Any, **__: Any) -> Any:
    return x if _plain(x) else NotImplemented


def _binary(x: Any, y: Any, *_: Any, **__: Any) -> Any:
    if not _plain(x):
        return NotImplemented
    if isinstance(y, torch.Tensor):
        alike = y.is_meta and y.shape == x.shape and y.dtype == x.dtype
        if not alike or y.stride() != x.stride():
            return NotImplemented
    return NotImplemented if isinstance(y, complex) else _like(x)


def _binary_inplace(x: Any, y: Any, *_: Any, **__: Any) -> Any:
    same = _binary(x, y)
    return same if same is NotImplemented else x


def _norm(x: torch.Tensor, weight: torch.Tensor | None) -> torch.Tensor | None:
    """Return the result of a normalisation over the second axis, None where it is not plain."""
    if not _plain(x) or x.dim() < 2 or (weight is not None and weight.dtype != x.dtype):
        return None
    return _like(x)


def _fits(x: torch.Tensor, *vectors: torch.Tensor | None) -> bool:
    return all(v is None or (v.is_meta and v.shape == x.shape[1:2]) for v in vectors)


def _batch_norm(x: Any, weight: Any, bias: Any, mean: Any, variance: Any, *_: Any) -> Any:
    if not _fits(x, weight, bias, mean, variance) or x.dtype not in _WIDE:
        return NotImplemented
    out = _norm(x, weight)
    if out is None:
        return NotImplemented
    return out, *(torch.empty(x.shape[1], dtype=x.dtype, device="meta") for _ in range(2))


def _layer_norm(x: Any, shape: Any, weight: Any, bias: Any, *_: Any) -> Any:
    n = len(shape)
    whole = (x, *(v for v in (weight, bias) if v is not None))
    if (
        x.dtype not in _WIDE
        or not all(v.is_meta and v.dtype == x.dtype and v.is_contiguous() for v in whole)
        or list(x.shape[-n:]) != list(shape)
        or any(list(v.shape) != list(shape) for v in whole[1:])
    ):
        return NotImplemented
    rows = (*x.shape[:-n], *[1] * n)
    return _like(x), *(torch.empty(rows, dtype=x.dtype, device="meta") for _ in range(2))


def _addmm(bias: Any, x: Any, y: Any, **scale: Any) -> Any:
    if (
        scale
        or not (bias.is_meta and x.is_meta and y.is_meta)
        or not (x.dim() == y.dim() == 2 and x.shape[1] == y.shape[0])
        or bias.shape != y.shape[1:]
        or not (bias.dtype == x.dtype == y.dtype)
    ):
        return NotImplemented
    return torch.empty((x.shape[0], y.shape[1]), dtype=x.dtype, device="meta")


def _convolution(
    x: Any,
    weight: Any,
    bias: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    transposed: bool,
    output_padding: Any,
    groups: int,
) -> Any:
    sizes = x.shape[2:]
    if transposed:
        _check_transposed(x, weight, bias, stride, dilation, output_padding, groups)
        return NotImplemented
    if (
        not (x.is_meta and weight.is_meta)
        or not len(sizes) == len(weight.shape) - 2 == len(stride) == len(padding) == len(dilation)
        or x.shape[1] != weight.shape[1] * groups
        or 0 in x.shape
    ):
        return NotImplemented
    geometry = zip(sizes, weight.shape[2:], stride, padding, dilation, strict=True)
    out = [(n + 2 * p - d * (k - 1) - 1) // s + 1 for n, k, s, p, d in geometry]
    if min(out, default=0) < 1:
        return NotImplemented
    return torch.empty((x.shape[0], weight.shape[0], *out), dtype=x.dtype, device="meta")


def _check_transposed(
    x: Any, weight: Any, bias: Any, stride: Any, dilation: Any, output_padding: Any, groups: int
) -> None:
    """Refuse what real kernels refuse and the meta kernel takes."""
    if x.shape[1] != weight.shape[0]:
        raise RuntimeError(
            f"Given transposed=1, weight of size {list(weight.shape)}, expected input"
            f"{list(x.shape)} to have {weight.shape[0]} channels, but got {x.shape[1]} channels"
        )
    if bias is not None and bias.shape != (weight.shape[1] * groups,):
        raise RuntimeError(f"a bias of {tuple(bias.shape)} for {weight.shape[1] * groups} channels")
    if any(o >= max(s, d) for o, s, d in zip(output_padding, stride, dilation, strict=False)):
        raise RuntimeError("output padding must be smaller than either stride or dilation")


def _cat(tensors: Any, dim: int = 0) -> Any:
    first = tensors[0]
    rank = first.dim()
    if rank < 2 or not _plain(first) or (rank == 4 and _channels_last(first)) or rank > 4:
        return NotImplemented
    axis = dim % rank
    shape = list(first.shape)
    shape[axis] = 0
    for x in tensors:
        sizes = list(x.shape)
        if not x.is_meta or x.dtype != first.dtype or len(sizes) != rank:
            return NotImplemented
        shape[axis] += sizes[axis]
        sizes[axis] = shape[axis]
        if sizes != shape:
            return NotImplemented
    return torch.empty(shape, dtype=first.dtype, device="meta")


_UNARY = (
    *("relu", "sigmoid", "tanh", "silu", "gelu", "mish", "hardswish", "hardsigmoid"),
    *("hardtanh", "leaky_relu", "elu", "exp", "neg"),
)
_BINARY = ("add.Tensor", "sub.Tensor", "mul.Tensor", "div.Tensor")


def _overload(name: str) -> Any:
    base, _, overload = name.partition(".")
    return getattr(getattr(aten, base), overload or "default")


RULES: dict[Any, Rule] = {
    **{_overload(name): _unary for name in _UNARY},
    **{_overload(f"{name}_"): _unary_inplace for name in _UNARY},
    **{_overload(name): _binary for name in _BINARY},
    **{_overload(name.replace(".", "_.")): _binary_inplace for name in _BINARY},
    aten._native_batch_norm_legit_no_training.default: _batch_norm,
    aten.native_batch_norm.default: _batch_norm,
    aten._native_batch_norm_legit.default: _batch_norm,
    aten.native_layer_norm.default: _layer_norm,
    aten.addmm.default: _addmm,
    aten.convolution.default: _convolution,
    aten.cat.default: _cat,
}
