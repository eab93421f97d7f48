"""A forward pass without values: which operators run at a size, at no cost of arithmetic."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from torchskip.deploy.capture import Capture, Inputs, Recorder, capture
from torchskip.trace.tree import leaves, rebuild

__all__ = ["rehearse"]


def rehearse(model: nn.Module, inputs: Inputs) -> Capture:
    """Return what ``capture(model, inputs)`` records, from meta tensors: its results hold nothing.

    Raises whatever a model raises that cannot do without values, or without their device.
    """
    return capture(model, inputs.map(lambda t: t.to("meta")), recorder=_Rehearsal)


class _Rehearsal(Recorder):  # type: ignore[no-untyped-call]
    """Runs an operator on meta tensors if one of its tensors is one; notes the real ones."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__(model)
        self._device = next((t.device for t in model.parameters()), torch.device("cpu"))
        self._shadows: dict[int, tuple[Tensor, Tensor]] = {}  # of tensors kept alive

    def run(self, operator: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run it."""
        if any(t.is_meta for _, t in leaves((args, kwargs))):
            args, kwargs = rebuild((args, kwargs), self._shadow)
        return super().run(operator, args, kwargs)

    def _argument(self, value: Any) -> Any:
        """Write down the device that a tensor made for an input would be on."""
        meta = isinstance(value, torch.device) and value.type == "meta"
        return self._device if meta else super()._argument(value)

    def _shadow(self, tensor: Tensor) -> Tensor:
        if tensor.is_meta:
            return tensor
        if id(tensor) not in self._shadows:
            self._shadows[id(tensor)] = tensor, torch.empty_like(tensor, device="meta")
        return self._shadows[id(tensor)][1]
