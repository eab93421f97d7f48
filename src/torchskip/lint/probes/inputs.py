"""Other inputs like the example: another batch, neighbouring sizes, small random numbers."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from torchskip.graph import Graph

__all__ = ["batch_of", "mark_for", "neighbours", "random_like", "resized", "shapes_of"]

_SMALL = 64


def shapes_of(example: tuple[object, ...]) -> tuple[tuple[int, ...], ...]:
    """Shapes of the example's tensors."""
    return tuple(tuple(item.shape) for item in example if isinstance(item, Tensor))


def batch_of(example: tuple[object, ...]) -> int | None:
    """The batch size: the first axis of the first tensor with at least two axes."""
    for item in example:
        if isinstance(item, Tensor) and item.ndim >= 2:
            return item.shape[0]
    return None


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
    rank = next((i.ndim for i in example if isinstance(i, Tensor) and i.ndim >= 3), 0)
    sizes = next((tuple(i.shape[2:]) for i in example if isinstance(i, Tensor) and i.ndim >= 3), ())
    out: list[object] = []
    for item in example:
        if isinstance(item, Tensor) and item.ndim:
            shape = list(item.shape)
            if batch is not None and shape[0] == before:
                shape[0] = batch
            if spatial and item.ndim == rank and tuple(shape[2:]) == sizes:
                for axis, size in spatial.items():
                    shape[2 + axis] = size
            if shape != list(item.shape):
                item = _like(item, shape)
        out.append(item)
    return tuple(out)


def neighbours(example: tuple[object, ...]) -> Iterator[tuple[object, ...]]:
    """Examples whose spatial sizes are one larger: on all axes, then only on the first."""
    sizes = next((tuple(i.shape[2:]) for i in example if isinstance(i, Tensor) and i.ndim >= 3), ())
    if not sizes:
        return
    yield resized(example, spatial={axis: size + 1 for axis, size in enumerate(sizes)})
    if len(sizes) > 1:
        yield resized(example, spatial={0: sizes[0] + 1})


def smaller(example: tuple[object, ...]) -> tuple[object, ...]:
    """The example with its spatial sizes brought down to 64 pixels where they are larger."""
    sizes = next((tuple(i.shape[2:]) for i in example if isinstance(i, Tensor) and i.ndim >= 3), ())
    return resized(example, spatial={a: min(s, _SMALL) for a, s in enumerate(sizes)})


def random_like(example: tuple[object, ...], seed: int = 0) -> tuple[object, ...]:
    """The example with its floating tensors filled with normal numbers on the CPU."""
    generator = torch.Generator().manual_seed(seed)
    out: list[object] = []
    for item in example:
        if isinstance(item, Tensor):
            if item.is_floating_point():
                item = torch.randn(item.shape, generator=generator).to(item.dtype)
            elif item.is_meta:
                item = torch.zeros(item.shape, dtype=item.dtype)
        out.append(item)
    return tuple(out)


def _like(tensor: Tensor, shape: list[int]) -> Tensor:
    """A tensor of another shape; integers are repeated, so that indices stay valid."""
    if tensor.is_floating_point() or tensor.is_meta or not tensor.numel():
        return tensor.new_zeros(shape)
    flat = tensor.reshape(-1)
    count = 1
    for size in shape:
        count *= size
    return flat.repeat(-(-count // flat.numel()))[:count].reshape(shape)
