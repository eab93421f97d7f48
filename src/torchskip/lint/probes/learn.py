"""A few steps of training on copies: which parameters ever receive a gradient."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from torchskip.lint.probes.gradients import gradients
from torchskip.lint.probes.inputs import random_like
from torchskip.lint.probes.real import RAISED, borrowed, has_numbers, projection
from torchskip.trace.tree import leaves

__all__ = ["learning"]

_STEPS = 3  # a zero behind a zero behind a zero moves in the third
_RATE = 0.05


def learning(
    model: nn.Module,
    example: tuple[Any, ...],
    kwargs: dict[str, Any],
    wondered: frozenset[str],
) -> frozenset[str] | None:
    """Names of the parameters that receive a gradient in one of three steps of descent.

    It ends when all of those `wondered` about have received one. Nothing is dropped at random: the
    model is in evaluation mode. None where it does not run.
    """
    if not has_numbers(model):
        return None
    given = random_like(example)
    moved: set[str] = set()
    with borrowed(model, training=False) as parameters, torch.enable_grad():
        wanted = {n: p for n, p in parameters.items() if p.requires_grad}
        try:
            for _ in range(_STEPS):
                found = [t for _, t in leaves(model(*given, **kwargs))]
                outputs = [t for t in found if t.is_floating_point() and t.requires_grad]
                if not outputs:
                    return frozenset()
                loss = projection(outputs)
                came = gradients(loss, list(wanted.values()))
                for (name, parameter), gradient in zip(wanted.items(), came, strict=True):
                    if gradient is not None and gradient.any():
                        moved.add(name)
                        with torch.no_grad():
                            parameter.sub_(_RATE * gradient.sign())
                if wondered <= moved:
                    break
        except RAISED:  # a model that does not run for real, or whose backward fails
            return None
    return frozenset(moved)
