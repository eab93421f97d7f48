"""`without_skips`: the plain twin of any model. `without_branches`: its lesioned one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

import torch
from torch import nn

from torchskip.errors import SurgeryError
from torchskip.graph import Graph, SkipPath
from torchskip.skips import find_skips
from torchskip.skips.flow import Flow
from torchskip.skips.ops import base_name
from torchskip.surgery.choose import SUMS, Which, choose, skips_of
from torchskip.surgery.cuts import entries
from torchskip.surgery.install import Wanted, install
from torchskip.surgery.steps import TakeOut
from torchskip.surgery.twin import copied, dead_state, refuse_others, retire
from torchskip.surgery.witness import Site, Witnessed, watch
from torchskip.trace.tree import rebuild

__all__ = ["without_branches", "without_skips"]

Role = Literal["branch", "shortcut"]


def without_skips(
    model: nn.Module,
    *example: Any,
    which: Which = SUMS,
    **kwargs: Any,
) -> nn.Module:
    r"""Return the plain twin of `model`: :math:`y = f(x)` wherever it was :math:`y = x + f(x)`.

    A new object with copies of the same weights under the same names; `model` stays as it is.
    ``model(*example, **kwargs)`` is followed once, without data, and every chosen join then runs
    without its shortcut: nothing is left of it in a sum, zeros in its channels of a
    concatenation (so that the layers behind keep their shapes), ones in the product of a gate.
    Parameters that only the shortcuts used are in neither ``parameters()`` nor ``state_dict()``
    of the twin. Stochastic depth on a branch that is now the only way is switched off.

    Args:
        model: any module.
        example: what its forward takes; any other size and batch works later if the forward
            takes the same way.
        which: the skips to cut, as ``inspect(model, *example, training=False)`` finds them:
            kinds (:data:`torchskip.graph.Kind`), their numbers, `SkipPath`\ s, paths of their
            joins' modules (``"layer3.*"``), or a predicate of a `SkipPath`.
        kwargs: more of what its forward takes.

    Raises:
        ArgumentError: `which` means no skip of the model.
        SurgeryError: the model cannot be copied, run on the example or cut there; and later in
            the twin's forward, when that goes another way than on the example.

    He et al. 2015, *Deep Residual Learning for Image Recognition*, section 3.3 (plain network).

    >>> import torch
    >>> from torch import nn
    >>> class Block(nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.branch = nn.Conv2d(4, 4, 3, padding=1)
    ...     def forward(self, x):
    ...         return x + self.branch(x)
    >>> block, x = Block(), torch.ones(1, 4, 8, 8)
    >>> torch.equal(without_skips(block, x)(x), block.branch(x))
    True

    """
    refuse_others(model)
    seen = watch(model, example, kwargs, training=False)
    twin, chosen = _cut(model, seen, which, "shortcut")
    _keep_every_sample(twin, model, seen, chosen, example, kwargs)
    after = _verified(twin, seen.graph, example, kwargs)
    retire(twin, dead_state(seen.graph, after))
    return twin


def without_branches(
    model: nn.Module,
    *example: Any,
    which: Which = SUMS,
    **kwargs: Any,
) -> nn.Module:
    r"""Return `model` with the branches of the chosen skips dropped: :math:`y = x`.

    The lesion of Veit et al. 2016, *Residual Networks Behave Like Ensembles of Relatively
    Shallow Networks*, section 4.1, for any model; the weights are copies and all stay. Arguments
    and errors are those of `without_skips`.

    >>> import torch
    >>> from torchskip.nn import Skip
    >>> block, x = Skip(torch.nn.Conv2d(4, 4, 3, padding=1)), torch.ones(1, 4, 8, 8)
    >>> torch.equal(without_branches(block, x, which=0)(x), x)
    True
    """
    refuse_others(model)
    seen = watch(model, example, kwargs, training=False)
    twin, _ = _cut(model, seen, which, "branch")
    _verified(twin, seen.graph, example, kwargs)
    return twin


def _cut(
    model: nn.Module, seen: Witnessed, which: Which, role: Role
) -> tuple[nn.Module, tuple[SkipPath, ...]]:
    graph = seen.graph
    chosen = choose(graph, skips_of(graph), which)
    flow, wanted = Flow(graph), list[Wanted]()
    for skip in chosen:
        for edge in entries(flow, skip, role):
            node = graph.nodes[edge.node]
            asked, positions = seen.operand(node, edge.value)
            wanted.append((asked.site, TakeOut(positions, edge.neutral), node))
    twin = copied(model)
    install(twin, seen, wanted)
    return twin, chosen


def _verified(twin: nn.Module, before: Graph, example: tuple[Any, ...], kwargs: Any) -> Graph:
    """Run the twin without data: it must take the same way to outputs of the same shapes."""
    after = watch(twin, example, kwargs, training=False).graph
    shapes = [[g.values[v].shape for v in g.outputs] for g in (before, after)]
    if len(shapes[0]) == len(shapes[1]) and shapes[0] != shapes[1]:
        raise SurgeryError(
            f"{before.model} without these arms gives {shapes[1]} instead of {shapes[0]}\n"
            "  mend: leave out the skip whose shortcut gives the sum its shape, with which=..."
        )
    return after


def _keep_every_sample(
    twin: nn.Module,
    model: nn.Module,
    seen: Witnessed,
    chosen: tuple[SkipPath, ...],
    example: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> None:
    """Switch off the stochastic depth of the chosen skips' branches."""
    joins = {_identity(seen, skip.join) for skip in chosen} - {None}

    def double(tensor: torch.Tensor) -> torch.Tensor:
        return torch.cat((tensor, tensor)) if tensor.dim() else tensor

    for given, more in ((example, kwargs), rebuild((example, kwargs), double)):
        try:  # one sample is too few for batch normalisation in training
            train = watch(model, given, more, training=True)
            break
        except SurgeryError:
            continue
    else:
        return  # it cannot be trained on such inputs at all
    arms = [
        arm
        for skip in find_skips(train.graph)
        if _identity(train, skip.join) in joins
        for arm in skip.arms
        if arm.role == "branch"
    ]
    masks = [mask for arm in arms for mask in _masks(train, arm.nodes)]
    install(twin, train, masks, required=False)


def _identity(seen: Witnessed, node: int) -> Site | None:
    asked = seen.by_node.get(node)
    return asked.site if asked is not None else None


def _masks(train: Witnessed, nodes: tuple[int, ...]) -> Iterable[Wanted]:
    """Yield the products with a nameless tensor of one number per sample."""
    for n in nodes:
        node = train.graph.nodes[n]
        free = [c for c in node.constants if not c.names]
        if base_name(node.op) != "mul" or len(node.inputs) != 1 or len(free) != 1:
            continue
        shape = train.graph.values[node.inputs[0]].shape
        mask = free[0].shape
        if len(shape) < 2 or mask not in (
            (shape[0],) + (1,) * (len(shape) - 1),
            (1,) * len(shape),
        ):
            continue
        asked = train.by_node.get(n)
        if asked is None or asked.inside:
            continue
        positions = tuple(i for i, value in enumerate(asked.before) if value is None)
        if len(positions) == 1:
            yield asked.site, TakeOut(positions, 1.0), node
