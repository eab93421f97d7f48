"""The bug corpus: real faults of public skip connections, restated, each with its mended twin."""

from . import (
    detached,
    droppath,
    dropped,
    gradient_designs,
    inplace,
    joins,
    lookalikes,
    placement,
    renamed,
    reported,
    sources,
    training,
    unused,
    wiring,
)
from .case import Case, Clean
from .clean import CLEAN as PUBLISHED

CASES: tuple[Case, ...] = (
    *inplace.CASES,
    *joins.CASES,
    *detached.CASES,
    *unused.CASES,
    *droppath.CASES,
    *wiring.CASES,
    *placement.CASES,
    *renamed.CASES,
    *dropped.CASES,
    *sources.CASES,
    *training.CASES,
    *reported.CASES,
)
CLEAN: tuple[Clean, ...] = (
    *PUBLISHED,
    *gradient_designs.CLEAN,
    *lookalikes.CLEAN,
    *training.CLEAN,
    *reported.CLEAN,
)

__all__ = ["CASES", "CLEAN", "Case", "Clean"]
