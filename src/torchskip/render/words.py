"""The words of the pictures: shapes, operations, places and arms as short text."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePath
from typing import Protocol, get_args

from torchskip.graph import Kind, Source

__all__ = ["KINDS", "count", "operation", "pixels", "place", "plain", "shape", "totals"]

KINDS: tuple[Kind, ...] = get_args(Kind)

# C0 and C1 controls, bidirectional overrides and lone surrogates: none may reach a terminal or
# a page, where they would move the cursor, reverse the line or be no character at all.
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")

# What the dispatcher adds to an operation's name: how it runs, not what it does.
_VARIANT = re.compile("^_*(native_|fused_|unsafe_)?|(_legit|_no_training|_with_indices|_copy)*_*$")

# What the dispatcher takes apart, by the name of the function that was called.
_CALLED = {"_unsafe_index": "interpolate"}


def plain(text: str) -> str:
    r"""Return the text with every character that is not printable replaced by U+FFFD.

    >>> plain("layer\x1b[31m")
    'layer�[31m'
    """
    return _UNPRINTABLE.sub("\ufffd", text)


def shape(sizes: Sequence[int]) -> str:
    """Return the sizes of a tensor, the batch axis included, joined by multiplication signs.

    >>> shape((1, 64, 56, 56))
    '1×64×56×56'
    """
    return "×".join(map(str, sizes)) if sizes else "scalar"


def operation(op: str) -> str:
    """Return the short name of an operator: its overload and in-place marks are dropped.

    >>> operation("aten.add_.Tensor"), operation("module.LSTM")
    ('add', 'LSTM')
    >>> operation("aten._native_batch_norm_legit_no_training.default")
    'batch_norm'
    >>> operation("aten._unsafe_index.Tensor")  # of nearest interpolation
    'interpolate'
    """
    parts = op.split(".")
    name = parts[1] if len(parts) > 1 else parts[0]
    if name in _CALLED:
        return _CALLED[name]
    return plain(_VARIANT.sub("", name) or name)


def place(source: Source | None, root: str | None = None) -> str:
    """Return ``file:line``, shortened to what a reader needs to find the file.

    A file of an installed package is named from the package on, one under `root` (the working
    directory) relative to it, any other by its whole path.

    >>> place(Source("/usr/lib/python3/site-packages/torchvision/models/resnet.py", 103, "forward"))
    'torchvision/models/resnet.py:103'
    """
    if source is None:
        return "unknown source"
    file = PurePath(source.file)
    for marker in ("site-packages", "dist-packages"):
        if marker in file.parts:
            file = PurePath(*file.parts[len(file.parts) - file.parts[::-1].index(marker) :])
            break
    else:
        base = PurePath(root) if root is not None else Path.cwd()
        if file.is_relative_to(base):
            file = file.relative_to(base)
    return f"{plain(file.as_posix())}:{source.line}"


def pixels(alignment: Sequence[float] | None) -> str:
    """Return the alignment error of a join in words.

    >>> pixels((0.0, 0.0)), pixels((0.5, 0.5)), pixels((0.5, 0.0)), pixels(None)
    ('aligned', 'off by 0.5 px', 'off by 0.5×0 px', '')
    """
    if alignment is None:
        return ""
    if all(abs(error) < 1e-9 for error in alignment):
        return "aligned"
    numbers = [f"{error:.3g}" for error in alignment]
    return f"off by {numbers[0] if len(set(numbers)) == 1 else '×'.join(numbers)} px"


def count(number: int, noun: str) -> str:
    """Return the number and its noun, in the plural where it is one.

    >>> count(1, "layer"), count(16, "layer")
    ('1 layer', '16 layers')
    """
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


class HasKind(Protocol):
    """A skip, found or told."""

    @property
    def kind(self) -> Kind:
        """Its kind."""


def totals(skips: Iterable[HasKind]) -> dict[Kind, int]:
    """Return how many skips there are of each kind, in the order of `Kind`, zeros left out."""
    counts = Counter(skip.kind for skip in skips)
    return {kind: counts[kind] for kind in KINDS if counts[kind]}
