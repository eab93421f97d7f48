"""Which image files a directory holds: `train/<class>/*` and `test/<class>/*`."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from torchskip.data.decode import suffixes
from torchskip.errors import DataError

__all__ = ["Split", "listing"]

_HELD_OUT = ("test", "val", "valid", "validation")


@dataclass(frozen=True, slots=True)
class Split:
    """The image files below one directory; `labels[i]` is the class index of `paths[i]`."""

    path: Path
    paths: tuple[Path, ...]
    labels: tuple[int, ...]


def listing(
    root: Path, train_per_class: int | None, test_per_class: int | None
) -> tuple[tuple[str, ...], Split, Split]:
    """Return the class names and the two splits of `root`, in alphabetical order.

    The first of `test`, `val`, `valid` and `validation` that has class directories is held out
    (ImageNet's `test` is one unlabelled heap).

    Raises:
        DataError: a directory is missing or empty, a class is only in the held-out split, or there
            is but one.

    """
    if not root.is_dir():
        there = "is a file, not a directory" if root.exists() else "does not exist"
        raise DataError(
            f"{str(root)!r} {there}\n"
            "  mend: a directory with train/<class>/* and test/<class>/*, or 'fashion-mnist' for "
            "the embedded images"
        )
    train = root / "train"
    classes = _class_directories(train)
    held_out = next((root / name for name in _HELD_OUT if _class_directories(root / name)), None)
    if not classes or held_out is None:
        missing = "train/<class>/*" if not classes else "test/<class>/* (or val, valid, validation)"
        raise DataError(
            f"{str(root)!r} holds no images under {missing}\n"
            f"  found  {_contents(root)}\n"
            "  mend: sort the images into train/<class>/ and test/<class>/, one directory a class"
        )
    if len(classes) < 2:
        raise DataError(
            f"{train} has one class, {classes[0]}, and nothing to tell it from\n"
            "  mend: train/<class>/ for two classes or more"
        )
    strangers = [name for name in _class_directories(held_out) if name not in classes]
    if strangers:
        raise DataError(
            f"{held_out} has classes that {train} has not: {', '.join(strangers)}\n"
            f"  trained  {', '.join(classes)}\n"
            "  mend: give the same class the same name in both"
        )
    return (
        tuple(classes),
        _split(train, classes, train_per_class),
        _split(held_out, classes, test_per_class),
    )


def _class_directories(split: Path) -> list[str]:
    if not split.is_dir():
        return []
    return sorted(p.name for p in split.iterdir() if p.is_dir() and not p.name.startswith("."))


def _contents(root: Path) -> str:
    names = sorted(p.name + "/" * p.is_dir() for p in root.iterdir())
    return ", ".join(names[:8] + ["..."] * (len(names) > 8)) or "nothing"


def _split(path: Path, classes: list[str], per_class: int | None) -> Split:
    paths: list[Path] = []
    labels: list[int] = []
    for label, name in enumerate(classes):
        directory = path / name
        if not directory.is_dir():
            continue
        found = _images(directory)
        if not found:
            raise DataError(
                f"{directory} holds no image\n  found  {_contents(directory)}\n"
                "  mend: put images there, or remove the directory"
            )
        paths += found[:per_class]
        labels += [label] * len(found[:per_class])
    return Split(path, tuple(paths), tuple(labels))


def _images(directory: Path) -> list[Path]:
    known = suffixes()
    return sorted(
        Path(parent, name)
        for parent, _, names in os.walk(directory)
        for name in names
        if not name.startswith(".") and os.path.splitext(name)[1].lower() in known
    )
