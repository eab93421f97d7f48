"""Which tensors share storage, and what was written there: versions follow every alias."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch.multiprocessing.reductions import StorageWeakRef

__all__ = ["Extent", "Memories", "Memory", "extent"]


class Extent(NamedTuple):
    """The bytes that a tensor reaches in its storage: sizes, and strides in items per axis."""

    offset: int  # in items
    sizes: tuple[int, ...]
    strides: tuple[int, ...]
    item: int  # bytes

    @property
    def start(self) -> int:
        """The first byte."""
        return self.offset * self.item

    @property
    def end(self) -> int:
        """One past the last byte."""
        if 0 in self.sizes:
            return self.start
        reach = sum((n - 1) * s for n, s in zip(self.sizes, self.strides, strict=True))
        return self.start + (reach + 1) * self.item

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
        strides = sorted({*ours, *theirs, 1}, reverse=True)
        if not ours or not theirs or self.item != other.item or strides[-1] < 1:
            return None
        for origin in (0, min(self.offset, other.offset)):
            boxes, room, fits = [], None, True
            rest, remains = self.offset - origin, other.offset - origin
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
        axes = {1: 1}
        for stride, size in zip(self.strides, self.sizes, strict=True):
            if size != 1 and axes.get(stride, 1) != 1:
                return {}
            axes[stride] = max(size, axes.get(stride, 1))
        return axes


def extent(tensor: torch.Tensor) -> Extent:
    """Return what `tensor` reaches in its storage."""
    offset = int(tensor.storage_offset())
    return Extent(offset, tensor.shape, tensor.stride(), tensor.element_size())


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
        self._references: dict[int, StorageWeakRef] = {}
        self._count = itertools.count()

    def find(self, tensor: torch.Tensor) -> Memory | None:
        """Return the memory of `tensor` when it holds a value."""
        return self._known.get(_address(tensor))

    def of(self, tensor: torch.Tensor) -> Memory:
        """Return the memory of `tensor`, a new one when its storage is not known."""
        return self._at(self._keep(tensor))

    def born(self, tensor: torch.Tensor) -> Memory:
        """Return the memory of `tensor`, allocated by the forward pass itself."""
        address = self._keep(tensor)
        self._fresh.add(address)
        return self._at(address)

    def join(self, tensor: torch.Tensor, memory: Memory) -> None:
        """Let the storage of `tensor` stand for `memory` too."""
        self._known.setdefault(self._keep(tensor), memory)

    def made(self, tensor: torch.Tensor) -> None:
        """Note that the forward pass itself allocated the storage of `tensor`."""
        self._fresh.add(self._keep(tensor))

    def foreign(self, tensor: torch.Tensor) -> bool:
        """Whether `tensor` lives in memory from before the forward pass."""
        return _address(tensor) not in self._fresh

    def _at(self, address: int) -> Memory:
        memory = self._known.get(address)
        if memory is None:
            memory = self._known[address] = Memory(next(self._count))
        return memory

    def _keep(self, tensor: torch.Tensor) -> int:
        """Keep the address of a tensor's storage from being used twice, and return it."""
        storage = tensor.untyped_storage()
        address: int = storage._cdata
        if address not in self._references:
            self._references[address] = StorageWeakRef(storage)  # type: ignore[no-untyped-call]
        return address


def _address(tensor: torch.Tensor) -> int:
    return int(tensor.untyped_storage()._cdata)
