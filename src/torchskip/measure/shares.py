"""Which way the gradient takes back through a skip: by the shortcut or by the branch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from torchskip.measure.arms import at_joins, skips_of
from torchskip.measure.layers import undisturbed

__all__ = ["Share", "gradient_shares"]


@dataclass(frozen=True, slots=True)
class Share:
    """2-norms of the gradients that arrive at a skip's input by its two arms.

    With `y = s(x) + f(x)`: `shortcut = ||(ds/dx)ᵀ dL/dy||`, `branch = ||(df/dx)ᵀ dL/dy||`;
    `cosine` is the cosine of the angle between the two.
    """

    path: str
    shortcut: float
    branch: float
    cosine: float

    @property
    def share(self) -> float:
        """The shortcut's part of the sum of both norms, 0 to 1 (nan where no gradient came)."""
        total = self.shortcut + self.branch
        return self.shortcut / total if total else float("nan")


def gradient_shares(
    model: nn.Module, loss: Callable[[Tensor], Tensor], *inputs: Any
) -> tuple[Share, ...]:
    """Return for every `Skip` the gradient of `loss(model(*inputs))` by its shortcut and branch.

    He et al. 2016 (arXiv 1603.05027, eq. 5): the identity hands the whole gradient on, whatever
    the branch does. The model keeps its mode and comes back as it was, its `.grad` included.

    Raises:
        ArgumentError: the model has no `Skip`.

    >>> from torchskip.nn import Skip
    >>> half = nn.Conv2d(1, 1, 1, bias=False)
    >>> _ = nn.init.constant_(half.weight, 0.5)
    >>> found = gradient_shares(Skip(half), torch.sum, torch.ones(1, 1, 2, 2))
    >>> found[0].shortcut, found[0].branch, round(found[0].cosine, 3)
    (2.0, 1.0, 1.0)

    """
    arrived: dict[str, dict[str, Tensor]] = {path: {} for path in skips_of(model)}

    def probe(path: str, arm: str, value: Tensor) -> Tensor:
        # A copy, because the arm may begin by overwriting its input.
        value = (value if value.requires_grad else value.detach().requires_grad_()).clone()
        value.register_hook(partial(_add, arrived[path], arm))  # type: ignore[no-untyped-call]
        return value

    def on_entry(path: str, arm: str, _m: nn.Module, given: tuple[Any, ...]) -> tuple[Any, ...]:
        return probe(path, arm, given[0]), *given[1:]

    def visit(path: str, shortcut: Tensor, branch: Tensor) -> tuple[Tensor, Tensor]:
        if isinstance(skips[path].shortcut, nn.Identity):  # it is not called
            shortcut = probe(path, "shortcut", shortcut)
        return shortcut, branch

    skips = skips_of(model)
    parameters = [(p, p.grad) for p in model.parameters()]
    with undisturbed(model) as hooks, at_joins(model, visit), torch.enable_grad():
        for path, skip in skips.items():
            for arm in ("branch", "shortcut"):
                entry = partial(on_entry, path, arm)
                hooks.append(skip.get_submodule(arm).register_forward_pre_hook(entry))
        try:
            for parameter, _ in parameters:
                parameter.grad = None
            loss(model(*inputs)).backward()  # type: ignore[no-untyped-call]
        finally:
            for parameter, gradient in parameters:
                parameter.grad = gradient
    return tuple(_share(path, **arms) for path, arms in arrived.items() if len(arms) == 2)


def _add(arms: dict[str, Tensor], arm: str, gradient: Tensor) -> None:
    """A block that runs more than once receives the sum of its gradients."""
    arms[arm] = arms[arm] + gradient if arm in arms else gradient.detach().clone()


def _share(path: str, shortcut: Tensor, branch: Tensor) -> Share:
    by, through = shortcut.flatten().double(), branch.flatten().double()
    norms = by.norm().item(), through.norm().item()
    product = norms[0] * norms[1]
    return Share(path, *norms, cosine=(by @ through).item() / product if product else float("nan"))
