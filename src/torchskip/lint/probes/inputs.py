"""Other inputs like the example: another batch, neighbouring sizes, small random numbers."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from torchskip.graph import Graph
from torchskip.trace.tree import leaves, rebuild

__all__ = ["batch_of", "doubled", "mark_for", "neighbours", "random_like", "resized", "shapes_of"]

_SMALL = 64


def shapes_of(example: tuple[object, ...]) -> tuple[tuple[int, ...], ...]:
    """Shapes of the example's tensors."""
    return tuple(tuple(tensor.shape) for _, tensor in leaves(example))


def batch_of(example: tuple[object, ...]) -> int | None:
    """The batch size: the first axis of the first tensor with at least two axes."""
    return next((tensor.shape[0] for _, tensor in leaves(example) if tensor.ndim >= 2), None)


def mark_for(graph: Graph) -> int:
    """A batch size that divides no axis of the pass: it marks the batch wherever it goes."""
    sizes = {size for value in graph.values for size in value.shape}
    sizes |= {size for node in graph.nodes for c in node.constants for size in c.shape}
    primes = [n for n in range(5, 200, 2) if all(n % d for d in range(3, n, 2))]
    return next((p for p in primes if not any(s % p == 0 for s in sizes if s)), primes[-1])


def resized(
    example: tuple[object, ...], *, batch: int | None = None, spatial: dict[int, int] | None = None
) -> tuple[object, ...]:
    """The example with another batch size, or with spatial sizes replaced, axis by axis.

    `spatial` maps an axis counted from the third to its new size, for every tensor that has
    the same spatial rank as the first.
    """
    before = batch_of(example)
    rank, sizes = _space(example)

    def swap(tensor: Tensor) -> Tensor:
        shape = list(tensor.shape)
        if batch is not None and shape and shape[0] == before:
            shape[0] = batch
        if spatial and tensor.ndim == rank and tuple(shape[2:]) == sizes:
            for axis, size in spatial.items():
                shape[2 + axis] = size
        return _like(tensor, shape) if shape != list(tensor.shape) else tensor

    return tuple(rebuild(item, swap) for item in example)


def _space(example: tuple[object, ...]) -> tuple[int, tuple[int, ...]]:
    """Rank and spatial sizes of the first tensor that has any."""
    for _, tensor in leaves(example):
        if tensor.ndim >= 3:
            return tensor.ndim, tuple(tensor.shape[2:])
    return 0, ()


def neighbours(example: tuple[object, ...]) -> Iterator[tuple[object, ...]]:
    """Examples whose spatial sizes are one larger: on all axes, then only on the first."""
    _, sizes = _space(example)
    if not sizes:
        return
    yield resized(example, spatial={axis: size + 1 for axis, size in enumerate(sizes)})
    if len(sizes) > 1:
        yield resized(example, spatial={0: sizes[0] + 1})


def doubled(example: tuple[object, ...]) -> tuple[object, ...]:
    """The example with every spatial size twice as large."""
    _, sizes = _space(example)
    return resized(example, spatial={axis: size * 2 for axis, size in enumerate(sizes)})


def smaller(example: tuple[object, ...]) -> tuple[object, ...]:
    """The example with its spatial sizes brought down to 64 pixels where they are larger."""
    _, sizes = _space(example)
    return resized(example, spatial={a: min(s, _SMALL) for a, s in enumerate(sizes)})


def random_like(example: tuple[object, ...], seed: int = 0) -> tuple[object, ...]:
    """The example on the CPU, with its floating tensors filled with normal numbers."""
    generator = torch.Generator().manual_seed(seed)

    def swap(tensor: Tensor) -> Tensor:
        if tensor.is_floating_point():
            return torch.randn(tensor.shape, generator=generator).to(tensor.dtype)
        if tensor.is_meta:
            return torch.zeros(tensor.shape, dtype=tensor.dtype)
        return tensor.detach().to("cpu", copy=True)  # a model may write to its input

    return tuple(rebuild(item, swap) for item in example)


def _like(tensor: Tensor, shape: list[int]) -> Tensor:
    """A tensor of another shape; integers are repeated, so that indices stay valid."""
    if tensor.is_floating_point() or tensor.is_meta or not tensor.numel():
        return tensor.new_zeros(shape)
    flat = tensor.reshape(-1)
    count = 1
    for size in shape:
        count *= size
    return flat.repeat(-(-count // flat.numel()))[:count].reshape(shape)
