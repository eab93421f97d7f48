"""Which tensors share storage, and what was written there: versions follow every alias."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

import torch
from torch.multiprocessing.reductions import StorageWeakRef

__all__ = ["Extent", "Memories", "Memory", "extent"]


@dataclass(frozen=True, slots=True)
class Extent:
    """The bytes that a tensor reaches in its storage: start, and size and stride per axis."""

    start: int
    sizes: tuple[int, ...]
    strides: tuple[int, ...]
    item: int

    @property
    def end(self) -> int:
        """One past the last byte."""
        if 0 in self.sizes:
            return self.start
        reach = sum((n - 1) * s for n, s in zip(self.sizes, self.strides, strict=True))
        return self.start + reach + self.item

    @property
    def dense(self) -> bool:
        """Whether every byte between start and end is reached."""
        count = self.item
        for n in self.sizes:
            count *= n
        return count == self.end - self.start

    def meets(self, other: Extent) -> bool:
        """Whether the two may share a byte; exact for slices of one tensor along axes."""
        if self.start >= other.end or other.start >= self.end:
            return False
        corners = self._corners(other)
        if corners is None:
            return True
        return all(
            a < b + m and b < a + n
            for a, n, b, m in zip(corners[0], self.sizes, corners[1], other.sizes, strict=True)
        )

    def covers(self, other: Extent) -> bool:
        """Whether every byte of `other` is one of this; False where that is not certain."""
        if self == other:
            return True
        if self.start > other.start or self.end < other.end:
            return False
        if self.dense:
            return True
        corners = self._corners(other)
        return corners is not None and all(
            a <= b and b + m <= a + n
            for a, n, b, m in zip(corners[0], self.sizes, corners[1], other.sizes, strict=True)
        )

    def _corners(self, other: Extent) -> tuple[list[int], list[int]] | None:
        """Return both first corners as coordinates of one grid, None when there is none.

        Slices of one tensor along its axes have its strides; then the starts, divided by the
        strides from the largest down, are coordinates, provided that rows do not run over.
        """
        if self.strides != other.strides or self.item != other.item:
            return None
        origin = min(self.start, other.start)
        order = sorted(range(len(self.strides)), key=lambda i: -self.strides[i])
        if any(s < self.item for s in self.strides):
            return None
        corners = []
        for box in (self, other):
            rest, corner = box.start - origin, [0] * len(order)
            for axis in order:
                corner[axis], rest = divmod(rest, self.strides[axis])
            if rest:
                return None
            corners.append(corner)
        for box, corner in zip((self, other), corners, strict=True):
            for outer, inner in itertools.pairwise(order):
                room = self.strides[outer]
                if (corner[inner] + box.sizes[inner]) * self.strides[inner] > room:
                    return None
        return corners[0], corners[1]


def extent(tensor: torch.Tensor) -> Extent:
    """Return what `tensor` reaches in its storage."""
    item = tensor.element_size()
    return Extent(
        int(tensor.storage_offset()) * item,
        tuple(tensor.shape),
        tuple(s * item for s in tensor.stride()),
        item,
    )


@dataclass(slots=True)
class Memory:
    """One storage that holds values: its number and what was written, in order."""

    index: int
    writes: list[tuple[int, Extent]] = field(default_factory=list)

    def since(self, version: int, reader: Extent) -> tuple[list[int], bool]:
        """Return the values written since `version` that `reader` meets, and whether they hide all.

        Writes that a later one covers are left out.
        """
        kept: list[tuple[int, Extent]] = []
        hidden = False
        for value, box in reversed(self.writes[version:]):
            if not box.meets(reader) or any(later.covers(box) for _, later in kept):
                continue
            kept.append((value, box))
            if box.covers(reader):
                hidden = True
                break
        return [value for value, _ in reversed(kept)], hidden


class Memories:
    """Finds the memory of a tensor by its storage.

    A weak reference keeps a storage's address from being used twice, yet frees its data.
    """

    def __init__(self) -> None:
        self._known: dict[int, Memory] = {}
        self._fresh: set[int] = set()
        self._references: list[StorageWeakRef] = []
        self._count = itertools.count()

    def find(self, tensor: torch.Tensor) -> Memory | None:
        """Return the memory of `tensor` when it holds a value."""
        return self._known.get(_address(tensor))

    def of(self, tensor: torch.Tensor) -> Memory:
        """Return the memory of `tensor`, a new one when its storage is not known."""
        storage = tensor.untyped_storage()
        memory = self._known.get(storage._cdata)
        if memory is None:
            memory = self._known[storage._cdata] = Memory(next(self._count))
            self._references.append(StorageWeakRef(storage))  # type: ignore[no-untyped-call]
        return memory

    def join(self, tensor: torch.Tensor, memory: Memory) -> None:
        """Let the storage of `tensor` stand for `memory` too."""
        storage = tensor.untyped_storage()
        if storage._cdata not in self._known:
            self._known[storage._cdata] = memory
            self._references.append(StorageWeakRef(storage))  # type: ignore[no-untyped-call]

    def made(self, tensor: torch.Tensor) -> None:
        """Note that the forward pass itself allocated the storage of `tensor`."""
        storage = tensor.untyped_storage()
        if storage._cdata not in self._fresh:
            self._fresh.add(storage._cdata)
            self._references.append(StorageWeakRef(storage))  # type: ignore[no-untyped-call]

    def foreign(self, tensor: torch.Tensor) -> bool:
        """Whether `tensor` lives in memory from before the forward pass."""
        return _address(tensor) not in self._fresh


def _address(tensor: torch.Tensor) -> int:
    return int(tensor.untyped_storage()._cdata)
