"""Where the residual stream changes: how much each branch adds to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from torchskip.measure.layers import undisturbed
from torchskip.surgery import SUMS, Which, meeting

__all__ = ["Change", "stream"]


@dataclass(frozen=True, slots=True)
class Change:
    """What one skip does to the stream, in the mean over the images.

    `relative = ||f(x)|| / ||s(x)||`; `cosine` of the angle between `s(x)` and `f(x)`: positive
    where the branch amplifies what is there, negative where it takes away.
    """

    path: str
    relative: float
    cosine: float


def stream(model: nn.Module, *inputs: Any, which: Which = SUMS) -> tuple[Change, ...]:
    """Return for every join of two arms, in order of the run, how its branch changes the stream.

    Greff et al. 2017 (arXiv 1612.07771): within a stage, blocks refine one representation step
    by step; it changes where the stages meet. Eval mode; the model comes back as it was. `which`
    names skips as for :func:`torchskip.surgery.without_skips`.

    Raises:
        ArgumentError: `which` means no skip of the model.
        SurgeryError: the model does not run on the inputs, or no join is one of two arms.

    >>> from torchskip.nn import Skip
    >>> double = nn.Conv2d(1, 1, 1, bias=False)
    >>> _ = nn.init.constant_(double.weight, 2.0)
    >>> stream(Skip(double), torch.ones(2, 1, 4, 4))
    (Change(path='', relative=2.0, cosine=1.0),)

    """
    found: list[Change] = []

    def visit(path: str, shortcut: Tensor, branch: Tensor) -> tuple[Tensor, Tensor]:
        if shortcut.shape == branch.shape:
            s, f = shortcut.flatten(1).double(), branch.flatten(1).double()
            relative = f.norm(dim=1) / s.norm(dim=1).clamp_min(1e-300)
            cosine = F.cosine_similarity(s, f, dim=1)
            found.append(Change(path, relative.mean().item(), round(cosine.mean().item(), 9)))
        return shortcut, branch

    joins = meeting(model, visit, *inputs, which=which, partly=True)
    with undisturbed(model), torch.no_grad(), joins:
        model.eval()
        model(*inputs)
    return tuple(found)
