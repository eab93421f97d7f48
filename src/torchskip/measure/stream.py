"""Where the residual stream changes: how much each branch adds to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from torchskip.measure.arms import at_joins
from torchskip.measure.layers import undisturbed

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


def stream(model: nn.Module, *inputs: Any) -> tuple[Change, ...]:
    """Return for every `Skip`, in order of the run, how its branch changes the stream (eval mode).

    Greff et al. 2017 (arXiv 1612.07771): within a stage, blocks refine one representation step
    by step; it changes where the stages meet. The model comes back as it was.

    Raises:
        ArgumentError: the model has no `Skip`.

    >>> from torchskip.nn import Skip
    >>> stream(Skip(nn.Identity()), torch.ones(2, 3, 4, 4))
    (Change(path='', relative=1.0, cosine=1.0),)

    """
    found: list[Change] = []

    def visit(path: str, shortcut: Tensor, branch: Tensor) -> tuple[Tensor, Tensor]:
        if shortcut.shape == branch.shape:
            s, f = shortcut.flatten(1).double(), branch.flatten(1).double()
            relative = f.norm(dim=1) / s.norm(dim=1).clamp_min(1e-300)
            cosine = torch.nn.functional.cosine_similarity(s, f, dim=1)
            found.append(Change(path, relative.mean().item(), round(cosine.mean().item(), 9)))
        return shortcut, branch

    with undisturbed(model), torch.no_grad(), at_joins(model, visit):
        model.eval()
        model(*inputs)
    return tuple(found)
