"""The bug corpus: real faults of public skip connections, restated, each with its mended twin."""

from . import detached, droppath, inplace, joins, unused, wiring
from .case import Case, Clean
from .clean import CLEAN

CASES: tuple[Case, ...] = (
    *inplace.CASES,
    *joins.CASES,
    *detached.CASES,
    *unused.CASES,
    *droppath.CASES,
    *wiring.CASES,
)

__all__ = ["CASES", "CLEAN", "Case", "Clean"]
