"""Labelled images in memory, ready to train on."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

__all__ = ["Images"]


@dataclass(frozen=True, slots=True, eq=False)
class Images:
    """Two splits of images of one size, decoded once.

    `train` and `test` are uint8 tensors `(N, C, H, W)` with C = 1 (grey) or 3 (RGB);
    the labels are int64 `(N,)` and index `classes`. `skipped` names the unreadable files
    that were left out.
    """

    train: Tensor
    train_labels: Tensor
    test: Tensor
    test_labels: Tensor
    classes: tuple[str, ...]
    source: str
    skipped: tuple[str, ...] = ()

    @property
    def shape(self) -> tuple[int, int, int]:
        """One image's `(C, H, W)`.

        >>> from torchskip import data
        >>> data.load("fashion-mnist").shape
        (1, 28, 28)
        """
        channels, height, width = self.train.shape[1:]
        return channels, height, width

    def describe(self) -> str:
        """Return source, numbers and shape in words."""
        return (
            f"{self.source}, {len(self.train):,} to train and {len(self.test):,} to test, "
            + "x".join(map(str, self.shape))
        )

    def __repr__(self) -> str:
        return (
            f"Images({self.source!r}: {len(self.train):,} to train and {len(self.test):,} to test, "
            f"{'x'.join(map(str, self.shape))}, {len(self.classes)} classes)"
        )
