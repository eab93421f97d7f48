"""Which way the gradient takes back through a skip: by the shortcut or by the branch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import GradientEdge, Node

from torchskip.measure.layers import undisturbed
from torchskip.surgery import SUMS, Which, meeting

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
    model: nn.Module, loss: Callable[[Any], Tensor], *inputs: Any, which: Which = SUMS
) -> tuple[Share, ...]:
    """Return for every join of two arms the gradient of `loss(model(*inputs))` by each of them.

    He et al. 2016 (arXiv 1603.05027, eq. 5): the identity hands the whole gradient on, whatever
    the branch does. The model keeps its mode and comes back as it was, its `.grad` included.
    `which` names skips as for :func:`torchskip.surgery.without_skips`; a join whose arms carry no
    gradient is left out.

    Raises:
        ArgumentError: `which` means no skip of the model.
        SurgeryError: the model does not run on the inputs, or no join is one of two arms.

    >>> from torchskip.nn import Skip
    >>> half = nn.Conv2d(1, 1, 1, bias=False)
    >>> _ = nn.init.constant_(half.weight, 0.5)
    >>> found = gradient_shares(Skip(half), torch.sum, torch.ones(1, 1, 2, 2))
    >>> found[0].shortcut, found[0].branch, round(found[0].cosine, 3)
    (2.0, 1.0, 1.0)

    """
    given = [_differentiable(value) for value in inputs]
    met: dict[str, tuple[Tensor, Tensor]] = {}
    passing = True

    def visit(path: str, shortcut: Tensor, branch: Tensor) -> tuple[Tensor, Tensor]:
        arms = shortcut.clone(), branch.clone()
        if passing and all(arm.requires_grad for arm in arms):  # checkpointing comes again
            met[path] = arms
        return arms[0].clone(), arms[1].clone()  # the join may overwrite what it is given

    joins = meeting(model, visit, *given, which=which, partly=True)
    with undisturbed(model), joins, torch.enable_grad():
        value = loss(model(*given))
        passing = False
        at_joins = _gradients(value, [arm for arms in met.values() for arm in arms])
        found = []
        for (path, arms), *gradients in zip(
            met.items(), at_joins[::2], at_joins[1::2], strict=True
        ):
            arrived = _arrived(arms, gradients)
            if arrived is not None:
                found.append(_share(path, *arrived))
    return tuple(found)


def _arrived(
    arms: tuple[Tensor, Tensor], at_join: Sequence[Tensor | None]
) -> tuple[Tensor, Tensor] | None:
    """Return the gradients that come to the split by each arm, None where one of them does not."""
    split = _split(*arms)
    if split is None:
        return None
    found = [
        _gradients(arm, [split], gradient)[0]
        for arm, gradient in zip(arms, at_join, strict=True)
        if gradient is not None
    ]
    by, through = (*found, None, None)[:2]
    return None if by is None or through is None else (by, through)


def _gradients(
    value: Tensor, at: Sequence[Tensor | GradientEdge], given: Tensor | None = None
) -> Sequence[Tensor | None]:
    if not at:
        return ()
    found: Sequence[Tensor | None] = torch.autograd.grad(
        value,
        at,  # type: ignore[arg-type]  # the stub wants them all of one kind
        given,
        retain_graph=True,
        allow_unused=True,
    )
    return found


def _differentiable(value: Any) -> Any:
    if isinstance(value, Tensor) and value.is_floating_point():
        return value.detach().requires_grad_()
    return value


def _split(one: Tensor, other: Tensor) -> GradientEdge | None:
    """Return where the ways of two tensors part: the latest value that both come from."""
    first = set(_edges(one))
    common = [edge for edge in _edges(other) if edge in first and edge[0].next_functions]
    if not common:  # the model's input, a leaf of the graph
        common = [edge for edge in _edges(other) if edge in first and _is_input(edge[0])]
    latest = max(common, key=lambda edge: edge[0]._sequence_nr(), default=None)
    return None if latest is None else GradientEdge(*latest)


def _edges(tensor: Tensor) -> Iterator[tuple[Node, int]]:
    """Yield the value before each step of the graph that `tensor` came by."""
    todo, seen = [tensor.grad_fn], set[tuple[Node, int]]()
    while todo:
        step = todo.pop()
        for node, number in step.next_functions if step is not None else ():
            if node is not None and (node, number) not in seen:
                seen.add((node, number))
                todo.append(node)
                yield node, number


def _is_input(node: Node) -> bool:
    leaf = getattr(node, "variable", None)
    return leaf is not None and not isinstance(leaf, nn.Parameter)


def _share(path: str, shortcut: Tensor, branch: Tensor) -> Share:
    by, through = shortcut.flatten().double(), branch.flatten().double()
    norms = by.norm().item(), through.norm().item()
    product = norms[0] * norms[1]
    return Share(path, *norms, cosine=(by @ through).item() / product if product else float("nan"))
