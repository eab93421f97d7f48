"""Fused models against eager, channels-last, ONNX Runtime and OpenVINO, and the machine's ceilings.

    python benchmarks/fuse.py run --budget 20            # every configuration, 20 s of rounds each
    python benchmarks/fuse.py run --resume               # those that the record lacks
    python benchmarks/fuse.py table                      # the record as a table in Markdown

Every runtime of a configuration (model, batch, type) has a process of its own, as where it is
deployed: threads that wait for work by spinning, in OpenMP for some milliseconds, then meet no
other runtime. In every round each runtime has a turn while the others sleep: one call that is not
timed, then up to three in half a second that are, of which the median counts. Ratios are medians
over the rounds. The record is replaced after every configuration.
Batch normalisations that begin as zero, which would silence their branch, are given a weight.
"""

import json
import os
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from statistics import median

import torch
import tyro
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from torchskip.deploy.bench import machine, prepare, turn
from torchskip.deploy.capture import Inputs
from torchskip.deploy.export import write_onnx
from torchskip.deploy.runtimes import FROM_ONNX, RUNTIMES, Subject, tensors_of
from torchskip.spec.zoo import build

MODELS = (
    *("torchvision/resnet18", "torchvision/resnet34", "torchvision/resnet50"),
    *("torchvision/wide_resnet50_2", "torchvision/resnext50_32x4d", "torchvision/mobilenet_v2"),
    *("torchvision/densenet121", "timm/resnet50d", "timm/seresnet50", "timm/regnety_016"),
    "timm/convnext_tiny",
)
RESULTS = Path(__file__).parent / "results" / "fuse.json"


@dataclass(frozen=True)
class Run:
    """Measure, and write a record of every round."""

    models: tuple[str, ...] = MODELS
    batches: tuple[int, ...] = (1, 16)
    dtypes: tuple[str, ...] = ("float32", "bfloat16")
    runtimes: tuple[str, ...] = ("eager", "channels-last", "fused", "onnxruntime", "openvino")
    """Also: torch.compile."""
    size: int = 224
    rounds: int = 30
    """At most so many."""
    budget: float = 20.0
    """No round of a configuration begins after so many seconds, three rounds apart."""
    threads: int = 0
    """As many as there are cores by default."""
    device: str = "cpu"
    resume: bool = False
    """Keep the record, and measure what it lacks."""
    exports: Path = Path(tempfile.gettempdir()) / "torchskip-exports"
    """Where ONNX files of the models are kept."""
    out: Path = RESULTS

    def run(self) -> None:
        """Measure."""
        threads = self.threads or os.cpu_count() or 1
        os.environ["OMP_NUM_THREADS"] = str(threads)
        settings = replace(self, threads=threads)
        self.exports.mkdir(parents=True, exist_ok=True)
        record = {"machine": {}, "ceilings": {}, "runs": []}
        if self.resume and self.out.exists():
            record = json.loads(self.out.read_text())
        else:
            record["machine"] = apart(machine_with, threads)
            record["ceilings"] = apart(ceilings, threads)
        done = {(r["model"], r["batch"], r["dtype"]) for r in record["runs"]}
        for key in [(m, b, d) for b in self.batches for m in self.models for d in self.dtypes]:
            if key in done:
                continue
            if {*self.runtimes} & {*FROM_ONNX}:
                apart(export, settings, key[0])
            record["runs"].append(measure(settings, *key))
            replace_file(self.out, json.dumps(record, indent=1))
        print(table(record))


@dataclass(frozen=True)
class Table:
    """Print a record as a table in Markdown."""

    record: Path = RESULTS

    def run(self) -> None:
        """Print."""
        print(table(json.loads(self.record.read_text())))


