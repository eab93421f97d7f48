"""`bench`: one model in several runtimes, interleaved, medians with minimum and maximum."""

from __future__ import annotations

import copy
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from torchskip.deploy.capture import Inputs
from torchskip.deploy.export import export, onnx_runner, openvino_runner
from torchskip.deploy.fuse import fuse
from torchskip.deploy.proof import largest_difference
from torchskip.errors import TorchskipError
from torchskip.trace.tree import leaves

__all__ = ["RUNTIMES", "Bench", "Timing", "bench"]

Run = Callable[[], Sequence[Tensor]]


@dataclass(frozen=True, slots=True)
class Timing:
    """One runtime: seconds of every round, seconds until ready, difference from eager."""

    runtime: str
    seconds: tuple[float, ...]
    ready: float
    difference: float

    @property
    def median(self) -> float:
        """The middle round."""
        return statistics.median(self.seconds)


@dataclass(frozen=True, slots=True)
class Bench:
    """One model at one input in one type: the timings, and which runtimes are absent and why."""

    model: str
    shapes: tuple[tuple[int, ...], ...]
    dtype: str
    device: str
    threads: int
    timings: tuple[Timing, ...]
    absent: tuple[tuple[str, str], ...]

    def record(self) -> dict[str, Any]:
        """Return it as plain data for JSON, medians included."""
        data = asdict(self)
        for entry, timing in zip(data["timings"], self.timings, strict=True):
            entry.update(median=timing.median, min=min(timing.seconds), max=max(timing.seconds))
        return data

    def ratio(self, runtime: str, to: str = "eager") -> float:
        """Return how many times faster `runtime` is than `to`: the median ratio of the rounds."""
        rounds = {t.runtime: t.seconds for t in self.timings}
        pairs = zip(rounds[to], rounds[runtime], strict=True)
        return statistics.median(theirs / ours for theirs, ours in pairs)

    def table(self) -> str:
        """Return the timings in milliseconds, and the speed relative to eager."""
        shapes = " ".join("x".join(map(str, s)) for s in self.shapes)
        rounds = len(self.timings[0].seconds)
        lines = [
            f"{self.model} {shapes} {self.dtype} on {self.device}, {self.threads} threads, "
            f"{rounds} interleaved rounds",
            f"  {'runtime':15} {'median':>9} {'min':>9} {'max':>9}  {'speed':>6} {'ready':>8}"
            "  difference",
        ]
        for t in self.timings:
            lines.append(
                f"  {t.runtime:15} {t.median * 1e3:6.2f} ms {min(t.seconds) * 1e3:6.2f} ms "
                f"{max(t.seconds) * 1e3:6.2f} ms  {self.ratio(t.runtime):5.2f}x {t.ready:6.2f} s"
                f"  {t.difference:.0e}"
            )
        return "\n".join([*lines, *(f"  {name:15} absent: {why}" for name, why in self.absent)])


class _Absent(Exception):  # noqa: N818 - not a fault: a runtime that is not here
    pass


@dataclass(frozen=True, slots=True, eq=False)
class _Subject:
    model: nn.Module
    inputs: Inputs
    dtype: torch.dtype
    folder: Path

    def cast(self, module: nn.Module, layout: torch.memory_format) -> Run:
        """Run `module` eagerly in the bench's type and a layout."""
        module = module.to(self.dtype) if self.dtype != torch.float32 else module
        with torch.no_grad():
            module = module.to(memory_format=layout)  # type: ignore[call-overload]
        inputs = self.inputs.map(lambda t: self._input(t, layout))
        return lambda: _tensors(module(*inputs.arguments, **inputs.keywords))

    def _input(self, tensor: Tensor, layout: torch.memory_format) -> Tensor:
        tensor = tensor.to(self.dtype) if tensor.is_floating_point() else tensor
        return tensor.contiguous(memory_format=layout) if tensor.dim() == 4 else tensor


def _tensors(result: Any) -> list[Tensor]:
    return [t for _, t in leaves(result)]


def _eager(s: _Subject) -> Run:
    return s.cast(copy.deepcopy(s.model), torch.contiguous_format)


def _channels_last(s: _Subject) -> Run:
    return s.cast(copy.deepcopy(s.model), torch.channels_last)


def _fused(s: _Subject) -> Run:
    fused = fuse(s.model, (*s.inputs.arguments,) or s.inputs.keywords, dtype=s.dtype)
    return lambda: _tensors(fused(*s.inputs.arguments, **s.inputs.keywords))


def _compiled(s: _Subject) -> Run:
    if s.inputs.tensors[0].device.type == "cpu" and not any(
        map(shutil.which, ("g++", "c++", "clang++", "cl"))
    ):
        raise _Absent("no C++ compiler")
    compiled: nn.Module = torch.compile(copy.deepcopy(s.model), options={"freezing": True})  # type: ignore[assignment]
    torch._dynamo.reset()
    return s.cast(compiled, torch.channels_last)


