"""`bench`: one model in several runtimes, interleaved, medians with minimum and maximum."""

from __future__ import annotations

import importlib.util
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from torchskip.deploy.capture import Inputs
from torchskip.deploy.export import write_onnx
from torchskip.deploy.proof import largest_difference
from torchskip.deploy.runtimes import FROM_ONNX, RUNTIMES, Absent, Run, Subject, tensors_of
from torchskip.errors import TorchskipError

__all__ = ["RUNTIMES", "Bench", "Ready", "Timing", "bench", "machine", "prepare", "turn"]

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Ready:
    """What it took until a runtime had answered once: wall clock and CPU seconds."""

    wall: float
    cpu: float


@dataclass(frozen=True, slots=True)
class Timing:
    """One runtime: seconds and page faults of every round, readiness, difference from eager.

    Page faults are those answered without reading a file, of all threads; empty where the
    system does not count them.
    """

    runtime: str
    seconds: tuple[float, ...]
    faults: tuple[float, ...]
    ready: Ready
    difference: float

    @property
    def median(self) -> float:
        """The middle round."""
        return statistics.median(self.seconds)


@dataclass(frozen=True, slots=True)
class Bench:
    """One model at one input in one type: the timings, and which runtimes are absent and why.

    `exported` is the time to an ONNX file, which some runtimes begin with, over their readiness.
    """

    model: str
    shapes: tuple[tuple[int, ...], ...]
    dtype: str
    device: str
    threads: int
    timings: tuple[Timing, ...]
    absent: tuple[tuple[str, str], ...]
    exported: Ready | None = None

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
                f"{max(t.seconds) * 1e3:6.2f} ms  {self.ratio(t.runtime):5.2f}x "
                f"{t.ready.wall:6.2f} s  {t.difference:.0e}"
            )
        lines += [f"  {name:15} absent: {why}" for name, why in self.absent]
        if self.exported is not None:
            lines.append(f"  before the last ones, the export to ONNX: {self.exported.wall:.1f} s")
        return "\n".join(lines)


def bench(
    model: nn.Module,
    example: Any,
    *,
    name: str = "",
    dtype: torch.dtype = torch.float32,
    runtimes: Sequence[str] = tuple(RUNTIMES),
    rounds: int = 20,
) -> Bench:
    """Time `model` in several runtimes: in every round each of them has a `turn`.

    A slow moment of the machine then meets all of them, and every round begins with another
    one. Eager is always one of them; every other one's result is compared with eager float32.

    Args:
        model: a module in eval mode.
        example: an input tensor, a tuple of positional arguments, or a dictionary of keywords.
        name: what to call it; its class by default.
        dtype: the type to compute in.
        runtimes: names out of `RUNTIMES`.
        rounds: how many at most.

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
    runs: dict[str, tuple[Run, Ready, float]] = {}
    absent: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as folder, torch.no_grad():
        subject = Subject(model, inputs, dtype, Path(folder) / "model.onnx")
        exported = _export(subject, runtimes, absent)
        truth = tensors_of(model(*inputs.arguments, **inputs.keywords))
        for runtime in dict.fromkeys(("eager", *runtimes)):
            if runtime in absent:
                continue
            try:
                runs[runtime] = prepare(RUNTIMES[runtime], subject, truth)
            except (Absent, TorchskipError, ImportError) as reason:
                absent[runtime] = _line(reason)
            except Exception as error:
                if runtime == "eager":
                    raise
                absent[runtime] = f"{type(error).__name__}: {_line(error)}"
        calls = {runtime: run for runtime, (run, _, _) in runs.items()}
        seconds, faults = _rounds(calls, inputs.tensors[0].device, rounds)
    return Bench(
        model=name or type(model).__name__,
        shapes=tuple(tuple(t.shape) for t in inputs.tensors),
        dtype=str(dtype).removeprefix("torch."),
        device=str(inputs.tensors[0].device),
        threads=torch.get_num_threads(),
        timings=tuple(
            Timing(runtime, tuple(seconds[runtime]), tuple(faults[runtime]), ready, difference)
            for runtime, (_, ready, difference) in runs.items()
        ),
        absent=tuple(absent.items()),
        exported=exported,
    )


def _export(s: Subject, runtimes: Sequence[str], absent: dict[str, str]) -> Ready | None:
    """Write the ONNX file if a runtime wants it."""
    wanting = [r for r in runtimes if r in FROM_ONNX and importlib.util.find_spec(r)]
    if not wanting or s.inputs.tensors[0].device.type != "cpu":
        return None
    try:
        return _ready(lambda: write_onnx(s.model, s.inputs, s.file))[1]
    except TorchskipError as reason:
        absent.update(dict.fromkeys(wanting, _line(reason)))
        return None


def _rounds(
    runs: dict[str, Run], device: torch.device, rounds: int
) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    seconds: dict[str, list[float]] = {runtime: [] for runtime in runs}
    faults: dict[str, list[float]] = {runtime: [] for runtime in runs}
    names = list(runs)
    for done in range(rounds):
        first = done % len(names)
        for runtime in (*names[first:], *names[:first]):
            took, faulted = turn(runs[runtime], device)
            seconds[runtime].append(took)
            faults[runtime] += [] if faulted is None else [faulted]
    return seconds, faults


def turn(run: Run, device: torch.device) -> tuple[float, float | None]:
    """Return a runtime's seconds a call, the median of up to three, and its page faults a call.

    The threads of the runtime before may spin for some milliseconds after their work: first
    they fall asleep, then one call that is not timed wakes this one's.
    """
    time.sleep(0.02)
    run()
    before = page_faults()
    took: list[float] = []
    while len(took) < 3 and sum(took) < 0.5:
        begun = time.perf_counter()
        run()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        took.append(time.perf_counter() - begun)
    after = page_faults()
    each = None if before is None or after is None else (after - before) / len(took)
    return statistics.median(took), each


def prepare(
    make: Callable[[Subject], Run], subject: Subject, truth: Sequence[Tensor]
) -> tuple[Run, Ready, float]:
    """Make a runner; return it, its readiness and how far it is from the truth.

    The readiness includes the first call, which some compile in.
    """

    def answer() -> tuple[Run, Sequence[Tensor]]:
        run = make(subject)
        return run, run()

    (run, results), ready = _ready(answer)
    results = [r.to(t.dtype) for r, t in zip(results, truth, strict=True)]
    difference = max(map(largest_difference, results, truth), default=0.0)
    run()
    return run, ready, difference


def _ready(make: Callable[[], _T]) -> tuple[_T, Ready]:
    wall, cpu = time.perf_counter(), time.process_time()
    made = make()
    return made, Ready(time.perf_counter() - wall, time.process_time() - cpu)


def page_faults() -> int | None:
    """Return the page faults of this process so far that were answered without reading a file."""
    try:
        import resource
    except ImportError:  # not on Windows
        return None
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt


def _line(error: BaseException) -> str:
    return (str(error).splitlines() or [""])[0][:200]


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
