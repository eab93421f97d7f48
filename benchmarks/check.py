"""Cost of `check` against `inspect` and a small real forward and backward.

The goal: ``check`` takes at most ``3 * inspect + 2 * passes``, where a pass is one forward and
backward in training mode on numbers, at no more than 64 pixels a side and with a batch of 2. Each
round runs every side once, one after the other, so that a slow moment of the machine hits all; the
ratio is taken within a round, and the table gives medians with minimum and maximum. Writes the raw
seconds to ``benchmarks/results/check.json`` (or the path given). Models of timm, MONAI and
segmentation_models_pytorch join when these are installed.

    python benchmarks/check.py [PATH]
"""

import json
import platform
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor, nn

from torchskip import check, inspect
from torchskip.spec.zoo import import_family

ROUNDS = 5
SMALL = 64


def cases() -> Iterator[tuple[str, nn.Module, Tensor]]:
    image = torch.zeros(1, 3, 224, 224)
    models = import_family("torchvision").models
    for name in ("resnet18", "resnet50", "densenet121", "mobilenet_v3_large", "swin_t"):
        yield name, models.get_model(name, weights=None), image
    deeplab = models.get_model("deeplabv3_resnet50", weights=None, weights_backbone=None)
    yield "deeplabv3_resnet50", deeplab, image
    if find_spec("timm"):
        timm = import_family("timm")
        for name in ("convnext_tiny", "efficientnet_b0"):
            yield f"timm {name}", timm.create_model(name), image
    if find_spec("segmentation_models_pytorch"):
        import segmentation_models_pytorch as smp

        yield "smp Unet resnet34", smp.Unet("resnet34", encoder_weights=None), image
    if find_spec("monai"):
        from monai.networks.nets import UNet

        volume = torch.zeros(1, 1, 64, 64, 64)
        wide = (16, 32, 64, 128)
        yield "MONAI UNet 3-D", UNet(3, 1, 2, wide, (2, 2, 2), num_res_units=2), volume


def forward_and_backward(model: nn.Module, example: Tensor) -> Callable[[], object]:
    x = torch.randn(2, example.shape[1], *(min(SMALL, size) for size in example.shape[2:]))
    parameters = [p for p in model.parameters() if p.requires_grad]

    def run() -> None:
        model.train()
        result = model(x)
        outputs = result.values() if isinstance(result, dict) else [result]
        loss = torch.stack([output.square().sum() for output in outputs]).sum()
        torch.autograd.grad(loss, parameters, allow_unused=True)

    return run


def seconds(call: Callable[[], object]) -> float:
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


def main(target: Path) -> None:
    results: dict[str, object] = {
        "machine": platform.processor() or platform.machine(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "unit": "seconds",
    }
    columns = "".join(f"{name:>9}" for name in ("inspect", "pass", "check", "ratio", "min", "max"))
    print(f"{'model':22}{columns}")
    for name, model, x in cases():
        sides: dict[str, Callable[[], object]] = {
            "inspect": lambda model=model, x=x: inspect(model, x, training=False),
            "pass": forward_and_backward(model, x),
            "check": lambda model=model, x=x: check(model, x),
        }
        times = rounds(sides, ROUNDS)
        results[name] = times
        ratios = [
            whole / (3 * seen + 2 * run)
            for seen, run, whole in zip(*(times[side] for side in sides), strict=True)
        ]
        middles = [statistics.median(times[side]) for side in sides]
        columns = "".join(
            f"{value:9.3f}"
            for value in (*middles, statistics.median(ratios), min(ratios), max(ratios))
        )
        print(f"{name:22}{columns}", flush=True)
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    here = Path(__file__).parent
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else here / "results" / "check.json")
