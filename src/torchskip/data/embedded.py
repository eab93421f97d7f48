"""The images inside the package: one PNG mosaic a split (scripts/make_fashion_mnist_subset.py)."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

import numpy as np
import torch
from torch import Tensor

from torchskip.data.decode import fit, suffixes
from torchskip.data.images import Images

__all__ = ["NAME", "read"]

NAME = "fashion-mnist"
_DIRECTORY = files("torchskip.data") / "fashion_mnist"


def read(
    size: tuple[int, int] | None, train_per_class: int | None, test_per_class: int | None
) -> Images:
    """Return the embedded subset of Fashion-MNIST (Xiao 2017): 6,000 and 1,000 images, 1x28x28."""
    suffixes()  # says so if Pillow is missing
    facts: dict[str, Any] = json.loads((_DIRECTORY / "subset.json").read_text("utf-8"))
    train, train_labels = _split("train", facts, size, train_per_class)
    test, test_labels = _split("test", facts, size, test_per_class)
    return Images(
        train=train,
        train_labels=train_labels,
        test=test,
        test_labels=test_labels,
        classes=tuple(facts["classes"]),
        source=NAME,
    )


def _split(
    split: str, facts: dict[str, Any], size: tuple[int, int] | None, limit: int | None
) -> tuple[Tensor, Tensor]:
    from PIL import Image as Pillow

    classes, columns = len(facts["classes"]), int(facts["columns"])
    height, width = facts["tile"]
    with (_DIRECTORY / f"{split}.png").open("rb") as file:
        mosaic = np.array(Pillow.open(file))
    grid = mosaic.reshape(-1, height, columns, width).swapaxes(1, 2)
    tiles = grid.reshape(classes, -1, height, width)[:, :limit]
    labels = np.arange(classes).repeat(tiles.shape[1])
    tiles = tiles.reshape(-1, height, width)
    if size is not None:
        tiles = np.stack([np.array(fit(Pillow.fromarray(tile), size)) for tile in tiles])
    return torch.from_numpy(np.ascontiguousarray(tiles[:, None])), torch.from_numpy(labels)
