"""Files run in other runtimes, which are optional."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from torchskip.errors import ExportError

__all__ = ["Runner", "onnx_runner", "openvino_runner"]

Runner = Callable[[Sequence[Tensor]], list[Tensor]]


def onnx_runner(path: Path, threads: int = 0) -> Runner:
    """Return a function that runs an ONNX file in ONNX Runtime."""
    try:
        import onnxruntime
    except ImportError as error:
        raise ExportError(
            "comparing needs onnxruntime\n  mend: pip install 'torchskip[export]'"
        ) from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    names = [i.name for i in session.get_inputs()]

    def run(tensors: Sequence[Tensor]) -> list[Tensor]:
        arrays = [t.detach().cpu().numpy() for t in tensors]
        results = session.run(None, dict(zip(names, arrays, strict=True)))
        return [torch.from_numpy(r) for r in results]

    return run


def openvino_runner(path: Path, threads: int = 0, precision: str = "f32") -> Runner:
    """Return a function that runs an ONNX file in OpenVINO."""
    import openvino

    settings: dict[str, Any] = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": precision,
    }
    if threads:
        settings["INFERENCE_NUM_THREADS"] = threads
    compiled = openvino.Core().compile_model(str(path), "CPU", settings)
    request = compiled.create_infer_request()

    def run(tensors: Sequence[Tensor]) -> list[Tensor]:
        request.infer([openvino.Tensor(t.detach().cpu().contiguous().numpy()) for t in tensors])
        return [
            torch.from_numpy(request.get_output_tensor(i).data)
            for i in range(len(compiled.outputs))
        ]

    return run
