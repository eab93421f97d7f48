"""Faults and designs restated from public reports, each rule decided before the first run."""

from ..case import Case, Clean
from . import (
    again,
    again_streams,
    dropped,
    fourth_images,
    fourth_joins,
    fourth_levels,
    fourth_meant,
    fourth_series,
    fourth_tokens,
    meant,
    meant_streams,
    shapes,
    shared,
    sizes,
    streams,
    sums,
    third,
    training,
)

CASES: tuple[Case, ...] = (
    *sums.CASES,
    *dropped.CASES,
    *shared.CASES,
    *shapes.CASES,
    *sizes.CASES,
    *streams.CASES,
    *training.CASES,
    *again.CASES,
    *again_streams.CASES,
    *third.CASES,
    *fourth_images.CASES,
    *fourth_joins.CASES,
    *fourth_levels.CASES,
    *fourth_series.CASES,
    *fourth_tokens.CASES,
)
CLEAN: tuple[Clean, ...] = (
    *meant.CLEAN,
    *meant_streams.CLEAN,
    *again.CLEAN,
    *again_streams.CLEAN,
    *third.CLEAN,
    *fourth_meant.CLEAN,
)

__all__ = ["CASES", "CLEAN"]
