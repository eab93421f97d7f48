"""Draw the pictures of this folder anew: ``python docs/pictures/draw.py``."""

from pathlib import Path

import torch

from torchskip import inspect
from torchskip.spec.zoo import build, import_family

import_family("torchvision")  # segmentation_models_pytorch imports it: beside any build of torch
import segmentation_models_pytorch as smp  # noqa: E402

MODELS = {
    "resnet18": (build("torchvision", "resnet18"), 224),
    "densenet121": (build("torchvision", "densenet121"), 224),
    "unet": (smp.Unet("resnet34", encoder_weights=None), 256),
}

for name, (model, size) in MODELS.items():
    svg = inspect(model.eval(), torch.zeros(1, 3, size, size)).to_svg()
    Path(__file__).with_name(f"{name}.svg").write_text(svg, encoding="utf-8")
