"""Small networks in the styles people write them, from papers and popular repositories.

Each was written and its truth derived from docs/kinds.md before the finder ran on it. Of the
first 44, 40 were counted right at once; of 15 written after the finder was mended on these, 13;
of 18 more, 16.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

import torch
from tests.truth.row import Row
from tests.truth.written import (
    attention,
    branching,
    detectors,
    diffusion,
    generators,
    mobile,
    pyramids,
    refinement,
    residual_unets,
    resnets,
    restoration,
    sequences,
    sets,
    speech,
    superresolution,
    unets,
)
from torch import nn

__all__ = ["WRITTEN", "build_written"]

_FILES: tuple[ModuleType, ...] = (
    resnets,
    mobile,
    attention,
    superresolution,
    restoration,
    unets,
    residual_unets,
    diffusion,
    pyramids,
    detectors,
    generators,
    sequences,
    speech,
    branching,
    refinement,
    sets,
)
WRITTEN: tuple[Row, ...] = tuple(row for file in _FILES for row in file.ROWS)


def build_written(name: str) -> tuple[nn.Module, tuple[torch.Tensor, ...]]:
    """Return the network of that class and its example inputs."""
    make: Any = next(getattr(file, name) for file in _FILES if hasattr(file, name))
    return make(), tuple(torch.zeros(1, *size) for size in make.size)
