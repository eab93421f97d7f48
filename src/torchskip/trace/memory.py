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
        return all(a < b + m and b < a + n for a, n, b, m in self._boxes(other) or ())

    def covers(self, other: Extent) -> bool:
        """Whether every byte of `other` is one of this; False where that is not certain."""
        if self == other:
            return True
        if self.start > other.start or self.end < other.end:
            return False
        if self.dense:
            return True
        boxes = self._boxes(other)
        return boxes is not None and all(a <= b and b + m <= a + n for a, n, b, m in boxes)

    def _boxes(self, other: Extent) -> list[tuple[int, int, int, int]] | None:
        """Return start and size per axis of both as boxes in one grid, None if there is none.

        Slices of one tensor have its strides, less those of axes cut to one. Their starts,
        divided by the strides from the largest down, are coordinates, as long as no row of
        the grid runs over into the next.
        """
        ours, theirs = self._axes(), other._axes()
        strides = sorted({*ours, *theirs, self.item}, reverse=True)
        if not ours or not theirs or self.item != other.item or strides[-1] < self.item:
            return None
        for origin in (0, min(self.start, other.start)):
            boxes, room, fits = [], None, True
            rest, remains = self.start - origin, other.start - origin
            for stride in strides:
                (a, rest), (b, remains) = divmod(rest, stride), divmod(remains, stride)
                n, m = ours.get(stride, 1), theirs.get(stride, 1)
                fits = fits and (room is None or max(a + n, b + m) * stride <= room)
                boxes.append((a, n, b, m))
                room = stride
            if fits and not rest and not remains:
                return boxes
        return None

    def _axes(self) -> dict[int, int]:
        """Return the size by stride; nothing where two axes have one stride."""
        axes = {self.item: 1}
        for stride, size in zip(self.strides, self.sizes, strict=True):
            if size != 1 and axes.get(stride, 1) != 1:
                return {}
            axes[stride] = max(size, axes.get(stride, 1))
        return axes


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
