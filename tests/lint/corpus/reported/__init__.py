"""Faults and designs restated from public reports, each rule decided before the first run."""

from ..case import Case, Clean
from . import dropped, meant, meant_streams, shapes, shared, streams, sums, training

CASES: tuple[Case, ...] = (
    *sums.CASES,
    *dropped.CASES,
    *shared.CASES,
    *shapes.CASES,
    *streams.CASES,
    *training.CASES,
)
CLEAN: tuple[Clean, ...] = (*meant.CLEAN, *meant_streams.CLEAN)

__all__ = ["CASES", "CLEAN"]
