"""How long the paths are that the gradient really takes (Veit et al. 2016, section 4.3)."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from torchskip.measure.layers import undisturbed
from torchskip.surgery import SUMS, Which, meeting

__all__ = ["PathLengths", "path_lengths"]


@dataclass(frozen=True, slots=True)
class PathLengths:
    """Of `n` skips, paths through `k = 0 ... n` branches: three numbers for each `k`.

    `count` is the share of all `2**n` paths that have length `k`, `C(n, k) / 2**n`; `gradient`
    the mean 2-norm of the gradient that one such path brings to the input; `weight` the share
    of the whole gradient that comes by paths of that length, `count * gradient`, normalised.
    """

    count: tuple[float, ...]
    gradient: tuple[float, ...]
    weight: tuple[float, ...]

    @property
    def mean_length(self) -> float:
        """Mean number of branches on the way of the gradient; `n / 2` if all paths were alike."""
        return sum(k * weight for k, weight in enumerate(self.weight))


def path_lengths(
    model: nn.Module,
    loss: Callable[[Tensor], Tensor],
    x: Tensor,
    *,
    which: Which = SUMS,
    samples: int = 10,
    seed: int = 0,
) -> PathLengths:
    """Return how much gradient reaches `x` `(N, ...)` on paths through 0, 1, ... n branches.

    For each length `k`, `samples` random sets of `k` skips let the gradient pass by the branch
    alone, the others by the shortcut alone. Deep residual networks behave like ensembles of
    shallow ones: most of the gradient comes by short paths. Eval mode; the model comes back as
    it was. `which` names skips as for :func:`torchskip.surgery.without_skips`; joins of more
    than two arms are left out.

    Raises:
        ArgumentError: `which` means no skip of the model.
        SurgeryError: the model does not run on `x`, or no join is one of two arms.

    >>> from torchskip.nn import Skip
    >>> net = nn.Sequential(Skip(nn.Conv2d(1, 1, 1)), Skip(nn.Conv2d(1, 1, 1)))
    >>> path_lengths(net, torch.sum, torch.ones(1, 1, 2, 2)).count
    (0.25, 0.5, 0.25)

    """
    choose = random.Random(seed)  # noqa: S311 - a sample, not a secret
    chosen: set[str] = set()

    def one_way(path: str, shortcut: Tensor, branch: Tensor) -> tuple[Tensor, Tensor]:
        if path in chosen:
            return shortcut.detach(), branch
        return shortcut, branch.detach()

    gradients = []
    meets = meeting(model, one_way, x, which=which, partly=True)
    with undisturbed(model), meets as joins, torch.enable_grad():
        model.eval()
        names, n = list(joins), len(joins)
        for k in range(n + 1):
            norms = []
            for _ in range(1 if k in (0, n) else samples):
                chosen.clear()
                chosen.update(choose.sample(names, k))
                given = x.detach().clone().requires_grad_()
                (gradient,) = torch.autograd.grad(loss(model(given)), given)
                norms.append(gradient.double().norm().item())
            gradients.append(sum(norms) / len(norms))
    counts = [math.comb(n, k) / 2**n for k in range(n + 1)]
    products = [count * gradient for count, gradient in zip(counts, gradients, strict=True)]
    total = sum(products)
    weights = [product / total if total else math.nan for product in products]
    return PathLengths(tuple(counts), tuple(gradients), tuple(weights))