def apart(function, *arguments):
    """Call it in a new process, which reads the environment as it is now."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def replace_file(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".draft")
    draft.write_text(text)
    os.replace(draft, path)


def measure(settings: Run, name: str, batch: int, dtype: str) -> dict[str, object]:
    workers: dict[str, Worker] = {}
    ready = {}
    try:
        for runtime in settings.runtimes:
            workers[runtime] = Worker(settings, name, batch, dtype, runtime)
            ready[runtime] = workers[runtime].ask()
        absent = {r: answer for r, answer in ready.items() if isinstance(answer, str)}
        present = [r for r in workers if r not in absent]
        seconds = {r: [] for r in present}
        faults = {r: [] for r in present}
        start = time.perf_counter()
        for done in range(settings.rounds):
            if done >= 3 and time.perf_counter() - start > settings.budget:
                break
            first = done % len(present)
            for runtime in (*present[first:], *present[:first]):
                took, faulted = workers[runtime].ask("go")
                seconds[runtime].append(took)
                faults[runtime].append(faulted)
    finally:
        for worker in workers.values():
            worker.end()
    timings = [
        {
            "runtime": r,
            "median": median(seconds[r]),
            "min": min(seconds[r]),
            "max": max(seconds[r]),
            **ready[r],
            "seconds": seconds[r],
            "faults": faults[r],
        }
        for r in present
    ]
    by = {t["runtime"]: t["median"] for t in timings}
    said = ", ".join(f"{r} {1e3 * t:.1f} ms" for r, t in by.items())
    print(f"{name} {batch} {dtype}: {said}; {len(seconds[present[0]])} rounds", flush=True)
    return {
        "model": name,
        "batch": batch,
        "dtype": dtype,
        "timings": timings,
        "absent": absent,
        "work": apart(work, settings, name, batch, dtype),
    }


class Worker:
    """A process that runs one model in one runtime whenever it is asked to."""

    def __init__(self, *subject) -> None:
        context = get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=serve, args=(theirs, *subject), daemon=True)
        self.process.start()
        theirs.close()

    def ask(self, word: str | None = None):
        """Send a word, if there is one to say, and wait for what comes back."""
        if word:
            self.pipe.send(word)
        return self.pipe.recv()

    def end(self) -> None:
        """Let the process end."""
        self.pipe.close()
        self.process.join(30)
        self.process.kill()


def serve(pipe, settings: Run, name: str, batch: int, dtype: str, runtime: str) -> None:
    """Say how ready the runtime is, or why it is absent; then answer with seconds and faults."""
    torch.set_num_threads(settings.threads)
    model, x = subject_of(settings, name, batch)
    file = settings.exports / f"{name.replace('/', '-')}.onnx"
    subject = Subject(model, Inputs.of(x), getattr(torch, dtype), file)
    with torch.no_grad():
        try:
            run, ready, difference = prepare(RUNTIMES[runtime], subject, tensors_of(model(x)))
        except Exception as error:  # absent, refused, or a fault of a runtime: said in the record
            pipe.send(f"{type(error).__name__}: {str(error).splitlines()[0]}")
            return
        pipe.send({"ready": asdict(ready), "difference": difference})
        del model, subject
        while True:
            try:
                pipe.recv()
            except EOFError:
                return
            pipe.send(turn(run, x.device))


def subject_of(settings: Run, name: str, batch: int) -> tuple[nn.Module, torch.Tensor]:
    torch.manual_seed(0)
    model = audible(build(*name.split("/"))).eval().to(settings.device)
    return model, torch.randn(batch, 3, settings.size, settings.size, device=settings.device)


def export(settings: Run, name: str) -> None:
    """Write the ONNX file of a model that is not there."""
    file = settings.exports / f"{name.replace('/', '-')}.onnx"
    if not file.exists() and settings.device == "cpu":
        model, x = subject_of(settings, name, 1)
        write_onnx(model, Inputs.of(x), file)


def audible(model: nn.Module) -> nn.Module:
    """Give batch normalisations that begin as zero a weight: their branch would be silent."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d) and not module.weight.any():
            nn.init.constant_(module.weight, 0.3)
    return model


# -- the machine's ceilings, and what a model asks of them ---------------------------------------


@dataclass(frozen=True)
class Work:
    """What one layer must do: floating-point operations, and bytes read and written."""

    flop: int
    bytes: int


