"""How large a drawn mask makes a branch in training, against what evaluation makes of it."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

from torchskip.lint.drops import Drop, factor, factor_of
from torchskip.lint.evidence import Evidence
from torchskip.lint.facts import Draws
from torchskip.lint.joins import Join

__all__ = ["Balance", "unbalanced"]


@dataclass(frozen=True, slots=True)
class Balance:
    """The part of the samples that keeps its branch, and its size there in evaluation's sizes."""

    keep: float
    kept: float

    @property
    def mean(self) -> float:
        """The size of the branch in training, in sizes of evaluation."""
        return self.keep * self.kept

    @property
    def unscaled(self) -> bool:
        """Whether what is kept has evaluation's size."""
        return abs(self.kept - 1) < 1e-3


def unbalanced(evidence: Evidence, join: Join, drop: Drop, draws: Draws) -> Balance | None:
    """The balance of a mask of zeros and one other number, where its mean is not evaluation's.

    None also where so few numbers were drawn that chance may be why.
    """
    if not draws.varied or not draws.binary or draws.peak <= 0:
        return None
    training = factor(evidence.train.flow, drop.end)
    resting = factor_of(evidence.eval, join, join.values.index(drop.end))
    if training is None or not resting:
        return None
    keep = draws.mean / draws.peak
    found = Balance(keep, draws.peak * training / resting)
    spread = found.kept * sqrt(keep * (1 - keep) / draws.count)
    off = abs(found.mean - 1)
    return found if found.unscaled or (off >= 0.15 and off >= 5 * spread) else None
