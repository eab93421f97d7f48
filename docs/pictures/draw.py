"""Draw the pictures of this folder anew: ``python docs/pictures/draw.py``."""

from pathlib import Path

import segmentation_models_pytorch as smp
import torch
import torchvision

from torchskip import inspect

MODELS = {
    "resnet18": (torchvision.models.resnet18(), 224),
    "densenet121": (torchvision.models.densenet121(), 224),
    "unet": (smp.Unet("resnet34", encoder_weights=None), 256),
}

for name, (model, size) in MODELS.items():
    svg = inspect(model.eval(), torch.zeros(1, 3, size, size)).to_svg()
    Path(__file__).with_name(f"{name}.svg").write_text(svg, encoding="utf-8")