class Count(TorchDispatchMode):
    """Notes the work of convolutions and matrix products: inputs, weights and results once."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Work] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        made = func(*args, **(kwargs or {}))
        if func._overloadpacket in flop_registry:
            flop = flop_registry[func._overloadpacket](*args, **(kwargs or {}), out_val=made)
            tensors = [t for t in (*args, made) if isinstance(t, torch.Tensor)]
            self.seen.append(Work(flop, sum(t.numel() * t.element_size() for t in tensors)))
        return made


def work(settings: Run, name: str, batch: int, dtype: str) -> list[dict[str, int]]:
    model, x = subject_of(settings, name, batch)
    kind, count = getattr(torch, dtype), Count()
    model = model.to("meta").to(kind)
    with torch.no_grad(), count:
        model(x.to("meta", kind))
    return [asdict(w) for w in count.seen]


def machine_with(threads: int) -> dict[str, object]:
    torch.set_num_threads(threads)
    return machine()


def ceilings(threads: int) -> dict[str, float]:
    """Return GFLOP/s of a oneDNN matrix product per type, and GB/s of a copy (read and write)."""
    torch.set_num_threads(threads)
    found = {}
    for dtype in ("float32", "bfloat16"):
        found[dtype] = 2 * 2048**3 / clock(product(getattr(torch, dtype))) / 1e9
    a, b = torch.empty(2**25), torch.ones(2**25)
    found["copy"] = 2 * 4 * 2**25 / clock(lambda: a.copy_(b)) / 1e9
    return found


def product(dtype: torch.dtype) -> Callable[[], object]:
    x, w = torch.randn(2048, 2048, dtype=dtype), torch.randn(2048, 2048, dtype=dtype)
    w = torch.ops.mkldnn._reorder_linear_weight(w, 2048)
    return lambda: torch.ops.mkldnn._linear_pointwise(x, w, None, "none", [], "")


def clock(call: Callable[[], object]) -> float:
    call()
    seconds = []
    for _ in range(9):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return median(seconds)


# -- the table -----------------------------------------------------------------------------------


def table(record: dict) -> str:
    """Every other runtime's time over the fused one's; then what is fused against the ceilings."""
    made, limits = record["machine"], record["ceilings"]
    others = list(dict.fromkeys(t["runtime"] for r in record["runs"] for t in r["timings"]))
    others = [name for name in others if name != "fused"]
    columns = ["model", "batch, type, rounds", "fused, ms", *others, "ready", "of ceiling"]
    lines = [
        f"{made['processor']}, {made['threads']} threads, torch {made['torch']}. "
        f"Ceilings: {limits['float32']:.0f} GFLOP/s float32, "
        f"{limits['bfloat16']:.0f} bfloat16, copy {limits['copy']:.1f} GB/s.",
        "",
        "| " + " | ".join(columns) + " |",
        "|---|---|" + "--:|" * (len(columns) - 2),
    ]
    return "\n".join([*lines, *(row(run, others, limits) for run in record["runs"])])


def row(run: dict, others: list[str], limits: dict[str, float]) -> str:
    by = {t["runtime"]: t for t in run["timings"]}
    name, fused = run["model"].partition("/")[2], by.get("fused")
    if fused is None:
        return f"| {name} | {run['batch']}, {run['dtype']} | refused: {run['absent']['fused']} |"
    cells = [name, f"{run['batch']}, {run['dtype']}, {len(fused['seconds'])}"]
    cells.append(spread([1e3 * s for s in fused["seconds"]], 1))
    for other in others:
        pairs = zip(by[other]["seconds"], fused["seconds"], strict=True) if other in by else ()
        ratios = [theirs / ours for theirs, ours in pairs]
        cells.append(spread(ratios, 2) if ratios else "")
    least = sum(
        max(w["flop"] / limits[run["dtype"]], w["bytes"] / limits["copy"]) / 1e9
        for w in run["work"]
    )
    cells += [f"{fused['ready']['wall']:.1f} s", f"{least / fused['median']:.0%}"]
    return "| " + " | ".join(cells) + " |"


def spread(values: list[float], digits: int) -> str:
    low, high = min(values), max(values)
    return f"{median(values):.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


if __name__ == "__main__":
    tyro.extras.subcommand_cli_from_dict({"run": Run, "table": Table}).run()
