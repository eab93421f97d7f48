"""Fused models against eager, channels-last, torch.compile, ONNX Runtime and OpenVINO.

    python benchmarks/fuse.py                         # the whole table, into benchmarks/results
    python benchmarks/fuse.py --models resnet50 --batches 1 --rounds 10

Every round runs each runtime once, in turn, so that a slow moment meets all of them; ratios are
medians over the rounds. The machine's ceilings (matrix product, copy) are measured beside.
"""

import json
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import torch
import tyro

from torchskip.deploy.bench import RUNTIMES, bench, machine
from torchskip.spec.zoo import build

MODELS = (
    *("torchvision/resnet18", "torchvision/resnet34", "torchvision/resnet50"),
    *("torchvision/wide_resnet50_2", "torchvision/resnext50_32x4d", "torchvision/mobilenet_v2"),
    *("torchvision/densenet121", "timm/resnet50d", "timm/seresnet50", "timm/regnety_016"),
    "timm/convnext_tiny",
)


@dataclass(frozen=True)
class Settings:
    """What to run."""

    models: tuple[str, ...] = MODELS
    batches: tuple[int, ...] = (1, 16)
    dtypes: tuple[str, ...] = ("float32", "bfloat16")
    runtimes: tuple[str, ...] = tuple(RUNTIMES)
    size: int = 224
    rounds: int = 15
    threads: int = 0
    device: str = "cpu"
    out: Path = Path(__file__).parent / "results" / "fuse.json"


def ceilings():
    """Return GFLOP/s of a oneDNN matrix product per type, and GB/s of a copy (read and write)."""
    found = {}
    for dtype in (torch.float32, torch.bfloat16):
        found[f"{dtype} GFLOP/s"] = 2 * 2048**3 / clock(product(dtype)) / 1e9
    a, b = torch.empty(2**25), torch.ones(2**25)
    found["copy GB/s"] = 2 * 4 * 2**25 / clock(lambda: a.copy_(b)) / 1e9
    return found


def product(dtype):
    x, w = torch.randn(2048, 2048, dtype=dtype), torch.randn(2048, 2048, dtype=dtype)
    w = torch.ops.mkldnn._reorder_linear_weight(w, 2048)
    return lambda: torch.ops.mkldnn._linear_pointwise(x, w, None, "none", [], "")


def clock(call):
    call()
    seconds = []
    for _ in range(9):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return median(seconds)


def main(settings: Settings) -> None:
    if settings.threads:
        torch.set_num_threads(settings.threads)
    torch.manual_seed(0)
    record = {"machine": machine(), "ceilings": ceilings(), "runs": []}
    for name in settings.models:
        model = build(*name.split("/")).eval().to(settings.device)
        for batch in settings.batches:
            x = torch.randn(batch, 3, settings.size, settings.size, device=settings.device)
            for dtype in settings.dtypes:
                done = bench(
                    model,
                    x,
                    name=name,
                    dtype=getattr(torch, dtype),
                    runtimes=settings.runtimes,
                    rounds=settings.rounds,
                )
                print(done.table(), flush=True)
                record["runs"].append(done.record())
                settings.out.parent.mkdir(exist_ok=True)
                settings.out.write_text(json.dumps(record, indent=1))


if __name__ == "__main__":
    main(tyro.cli(Settings))
