"""The proof that a fused model computes what the original does."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from torchskip.errors import FuseError

__all__ = ["TOLERANCE", "Check", "largest_difference", "prove"]

# Relative to the largest magnitude of the truth.
TOLERANCE = {torch.float64: 1e-10, torch.float32: 1e-5, torch.bfloat16: 1e-2, torch.float16: 1e-2}


@dataclass(frozen=True, slots=True)
class Check:
    """One comparison: on which input, and ``max |fused - original| / max |original|``."""

    inputs: str
    shapes: tuple[tuple[int, ...], ...]
    difference: float


def largest_difference(result: Tensor, truth: Tensor) -> float:
    """Return ``max |result - truth| / max |truth|``; infinite where one is not finite alone.

    >>> largest_difference(torch.tensor([1.0, 2.5]), torch.tensor([1.0, 2.0]))
    0.25
    """
    if result.shape != truth.shape or result.dtype != truth.dtype:
        return float("inf")
    if not truth.is_floating_point():
        return 0.0 if torch.equal(result, truth) else float("inf")
    a, b = result.double(), truth.double()
    finite = b.isfinite()
    if not torch.equal(a.isfinite(), finite):
        return float("inf")
    if not torch.equal(a[~finite].nan_to_num(), b[~finite].nan_to_num()):
        return float("inf")
    a, b = a[finite], b[finite]
    if not b.numel():
        return 0.0
    error, size = float((a - b).abs().max()), float(b.abs().max())
    return error / size if size else (0.0 if not error else float("inf"))


def prove(
    name: str,
    inputs: Sequence[Tensor],
    results: Sequence[Tensor],
    truths: Sequence[Tensor],
    tolerance: float,
) -> Check:
    """Compare; raise `FuseError` beyond `tolerance`."""
    difference = max(
        (largest_difference(r, t) for r, t in zip(results, truths, strict=True)), default=0.0
    )
    shapes = tuple(tuple(t.shape) for t in inputs)
    if not difference <= tolerance:
        raise FuseError(
            f"the fused model differs from the original by {difference:.1e} on {name} "
            f"{' '.join(map(str, shapes))}, more than {tolerance:.0e} of its largest output\n"
            f"  mend: {_mend(difference, tolerance)}"
        )
    return Check(name, shapes, difference)


def _mend(difference: float, tolerance: float) -> str:
    if not math.isfinite(difference):
        return "report it, with the model: no tolerance is right for that"
    step = 10.0 ** math.floor(math.log10(difference))
    enough = math.floor(difference / step + 1) * step
    narrow = tolerance >= TOLERANCE[torch.bfloat16]
    wider = "fuse in float32, or " if narrow else ""
    return f"{wider}if that will do for you, fuse(..., tolerance={enough:.0e})"
