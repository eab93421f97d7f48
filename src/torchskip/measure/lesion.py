"""Lesion study: what a trained network loses when one branch is dropped (Veit et al. 2016)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn

from torchskip.surgery import SUMS, Which, meeting

__all__ = ["Lesions", "lesions"]

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Lesions(Generic[Result]):
    """What an evaluation gave with nothing dropped, and with each branch alone, by its join."""

    intact: Result
    dropped: Mapping[str, Result]


def lesions(
    model: nn.Module,
    evaluate: Callable[[nn.Module], Result],
    *example: Any,
    which: Which = SUMS,
    shortcuts: bool = True,
) -> Lesions[Result]:
    """Return `evaluate(model)` with nothing dropped, then with each skip reduced to its shortcut.

    Veit et al. 2016, section 4.1: a residual network hardly notices a lost block, a plain one
    breaks. Without `shortcuts` the network is its plain twin, whose blocks keep their shortcut
    only where they are dropped; one whose shortcut is a projection, which the plain network has
    not, is then left out. `which` names skips as for :func:`torchskip.surgery.without_skips`;
    joins of more than two arms are left out. The model comes back as it was.

    Raises:
        ArgumentError: `which` means no skip of the model.
        SurgeryError: the model does not run on the example, or no join is one of two arms.

    >>> from torchskip.models.cifar import resnet
    >>> found = lesions(resnet(8), lambda net: net.training, torch.zeros(1, 3, 8, 8))
    >>> sorted(found.dropped)
    ['stages.0.0.unit', 'stages.1.0.unit', 'stages.2.0.unit']

    """
    lost: str | None = None

    def visit(name: str, shortcut: Tensor, branch: Tensor) -> tuple[Tensor, Tensor]:
        if name == lost:
            return shortcut, torch.zeros_like(branch)
        return shortcut if shortcuts else torch.zeros_like(shortcut), branch

    with meeting(model, visit, *example, which=which, partly=True) as joins:
        intact = evaluate(model)
        dropped = {}
        for name, skip in joins.items():
            if shortcuts or skip.kind != "projection":
                lost = name
                dropped[name] = evaluate(model)
    return Lesions(intact, dropped)
