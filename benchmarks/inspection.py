"""Cost of tracing and finding against a real forward pass, and its growth with the model.

Each round runs every side once, one after the other, so that a slow moment of the machine hits
all, and each begins without garbage of the one before; the table gives medians with minimum and
maximum, and ratios of medians. timm's model, torchview and torchlens join when they are
installed. Writes the raw seconds to
``benchmarks/results/inspection.json`` (or the path given).

    python benchmarks/inspection.py
"""

import copy
import gc
import importlib.util
import json
import platform
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from torchskip.skips import find_skips
from torchskip.spec.zoo import import_family
from torchskip.trace import trace

ROUNDS = 7


class PreActivation(nn.Module):
    """He et al. 2016b, figure 1(b): normalisation and activation before each convolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(channels)
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return ``x + branch(x)``."""
        out = self.conv1(torch.relu(self.norm1(x)))
        return x + self.conv2(torch.relu(self.norm2(out)))


def stack(blocks: int, channels: int = 16) -> nn.Module:
    return nn.Sequential(*(PreActivation(channels) for _ in range(blocks))).eval()


def seconds(call: Callable[[], object]) -> float:
    gc.collect()
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def rounds(sides: dict[str, Callable[[], object]], count: int) -> dict[str, list[float]]:
    for call in sides.values():
        call()
    times: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(count):
        for name, call in sides.items():
            times[name].append(seconds(call))
    return times


def sides_of(model: nn.Module, x: Tensor, rivals: bool) -> dict[str, Callable[[], object]]:
    def forward() -> None:
        with torch.no_grad():
            model(x)

    sides: dict[str, Callable[[], object]] = {
        "forward": forward,
        "trace": lambda: trace(model, x),
        "inspect": lambda: find_skips(trace(model, x)),
    }
    if rivals and importlib.util.find_spec("torchview"):
        from torchview import draw_graph

        twin = copy.deepcopy(model)  # torchview moves the model that it is given
        sides["torchview"] = lambda: draw_graph(twin, input_size=tuple(x.shape), device="meta")
    if rivals and importlib.util.find_spec("torchlens"):
        import torchlens

        log = getattr(torchlens, "log_forward_pass", None) or torchlens.trace
        sides["torchlens"] = lambda: log(model, x)
    return sides


def main(target: Path) -> None:
    models = import_family("torchvision").models

    densenet264 = models.DenseNet(32, (6, 12, 64, 48), 64).eval()
    cases = {
        "resnet50 at 224": (models.resnet50().eval(), torch.randn(1, 3, 224, 224), True),
        "densenet264 at 224": (densenet264, torch.randn(1, 3, 224, 224), False),
        "1,001 layers at 32": (stack(500), torch.randn(1, 16, 32, 32), False),
        "1,400 nodes at 32": (stack(200), torch.randn(1, 16, 32, 32), False),
    }
    if importlib.util.find_spec("timm"):  # convolutions and attention, a thousand operations
        hybrid = import_family("timm").create_model("maxvit_small_tf_224").eval()
        cases["maxvit_small at 224"] = hybrid, torch.randn(1, 3, 224, 224), False
    results: dict[str, object] = {
        "machine": platform.processor() or platform.machine(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "unit": "seconds",
    }
    print(f"{'model':22}{'side':12}{'median':>9}{'min':>9}{'max':>9}{'/ forward':>11}")
    for name, (model, x, rivals) in cases.items():
        times = rounds(sides_of(model, x, rivals), ROUNDS)
        results[name] = times
        forward = statistics.median(times["forward"])
        for side, values in times.items():
            middle = statistics.median(values)
            print(
                f"{name:22}{side:12}{middle:9.3f}{min(values):9.3f}{max(values):9.3f}"
                f"{middle / forward:11.2f}"
            )
    growth = {}
    print(f"\n{'nodes':>8}{'inspect':>10}{'us/node':>10}")
    for blocks in (90, 180, 360, 720, 1430):
        model, x = stack(blocks), torch.randn(1, 16, 32, 32)
        nodes = len(trace(model, x).nodes)
        values = [seconds(lambda m=model, x=x: find_skips(trace(m, x))) for _ in range(3)]
        growth[nodes] = values
        middle = statistics.median(values)
        print(f"{nodes:8}{middle:10.3f}{middle / nodes * 1e6:10.0f}")
    results["growth in nodes"] = growth
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    here = Path(__file__).parent
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else here / "results" / "inspection.json")
