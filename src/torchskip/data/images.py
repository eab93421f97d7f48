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

    @property
    def commonest(self) -> float:
        """Share of the commonest class in the test images: what always answering it would score.

        >>> from torchskip import data
        >>> data.load("fashion-mnist").commonest
        0.1
        """
        counts = self.test_labels.bincount()
        return float(counts.max()) / float(counts.sum())

    def describe(self) -> str:
        """Return source, numbers and shape in words."""
        return (
            f"{self.source}, {len(self.train):,} to train and {len(self.test):,} to test, "
            + "x".join(map(str, self.shape))
        )

    def oddities(self) -> tuple[str, ...]:
        """Return a sentence for all that a reader of results on these images should know.

        >>> from torchskip import data
        >>> data.load("fashion-mnist").oddities()
        ()
        """
        found = []
        if self.skipped:
            few = ", ".join(self.skipped[:3]) + ", ..." * (len(self.skipped) > 3)
            found.append(f"Left out as unreadable: {len(self.skipped):,} images ({few}).")
        counts = self.test_labels.bincount(minlength=len(self.classes)).tolist()
        untested = [name for name, n in zip(self.classes, counts, strict=True) if not n]
        if untested:
            found.append(f"There are no test images of {', '.join(untested)}.")
        if max(counts) > 1.05 * sum(counts) / len(counts):
            found.append(
                "The classes are uneven: always answering the commonest one would be right on "
                f"{100 * self.commonest:.1f} % of the test images."
            )
        return tuple(found)

    def __repr__(self) -> str:
        return (
            f"Images({self.source!r}: {len(self.train):,} to train and {len(self.test):,} to test, "
            f"{'x'.join(map(str, self.shape))}, {len(self.classes)} classes)"
        )
