"""Which value a tensor holds, through every alias of its memory."""

from __future__ import annotations

import torch

from torchskip.trace.locate import Calls, here
from torchskip.trace.memory import Memories, Memory, extent
from torchskip.trace.tape import Draft, Tape

__all__ = ["Values"]


class _Track:
    """What a tensor holds: a value, its memory, and how much had been written there by then."""

    __slots__ = ("memory", "owner", "value", "version")

    def __init__(self, owner: torch.Tensor, value: int, memory: Memory) -> None:
        self.owner = id(owner)
        self.value = value
        self.memory = memory
        self.version = len(memory.writes)


class Values:
    """Finds and gives the values of tensors.

    A tensor's value is kept on the tensor itself (`_torchskip`), which lives and dies with
    it: a `_Track` for a value, a tuple of parameter names for a constant.
    """

    def __init__(self, tape: Tape, calls: Calls, names: dict[int, tuple[str, ...]]) -> None:
        self.tape = tape
        self.memories = Memories()
        self._calls = calls
        self._names = names  # of each parameter and buffer, by the tensor's identity
        self._marked: list[torch.Tensor] = []

    def of(self, tensor: torch.Tensor) -> int | None:
        """Return the value that `tensor` holds now, None for a constant."""
        track = getattr(tensor, "_torchskip", None)
        if type(track) is _Track and track.owner == id(tensor):
            if track.version == len(track.memory.writes):
                self.tape.read(track.value, tensor)
                return track.value
            return self._follow(tensor, track.memory, track.value, track.version)
        memory = self.memories.find(tensor)
        return None if memory is None else self._follow(tensor, memory, None, 0)

    def before(self, tensor: torch.Tensor) -> int | None:
        """Return the value that `tensor` was last known to hold, without reading it."""
        track = getattr(tensor, "_torchskip", None)
        known = type(track) is _Track and track.owner == id(tensor)
        return track.value if known else None  # type: ignore[union-attr]

    def origin(self, tensor: torch.Tensor) -> tuple[str, ...]:
        """Return the names of the parameters and buffers that a constant derives from."""
        names = self._names.get(id(tensor))
        if names is not None:
            return names
        held = getattr(tensor, "_torchskip", None)
        return held if type(held) is tuple else ()

    def derive(self, tensor: torch.Tensor, names: tuple[str, ...]) -> None:
        """Note that the constant `tensor` derives from the parameters `names`."""
        if names and id(tensor) not in self._names:
            self._mark(tensor)
            tensor._torchskip = names  # type: ignore[attr-defined]

    def enter(self, tensor: torch.Tensor, name: str) -> int:
        """Give the model input `tensor` a value; given twice, it is one value."""
        known = self.before(tensor)
        return self._new(tensor, None, name) if known is None else known

    def born(self, tensor: torch.Tensor, node: int) -> None:
        """Give `tensor` a value in memory of its own."""
        self._new(tensor, node)

    def viewed(self, tensor: torch.Tensor, node: int, base: torch.Tensor, value: int) -> None:
        """Give `tensor` a value in the memory of `base`, which holds `value`."""
        memory = self.memories.of(base)
        self.memories.join(tensor, memory)
        self._hold(tensor, self.tape.value(tensor, node, memory.index, base=value), memory)

    def written(self, tensor: torch.Tensor, node: int, old: int | None) -> None:
        """Give `tensor` a new version, written in place over `old`."""
        memory = self.memories.of(tensor)
        base = self.tape.base(old)
        value = self.tape.value(tensor, node, memory.index, base=base, previous=old)
        memory.writes.append((value, extent(tensor)))
        self._hold(tensor, value, memory)

    def forget(self) -> None:
        """Take the marks off tensors that outlive the pass."""
        for tensor in self._marked:
            tensor.__dict__.pop("_torchskip", None)

    def _new(self, tensor: torch.Tensor, node: int | None, name: str = "") -> int:
        memory = self.memories.born(tensor)
        value = self.tape.value(tensor, node, memory.index, name=name)
        memory.writes.append((value, extent(tensor)))
        self._hold(tensor, value, memory)
        return value

    def _follow(
        self, tensor: torch.Tensor, memory: Memory, old: int | None, version: int
    ) -> int | None:
        """Return the value of `tensor` after its memory was written through an alias."""
        written, hidden = memory.since(version, extent(tensor))
        value = old
        if written:
            origin = self.tape.producer(written[-1])
            call, spot = (origin.call, origin.spot) if origin else (self._calls.stack[-1], here())
            sources = written if hidden or old is None else [old, *written]
            draft = Draft(
                "torchskip.alias", [(f"[{i}]", v) for i, v in enumerate(sources)], call, spot
            )
            draft.view = True
            draft.grad = origin.grad if origin else torch.is_grad_enabled()
            node, base = self.tape.node(draft), self.tape.base(old)
            value = self.tape.value(tensor, node, memory.index, base=base, previous=old)
        if value is not None:
            self._hold(tensor, value, memory)
            self.tape.read(value, tensor)
        return value

    def _hold(self, tensor: torch.Tensor, value: int, memory: Memory) -> None:
        self._mark(tensor)
        tensor._torchskip = _Track(tensor, value, memory)  # type: ignore[attr-defined]

    def _mark(self, tensor: torch.Tensor) -> None:
        if not tensor.is_meta and self.memories.foreign(tensor):
            self._marked.append(tensor)
