"""What stands in for a tensor on each rung: a meta tensor, a fake tensor, or itself."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.nn.parameter import is_lazy

from torchskip.trace.memory import extent

__all__ = ["RUNGS", "Rung", "StandIns"]

Rung = Literal["meta", "fake", "real"]
RUNGS: tuple[Rung, ...] = ("meta", "fake", "real")  # from cheap to dear

# Buffers this small keep their values on the meta rung, so that a forward may read them.
_SMALL = 16
_SMALL_INTEGERS = 4096


class StandIns:
    """Makes one stand-in per tensor and keeps it: tied weights stay tied."""

    def __init__(self, rung: Rung) -> None:
        self.rung = rung
        self.mode = (
            FakeTensorMode(allow_non_fake_inputs=True, allow_fallback_kernels=False)
            if rung == "fake"
            else None
        )
        self._known: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}

    def known(self, tensor: torch.Tensor) -> torch.Tensor | None:
        """Return the stand-in of `tensor` if it has one."""
        found = self._known.get(id(tensor))
        return None if found is None else found[1]

    def keep(self, tensor: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
        """Let `other` stand in for `tensor` from now on."""
        self._known[id(tensor)] = tensor, other
        return other

    def inside(self, tensor: torch.Tensor) -> bool:
        """Whether `tensor` already is of the rung's kind."""
        if self.rung == "meta":
            return tensor.is_meta
        return self.rung == "real" or isinstance(tensor, FakeTensor)

    def plain(self, tensor: torch.Tensor) -> torch.Tensor:
        """Return the stand-in of any tensor met on the way."""
        if self.inside(tensor):
            return tensor
        known = self.known(tensor)
        return self.keep(tensor, self._make(tensor)) if known is None else known

    def parameter(self, tensor: torch.Tensor) -> torch.Tensor:
        """Return the stand-in of a parameter; on the real rung it shares its memory."""
        if isinstance(tensor, FakeTensor):
            return tensor
        known = self.known(tensor)
        if known is not None:
            return known
        other = tensor
        if is_lazy(tensor):
            lazy: Any = type(tensor)
            other = lazy(requires_grad=tensor.requires_grad, device="meta")
        elif self.rung == "real":
            if type(tensor) is nn.Parameter:
                other = nn.Parameter(tensor.data, requires_grad=tensor.requires_grad)
        elif type(tensor) is nn.Parameter or not tensor.is_meta:
            made = self._make(tensor)
            other = nn.Parameter(made, requires_grad=tensor.requires_grad)
        if other is not tensor and tensor.__dict__:
            other.__dict__.update(tensor.__dict__)
        return self.keep(tensor, other)

    def buffer(self, tensor: torch.Tensor) -> torch.Tensor:
        """Return the stand-in of a buffer: never itself, a forward may update it."""
        known = self.known(tensor)
        if known is not None:
            return known
        if is_lazy(tensor):
            lazy: Any = type(tensor)
            return self.keep(tensor, lazy(device="meta"))
        if isinstance(tensor, FakeTensor):
            return tensor
        limit = _SMALL if tensor.is_floating_point() else _SMALL_INTEGERS
        if self.rung == "real" or (
            self.rung == "meta" and tensor.numel() <= limit and not tensor.is_meta
        ):
            return self.keep(tensor, tensor.detach().clone())
        return self.keep(tensor, self._make(tensor))

    def example(self, tensor: torch.Tensor, gradient: bool, device: torch.device | None) -> Any:
        """Return the stand-in of a model input.

        It carries a gradient where `gradient` asks for one, so that a value without one was
        detached; it is not a leaf, so that the first layer may work in place.
        """
        known = self.known(tensor)
        if known is not None:
            return known
        if self.rung == "real":
            leaf = tensor.detach().clone()
            if device is not None:
                leaf = leaf.to(device)
        else:
            leaf = self._make(tensor)
            if self.mode is not None and device is not None:
                with self.mode:
                    leaf = leaf.to(device)
        if gradient and (leaf.is_floating_point() or leaf.is_complex()):
            leaf = leaf.requires_grad_().clone()
        return self.keep(tensor, leaf)

    def _make(self, tensor: torch.Tensor) -> torch.Tensor:
        if self.mode is not None:
            return self.mode.from_tensor(tensor.detach())
        if tensor.layout is torch.strided and not tensor.is_quantized:
            if tensor.storage_offset():  # an alias is told by where it starts
                end = extent(tensor).end // tensor.element_size()
                whole = torch.empty(end, dtype=tensor.dtype, device="meta")
                return whole.as_strided(tensor.size(), tensor.stride(), tensor.storage_offset())
            return torch.empty_strided(
                tensor.size(), tensor.stride(), dtype=tensor.dtype, device="meta"
            )
        return tensor.detach().to("meta")
