"""Fewer and smaller images, so that a comparison ends in minutes."""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional as F

from torchskip.data import Images

__all__ = ["shrink"]


def shrink(
    images: Images,
    side: int,
    train_per_class: int | None = None,
    test_per_class: int | None = None,
) -> Images:
    """Take the first images of each class, and average blocks until no side exceeds `side`.

    >>> from torchskip import data
    >>> shrink(data.load("fashion-mnist"), 16, test_per_class=50)
    Images('fashion-mnist': 6,000 to train and 500 to test, 1x14x14, 10 classes)
    """
    block = math.ceil(max(images.shape[1:]) / side)
    train, train_labels = _some(images.train, images.train_labels, train_per_class, block)
    test, test_labels = _some(images.test, images.test_labels, test_per_class, block)
    return replace(
        images, train=train, train_labels=train_labels, test=test, test_labels=test_labels
    )


def _some(x: Tensor, y: Tensor, each: int | None, block: int) -> tuple[Tensor, Tensor]:
    if each is not None:
        classes = range(int(y.max()) + 1)
        chosen = torch.cat([(y == label).nonzero()[:each, 0] for label in classes])
        x, y = x[chosen], y[chosen]
    if block > 1:
        parts = (x[start : start + 1000] for start in range(0, len(x), 1000))
        means = [F.avg_pool2d(part.float(), block).round().to(torch.uint8) for part in parts]
        x = torch.cat(means)
    return x, y
