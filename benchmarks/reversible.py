"""Memory and time of training a chain of blocks: plain, recomputed, reversible.

    python benchmarks/reversible.py

Peak bytes are those of tensors alive at once, forward and backward, beyond parameters and their
gradients: counted by storage at every operator, so that no allocator is in the way.
"""

import gc
import json
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import torch
import tyro
from torch import nn
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from torchskip.deploy.bench import machine
from torchskip.nn import Reversible, Skip


@dataclass(frozen=True)
class Settings:
    """What to run."""

    depths: tuple[int, ...] = (10, 50, 100, 200)
    channels: int = 32
    size: int = 32
    batch: int = 8
    rounds: int = 5
    out: Path = Path(__file__).parent / "results" / "reversible.json"


class Peak(TorchDispatchMode):
    """Counts the bytes of the storages that operators made and that are still alive."""

    def __init__(self):
        super().__init__()
        self.alive, self.bytes, self.peak = {}, 0, 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        for key, (reference, size) in list(self.alive.items()):
            if reference.expired():
                self.bytes -= size
                del self.alive[key]
        known = {
            t.untyped_storage()._cdata
            for t in tree_leaves((args, kwargs))
            if isinstance(t, torch.Tensor)
        }
        for tensor in tree_leaves(result):
            if isinstance(tensor, torch.Tensor):
                storage = tensor.untyped_storage()
                if storage._cdata not in self.alive and storage._cdata not in known:
                    self.alive[storage._cdata] = StorageWeakRef(storage), storage.nbytes()
                    self.bytes += storage.nbytes()
        self.peak = max(self.peak, self.bytes)
        return result


def branch(channels):
    return nn.Sequential(
        nn.Conv2d(channels, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels),
        nn.ReLU(),
        nn.Conv2d(channels, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels),
    )  # fmt: skip


class Plain(Reversible):
    """The same equations, every activation kept."""

    def forward(self, x):
        """Run the equations."""
        return self.plain(x)


def chain(kind, depth, channels):
    half = channels // 2
    if kind in ("skip", "recompute"):
        blocks = [Skip(branch(channels), recompute=kind == "recompute") for _ in range(depth)]
    else:
        make = Reversible if kind == "reversible" else Plain
        blocks = [make(branch(half), branch(half)) for _ in range(depth)]
    return nn.Sequential(nn.Conv2d(3, channels, 3, padding=1), *blocks)


def step(model, x):
    model(x).square().mean().backward()


def main(settings: Settings) -> None:
    x = torch.randn(settings.batch, 3, settings.size, settings.size)
    activation = 4 * settings.batch * settings.channels * settings.size**2
    rows = []
    for depth in settings.depths:
        models = {
            k: chain(k, depth, settings.channels)
            for k in ("plain", "reversible", "skip", "recompute")
        }
        peaks, seconds = {}, {k: [] for k in models}
        for kind, model in models.items():
            step(model, x)  # gradients exist from here on
            gc.collect()
            with Peak() as counter:
                step(model, x)
            peaks[kind] = counter.peak
        for _ in range(settings.rounds):
            for kind, model in models.items():
                start = time.perf_counter()
                step(model, x)
                seconds[kind].append(time.perf_counter() - start)
        rows.append({"depth": depth, "peak": peaks, "seconds": seconds})
        print(
            depth,
            {
                k: f"{p / activation:.2f} activations, {median(seconds[k]):.3f} s"
                for k, p in peaks.items()
            },
        )
    first, last = rows[0], rows[-1]
    blocks = last["depth"] - first["depth"]
    for kind in first["peak"]:
        each = (last["peak"][kind] - first["peak"][kind]) / blocks
        print(f"{kind}: {each / activation:.4f} activations more per block")
    for fast, slow in (("plain", "reversible"), ("skip", "recompute")):
        ratios = [
            b / a for r in rows for a, b in zip(r["seconds"][fast], r["seconds"][slow], strict=True)
        ]
        print(
            f"{slow} takes {median(ratios):.2f}x the time of {fast} "
            f"({min(ratios):.2f} to {max(ratios):.2f})"
        )
    settings.out.parent.mkdir(exist_ok=True)
    record = {"machine": machine(), "activation_bytes": activation, "rows": rows}
    settings.out.write_text(json.dumps(record, indent=1))


if __name__ == "__main__":
    main(tyro.cli(Settings))
