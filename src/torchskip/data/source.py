"""`load`: from a name or a directory to `Images`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch

from torchskip.data import embedded, folder
from torchskip.data.decode import Array, decode_all
from torchskip.data.images import Images
from torchskip.errors import DataError

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["load"]


def load(
    source: str | Path = embedded.NAME,
    *,
    size: int | tuple[int, int] | None = None,
    train_per_class: int | None = None,
    test_per_class: int | None = None,
    on_error: Literal["refuse", "skip"] = "refuse",
    console: Console | None = None,
) -> Images:
    """Load `source` into uint8 tensors `(N, C, H, W)`, in an order that never changes.

    Args:
        source: `"fashion-mnist"` (6,000 + 1,000 embedded images, 1x28x28, MIT licence), or a
            directory with `train/<class>/*` and `test/<class>/*` (or `val`, `valid`,
            `validation`). Classes and files are taken in alphabetical order.
        size: pixels; the height and width to bring every image to (one number: a square), cut
            centrally to that aspect ratio and resampled without aliasing.
        train_per_class: take only this many training images of each class, the first ones.
        test_per_class: likewise for the test images.
        on_error: what to do about an unreadable file: `"refuse"`, or `"skip"` and name it in
            `Images.skipped`.
        console: where to draw progress bars; none without it.

    Raises:
        DataError: what is missing, unreadable or of unequal size, by name, with the mend.

    >>> from torchskip import data
    >>> data.load("fashion-mnist", size=14)
    Images('fashion-mnist': 6,000 to train and 1,000 to test, 1x14x14, 10 classes)

    """
    height, width = (size, size) if size is None or isinstance(size, int) else size
    pixels = None if height is None or width is None else (height, width)
    if pixels is not None and min(pixels) < 1:
        raise DataError(f"cannot resize images to {height}x{width}\n  mend: 1x1 or more")
    for limit in (train_per_class, test_per_class):
        if limit is not None and limit < 1:
            raise DataError(f"cannot take {limit} images of each class\n  mend: 1 or more")
    if on_error not in ("refuse", "skip"):
        raise DataError(f"on_error={on_error!r} is unknown\n  mend: 'refuse' or 'skip'")

    if str(source) == embedded.NAME:
        return embedded.read(pixels, train_per_class, test_per_class)
    classes, train, test = folder.listing(Path(source), train_per_class, test_per_class)
    paths = train.paths + test.paths
    arrays = decode_all(paths, pixels, console)
    return _assemble(str(source), classes, train, test, arrays, on_error)


def _assemble(
    source: str,
    classes: tuple[str, ...],
    train: folder.Split,
    test: folder.Split,
    arrays: list[Array | str],
    on_error: str,
) -> Images:
    paths = train.paths + test.paths
    labels = torch.tensor(train.labels + test.labels)
    unreadable = [(path, a) for path, a in zip(paths, arrays, strict=True) if isinstance(a, str)]
    if unreadable and on_error == "refuse":
        raise DataError(
            f"{len(unreadable):,} of {len(paths):,} images cannot be read\n"
            + _lines([f"{path}: {why}" for path, why in unreadable])
            + "  mend: replace or delete them, or leave them out with on_error='skip' "
            "(--on-error skip)"
        )
    kept = [index for index, array in enumerate(arrays) if not isinstance(array, str)]
    of_train = [index for index in kept if index < len(train.paths)]
    of_test = [index for index in kept if index >= len(train.paths)]
    for split, left in ((train, of_train), (test, of_test)):
        present = {int(labels[index]) for index in left}
        for label in sorted(set(split.labels) - present):
            raise DataError(
                f"no image of class {classes[label]!r} in {split.path} can be read\n"
                + _lines([f"{path}: {why}" for path, why in unreadable])
                + "  mend: replace these images"
            )
    _check_one_size(paths, arrays)
    channels = max(int(np.shape(arrays[index])[2]) for index in kept)
    return Images(
        train=_stack(arrays, of_train, channels),
        train_labels=labels[of_train],
        test=_stack(arrays, of_test, channels),
        test_labels=labels[of_test],
        classes=classes,
        source=source,
        skipped=tuple(str(path) for path, _ in unreadable),
    )


def _check_one_size(paths: Sequence[Path], arrays: Sequence[Array | str]) -> None:
    by_size: dict[tuple[int, int], list[Path]] = {}
    for path, array in zip(paths, arrays, strict=True):
        if not isinstance(array, str):
            by_size.setdefault(array.shape[:2], []).append(path)
    if len(by_size) == 1:
        return
    found = sorted(by_size.items(), key=lambda item: -len(item[1]))
    height, width = found[0][0]
    raise DataError(
        f"the images are of {len(found)} sizes, a batch needs one\n"
        + _lines([f"{h}x{w}: {len(of):,} images, such as {of[0]}" for (h, w), of in found])
        + f"  mend: size=({height}, {width}) (--size {height} {width}) brings all of them to the "
        "most common size"
    )


def _stack(arrays: list[Array | str], indices: list[int], channels: int) -> torch.Tensor:
    """Move arrays (H, W, C) into one tensor (N, C, H, W), freeing each; grey becomes RGB."""
    height, width = np.shape(arrays[indices[0]])[:2]
    stacked = torch.empty((len(indices), channels, height, width), dtype=torch.uint8)
    for place, index in enumerate(indices):
        stacked[place] = torch.from_numpy(arrays[index]).permute(2, 0, 1)
        arrays[index] = ""
    return stacked


def _lines(lines: list[str], most: int = 5) -> str:
    more = [f"and {len(lines) - most:,} more"] if len(lines) > most else []
    return "".join(f"  {line}\n" for line in lines[:most] + more)
