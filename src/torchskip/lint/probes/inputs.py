"""Other inputs like the example: another batch, neighbouring sizes, small random numbers."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from torchskip.graph import Graph
from torchskip.lint.facts import Shapes
from torchskip.trace.tree import leaves, rebuild

__all__ = [
    "apart",
    "batch_of",
    "doubled",
    "mark_for",
    "neighbours",
    "random_like",
    "shaped",
    "shapes_of",
    "smaller",
    "with_batch",
]

_SMALL = 64


def shapes_of(example: tuple[object, ...]) -> Shapes:
    """Shapes of the example's tensors."""
    return tuple(tuple(tensor.shape) for _, tensor in leaves(example))


def shaped(example: tuple[object, ...], shapes: Shapes) -> tuple[object, ...]:
    """The example with tensors of these shapes, in the order of its own.

    One tensor given twice becomes two: an example for two images is often one zero image.
    """
    rest = iter(shapes)
    seen: set[int] = set()

    def swap(tensor: Tensor) -> Tensor:
        shape = next(rest)
        if tuple(tensor.shape) != shape:
            return _like(tensor, shape)
        again = id(tensor) in seen
        seen.add(id(tensor))
        return tensor.detach().clone() if again else tensor

    result: tuple[object, ...] = rebuild(example, swap)
    return result


def batch_of(shapes: Shapes) -> int | None:
    """The batch size: the first axis of the first tensor with at least two axes."""
    return next((shape[0] for shape in shapes if len(shape) >= 2), None)


def with_batch(shapes: Shapes, batch: int) -> Shapes:
    """The shapes with another batch size."""
    before = batch_of(shapes)
    return tuple((batch, *shape[1:]) if shape and shape[0] == before else shape for shape in shapes)


def mark_for(graph: Graph) -> int:
    """A batch size that divides no axis of the pass: it marks the batch wherever it goes."""
    sizes = {size for value in graph.values for size in value.shape}
    sizes |= {size for node in graph.nodes for c in node.constants for size in c.shape}
    primes = [n for n in range(5, 200, 2) if all(n % d for d in range(3, n, 2))]
    return next((p for p in primes if not any(s % p == 0 for s in sizes if s)), primes[-1])


def _sizes(shapes: Shapes) -> tuple[int, ...]:
    """Spatial sizes of the first tensor that has any."""
    return next((shape[2:] for shape in shapes if len(shape) >= 3), ())


def _with_sizes(shapes: Shapes, sizes: tuple[int, ...]) -> Shapes:
    """The shapes with other spatial sizes, wherever a tensor has those of the first."""
    before = _sizes(shapes)
    return tuple(
        (*shape[:2], *sizes) if len(shape) >= 3 and shape[2:] == before else shape
        for shape in shapes
    )


def neighbours(shapes: Shapes) -> Iterator[Shapes]:
    """Spatial sizes that are one larger: on all axes, then only on the first."""
    sizes = _sizes(shapes)
    if sizes:
        yield _with_sizes(shapes, tuple(size + 1 for size in sizes))
    if len(sizes) > 1:
        yield _with_sizes(shapes, (sizes[0] + 1, *sizes[1:]))


def apart(shapes: Shapes) -> Shapes:
    """Every spatial size one larger, the last after doubling: odd, and unequal at each level."""
    *sizes, last = _sizes(shapes) or (0,)
    return _with_sizes(shapes, (*(size + 1 for size in sizes), 2 * last + 1))


def doubled(shapes: Shapes) -> Shapes:
    """Every spatial size twice as large."""
    return _with_sizes(shapes, tuple(2 * size for size in _sizes(shapes)))


def smaller(shapes: Shapes) -> Shapes:
    """At most 64 pixels a side, and a batch of at least two."""
    small = _with_sizes(shapes, tuple(min(size, _SMALL) for size in _sizes(shapes)))
    return with_batch(small, max(batch_of(shapes) or 2, 2))


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


def _like(tensor: Tensor, shape: tuple[int, ...]) -> Tensor:
    """A tensor of another shape; integers are repeated, so that indices stay valid."""
    if tensor.is_floating_point() or tensor.is_meta or not tensor.numel():
        return tensor.new_zeros(shape)
    flat = tensor.reshape(-1)
    count = 1
    for size in shape:
        count *= size
    return flat.repeat(-(-count // flat.numel()))[:count].reshape(shape)
