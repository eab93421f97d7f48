"""The runtimes that a bench compares: each makes a function that runs one model."""

from __future__ import annotations

import copy
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from torchskip.deploy.capture import Inputs
from torchskip.deploy.fuse import fuse
from torchskip.deploy.runners import onnx_runner, openvino_runner
from torchskip.trace.tree import leaves

__all__ = ["FROM_ONNX", "RUNTIMES", "Absent", "Run", "Subject", "tensors_of"]

Run = Callable[[], Sequence[Tensor]]


class Absent(Exception):  # noqa: N818 - not a fault
    """A runtime is not here, or does not do what is asked; the message says why."""


@dataclass(frozen=True, slots=True, eq=False)
class Subject:
    """What a runtime is made for: a model, its inputs, the type to compute in, an ONNX file."""

    model: nn.Module
    inputs: Inputs
    dtype: torch.dtype
    file: Path

    def cast(self, module: nn.Module, layout: torch.memory_format) -> Run:
        """Run `module` eagerly in the bench's type and a layout."""
        module = module.to(self.dtype) if self.dtype != torch.float32 else module
        with torch.no_grad():
            module = module.to(memory_format=layout)  # type: ignore[call-overload]
        inputs = self.inputs.map(lambda t: self._input(t, layout))
        return lambda: tensors_of(module(*inputs.arguments, **inputs.keywords))

    def _input(self, tensor: Tensor, layout: torch.memory_format) -> Tensor:
        tensor = tensor.to(self.dtype) if tensor.is_floating_point() else tensor
        return tensor.contiguous(memory_format=layout) if tensor.dim() == 4 else tensor


def tensors_of(result: Any) -> list[Tensor]:
    """Return the tensors of a nested result."""
    return [t for _, t in leaves(result)]


def _eager(s: Subject) -> Run:
    return s.cast(copy.deepcopy(s.model), torch.contiguous_format)


def _channels_last(s: Subject) -> Run:
    return s.cast(copy.deepcopy(s.model), torch.channels_last)


def _fused(s: Subject) -> Run:
    fused = fuse(s.model, (*s.inputs.arguments,) or s.inputs.keywords, dtype=s.dtype)
    return lambda: tensors_of(fused(*s.inputs.arguments, **s.inputs.keywords))


def _compiled(s: Subject) -> Run:
    if s.inputs.tensors[0].device.type == "cpu" and not any(
        map(shutil.which, ("g++", "c++", "clang++", "cl"))
    ):
        raise Absent("no C++ compiler")
    compiled: nn.Module = torch.compile(copy.deepcopy(s.model), options={"freezing": True})  # type: ignore[assignment]
    torch._dynamo.reset()
    return s.cast(compiled, torch.channels_last)


def _onnxruntime(s: Subject) -> Run:
    if s.dtype != torch.float32 or s.inputs.tensors[0].device.type != "cpu":
        raise Absent("measured in float32 on the CPU only")
    run = onnx_runner(s.file, torch.get_num_threads())
    return lambda: run(s.inputs.tensors)


def _openvino(s: Subject) -> Run:
    if s.inputs.tensors[0].device.type != "cpu":
        raise Absent("measured on the CPU only")
    precision = "f32" if s.dtype == torch.float32 else "bf16"
    run = openvino_runner(s.file, torch.get_num_threads(), precision)
    return lambda: run(s.inputs.tensors)


RUNTIMES: dict[str, Callable[[Subject], Run]] = {
    "eager": _eager,
    "channels-last": _channels_last,
    "fused": _fused,
    "torch.compile": _compiled,
    "onnxruntime": _onnxruntime,
    "openvino": _openvino,
}
FROM_ONNX = ("onnxruntime", "openvino")
