"""Give an operation the tensors that its rung needs, and keep its writes off the user's."""

from __future__ import annotations

from collections.abc import Container
from typing import Any

import torch

from torchskip.trace.schema import Plan
from torchskip.trace.standin import StandIns
from torchskip.trace.values import Values
from torchskip.trace.versions import set_version

__all__ = ["Redirect"]

Places = list[tuple[str, torch.Tensor]]


class Redirect:
    """Swaps arguments just before an operation runs.

    Where one tensor is of the rung's kind or holds a value, all become of that kind. A write
    to memory from before the pass goes to a copy, and so do the reads after it.
    """

    def __init__(self, stand_ins: StandIns, values: Values) -> None:
        self._stand_ins = stand_ins
        self._values = values
        self._copies: dict[int, torch.Tensor] = {}  # by the address of the storage they stand for
        self._versions: dict[int, tuple[torch.Tensor, int]] = {}

    def arguments(
        self,
        scheme: Plan,
        tensors: Places,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        held: Container[int],
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return the arguments to run with; `held` has the identities of tensors with values."""
        rung, inside = self._stand_ins.rung, self._stand_ins.inside
        swaps: dict[int, torch.Tensor] = {}
        strangers = [] if rung == "real" else [t for _, t in tensors if not inside(t)]
        met = len(strangers) < len(tensors) or any(id(t) in held for t in strangers)
        if strangers and (met or rung == "fake"):
            for place, tensor in tensors:
                if not inside(tensor):
                    swaps[id(tensor)] = self._stand_in(tensor, bool(scheme.touched))
                    if place in scheme.touched:
                        self._keep_version(tensor)
        elif strangers or rung == "real":
            for place, tensor in tensors:
                copy = None if tensor.is_meta else self._copy(tensor, place in scheme.touched)
                if copy is not None:
                    swaps[id(tensor)] = copy
        if swaps:
            args = tuple(_swap(a, swaps) for a in args)
            kwargs = {key: _swap(a, swaps) for key, a in kwargs.items()}
        if rung == "meta" and met and tensors and kwargs.get("device") is not None:
            kwargs = {**kwargs, "device": torch.device("meta")}  # `x.to("cpu")` stays without data
        return args, kwargs

    def forget(self) -> None:
        """Give the user's tensors back the versions that autograd counts."""
        for tensor, version in self._versions.values():
            if tensor._version != version:
                set_version(tensor, version)

    def _stand_in(self, tensor: torch.Tensor, share: bool) -> torch.Tensor:
        other = self._stand_ins.plain(tensor)
        memories = self._values.memories
        if share or memories.find(tensor) is not None:
            memories.join(other, memories.of(tensor))
        self._values.derive(other, self._values.origin(tensor))
        return other

    def _copy(self, tensor: torch.Tensor, write: bool) -> torch.Tensor | None:
        """Return what stands for a real tensor whose memory the pass writes to."""
        if not (write or self._copies) or tensor.layout is not torch.strided:
            return None
        storage = tensor.untyped_storage()
        address = storage._cdata
        if write and address not in self._copies and self._values.memories.foreign(tensor):
            holder = torch.empty(0, dtype=tensor.dtype, device=tensor.device)
            holder.set_(storage.clone())  # type: ignore[no-untyped-call]
            self._values.memories.made(holder)
            self._copies[address] = holder
        holder = self._copies.get(address)  # type: ignore[assignment]
        if holder is None:
            return None
        self._keep_version(tensor)
        copy = torch.empty(0, dtype=tensor.dtype, device=tensor.device)
        return copy.set_(
            holder.untyped_storage(), tensor.storage_offset(), tensor.size(), tensor.stride()
        )

    def _keep_version(self, tensor: torch.Tensor) -> None:
        """Note the version of a tensor about to be written, and keep it and its storage alive."""
        if not tensor.is_inference():
            self._versions.setdefault(id(tensor), (tensor, tensor._version))


def _swap(item: Any, swaps: dict[int, torch.Tensor]) -> Any:
    if isinstance(item, torch.Tensor):
        return swaps.get(id(item), item)
    if isinstance(item, (list, tuple)):
        return [_swap(i, swaps) for i in item]
    return item
