"""Models that nobody tuned `fuse` for, against eager PyTorch, in seconds of CPU of one thread.

    python benchmarks/untuned.py            # every model, float32 and bfloat16
    python benchmarks/untuned.py MONAI      # those with this in their name; others' rows stay

CPU time of one thread is what a busy machine still measures. In each of five rounds every runtime
has one call that is not timed and one that is; ratios are medians over the rounds. Each model has a
process of its own. A model that is refused has the reason in the record instead.
"""

import json
import sys
import time
import warnings
from concurrent.futures import ProcessPoolExecutor
from copy import deepcopy
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from statistics import median

import torch

from torchskip import fuse
from torchskip.errors import FuseError
from torchskip.spec.zoo import build, import_family

RESULTS = Path(__file__).parent / "results" / "untuned.jsonl"
ROUNDS = 5


@dataclass(frozen=True)
class Case:
    """A model and the shape of its input."""

    family: str
    name: str
    shape: tuple[int, ...] = (1, 3, 224, 224)
    options: dict = field(default_factory=dict)

    @property
    def label(self):
        """Its name in the record."""
        dims = f" {self.options['spatial_dims']}-D" if "spatial_dims" in self.options else ""
        norm = f", {self.options['norm']} norm" if "norm" in self.options else ""
        return f"{self.family} {self.name}{dims}{norm}"

    def make(self):
        """Build it."""
        torch.manual_seed(0)
        if self.family == "MONAI":
            import monai.networks.nets as nets

            return getattr(nets, self.name)(**self.options).eval()
        if self.family == "video":
            import_family("torchvision")
            from torchvision.models import video

            return getattr(video, self.name)().eval()
        if self.family == "smp":
            import_family("torchvision")
            import segmentation_models_pytorch as smp

            return getattr(smp, self.name)("resnet18", encoder_weights=None).eval()
        return build(self.family, self.name).eval()


def volume(name, **options):
    return Case("MONAI", name, (1, 1, 64, 64, 64), {"spatial_dims": 3, **options})


UNET = {"in_channels": 1, "out_channels": 2, "channels": (16, 32, 64, 128), "strides": (2, 2, 2)}
CASES = (
    *(Case("video", n, (1, 3, 8, 112, 112)) for n in ("r3d_18", "r2plus1d_18", "mc3_18")),
    volume("UNet", **UNET, num_res_units=2),
    volume("UNet", **UNET, num_res_units=2, norm="batch"),
    volume("AttentionUnet", **UNET),
    volume("SegResNet", init_filters=16),
    Case("MONAI", "SegResNet", (1, 1, 256, 256), {"spatial_dims": 2, "init_filters": 16}),
    volume("BasicUNet"),
    volume("DynUNet", in_channels=1, out_channels=2, kernel_size=(3,) * 4, strides=(1, 2, 2, 2),
           upsample_kernel_size=(2, 2, 2), res_block=True),
    volume("DenseNet121", in_channels=1, out_channels=2),
    volume("resnet18", n_input_channels=1, num_classes=2),
    *(Case("smp", n) for n in ("Unet", "UnetPlusPlus", "FPN", "PSPNet", "DeepLabV3Plus")),
    *(Case("torchvision", n) for n in ("googlenet", "efficientnet_b0", "shufflenet_v2_x1_0")),
    *(Case("torchvision", n) for n in ("regnet_x_400mf", "mnasnet1_0", "mobilenet_v3_small")),
    *(Case("timm", n) for n in ("resnet50_gn", "resnetv2_50", "lcnet_100", "repvgg_a0", "dla34")),
    *(Case("timm", n) for n in ("res2net50_26w_4s", "ghostnet_100", "mobileone_s0", "dpn68")),
    *(Case("timm", n) for n in ("cspresnet50", "rexnet_100", "fbnetc_100", "hrnet_w18_small")),
)  # fmt: skip


def measure(case, dtype):
    """Ready time, difference and medians with minimum and maximum of one model in one type."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    model, x = case.make(), torch.randn(case.shape)
    row = {"model": case.label, "shape": case.shape, "dtype": dtype}
    kind = getattr(torch, dtype)
    start = time.process_time()
    try:
        fused = fuse(model, x, dtype=None if kind == torch.float32 else kind)
    except FuseError as refusal:
        return {**row, "refused": str(refusal).splitlines()[0]}
    ready = time.process_time() - start
    layout = torch.channels_last_3d if x.dim() == 5 else torch.channels_last
    last, given = deepcopy(model).to(kind, memory_format=layout), x.to(kind, memory_format=layout)
    calls = {
        "fused": lambda: fused(x),
        "channels-last": lambda: last(given),
        "eager": lambda: model(x),
    }
    times = {name: [] for name in calls}
    with torch.no_grad():
        for name in list(calls):
            try:
                calls[name]()
            except RuntimeError:  # an operator that PyTorch lacks in bfloat16
                del calls[name]
        for _ in range(ROUNDS):
            for name, call in calls.items():
                call()
                start = time.process_time()
                call()
                times[name].append(time.process_time() - start)
    ratios = {
        name: spread([a / b for a, b in zip(times[name], times["fused"], strict=True)])
        for name in calls
        if name != "fused"
    }
    return {
        **row,
        "ready": round(ready, 2),
        "difference": max(c.difference for c in fused.report.checks),
        "milliseconds": spread([1000 * t for t in times["fused"]]),
        "ratios": ratios,
        "note": fused.report.notes[-1],
    }


def spread(values):
    """The median, the least and the most."""
    return [round(f(values), 3) for f in (median, min, max)]


def main():
    word = sys.argv[1] if len(sys.argv) > 1 else ""
    rows = (
        [json.loads(line) for line in RESULTS.read_text().splitlines()] if RESULTS.exists() else []
    )
    for case in CASES:
        if word not in case.label:
            continue
        rows = [r for r in rows if (r["model"], r["shape"]) != (case.label, list(case.shape))]
        for dtype in ("float32", "bfloat16"):
            with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
                row = pool.submit(measure, case, dtype).result()
            print(json.dumps(row), flush=True)
            rows.append(row)
        RESULTS.write_text("".join(json.dumps(row) + "\n" for row in rows))


if __name__ == "__main__":
    main()