def _onnx(s: _Subject) -> Path:
    path = s.folder / "model.onnx"
    if not path.exists():
        export(s.model, s.inputs.arguments or s.inputs.keywords, path)
    return path


def _onnxruntime(s: _Subject) -> Run:
    if s.dtype != torch.float32 or s.inputs.tensors[0].device.type != "cpu":
        raise _Absent("measured in float32 on the CPU only")
    run = onnx_runner(_onnx(s), torch.get_num_threads())
    return lambda: run(s.inputs.tensors)


def _openvino(s: _Subject) -> Run:
    if s.inputs.tensors[0].device.type != "cpu":
        raise _Absent("measured on the CPU only")
    precision = "f32" if s.dtype == torch.float32 else "bf16"
    run = openvino_runner(_onnx(s), torch.get_num_threads(), precision)
    return lambda: run(s.inputs.tensors)


RUNTIMES: dict[str, Callable[[_Subject], Run]] = {
    "eager": _eager,
    "channels-last": _channels_last,
    "fused": _fused,
    "torch.compile": _compiled,
    "onnxruntime": _onnxruntime,
    "openvino": _openvino,
}


def bench(
    model: nn.Module,
    example: Any,
    *,
    name: str = "",
    dtype: torch.dtype = torch.float32,
    runtimes: Sequence[str] = tuple(RUNTIMES),
    rounds: int = 20,
) -> Bench:
    """Time `model` in several runtimes: every round runs each of them once, in turn.

    A slow moment of the machine then meets all of them. Eager is always one of them; every
    other one's result is compared with eager float32.

    Raises:
        TorchskipError: for a runtime that does not exist, or fewer than one round.

    """
    unknown = [r for r in runtimes if r not in RUNTIMES]
    if unknown or rounds < 1:
        raise TorchskipError(
            f"{unknown[0]!r} is no runtime\n  mend: {', '.join(RUNTIMES)}" if unknown
            else f"{rounds} rounds measure nothing\n  mend: 1 or more"
        )  # fmt: skip
    if model.training:
        raise TorchskipError("the model is in training mode\n  mend: model.eval() before bench")
    inputs = Inputs.of(example)
    runs: dict[str, tuple[Run, float, float]] = {}
    absent: list[tuple[str, str]] = []
    with tempfile.TemporaryDirectory() as folder, torch.no_grad():
        subject = _Subject(model, inputs, dtype, Path(folder))
        truth = _tensors(model(*inputs.arguments, **inputs.keywords))
        for runtime in dict.fromkeys(("eager", *runtimes)):
            try:
                runs[runtime] = _prepare(RUNTIMES[runtime], subject, truth)
            except (_Absent, TorchskipError, ImportError) as reason:
                absent.append((runtime, str(reason).splitlines()[0]))
            except Exception as error:
                if runtime == "eager":
                    raise
                absent.append((runtime, f"{type(error).__name__}: {error}".splitlines()[0][:200]))
        seconds: dict[str, list[float]] = {runtime: [] for runtime in runs}
        for _ in range(rounds):
            for runtime, (run, _, _) in runs.items():
                seconds[runtime].append(_clock(run, inputs))
    return Bench(
        model=name or type(model).__name__,
        shapes=tuple(tuple(t.shape) for t in inputs.tensors),
        dtype=str(dtype).removeprefix("torch."),
        device=str(inputs.tensors[0].device),
        threads=torch.get_num_threads(),
        timings=tuple(
            Timing(runtime, tuple(seconds[runtime]), ready, difference)
            for runtime, (_, ready, difference) in runs.items()
        ),
        absent=tuple(absent),
    )


def _prepare(
    make: Callable[[_Subject], Run], subject: _Subject, truth: Sequence[Tensor]
) -> tuple[Run, float, float]:
    """Make a runner; its readiness includes the first call, which some compile in."""
    start = time.perf_counter()
    run = make(subject)
    results = [r.to(t.dtype) for r, t in zip(run(), truth, strict=True)]
    ready = time.perf_counter() - start
    difference = max(map(largest_difference, results, truth), default=0.0)
    run()
    return run, ready, difference


def _clock(run: Run, inputs: Inputs) -> float:
    device = inputs.tensors[0].device
    start = time.perf_counter()
    run()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - start


def machine() -> dict[str, Any]:
    """Return what a reader needs to place the numbers: processor, threads, versions."""
    processor = ""
    if os.path.exists("/proc/cpuinfo"):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        processor = next((x.split(":")[1].strip() for x in lines if x.startswith("model name")), "")
    return {
        "processor": processor,
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
    }
