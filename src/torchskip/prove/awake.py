"""Scales that keep a branch silent at first, where the branch has become the only way."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from torchskip.graph import Graph
from torchskip.inspection import inspect
from torchskip.skips.ops import base_name
from torchskip.surgery import Which
from torchskip.surgery.choose import choose, skips_of

__all__ = ["awaken", "awakened"]


@torch.no_grad()
def awaken(plain: nn.Module, residual: nn.Module, x: Tensor, which: Which) -> None:
    """Let the scales of the cut branches begin at 1 in `plain`, the twin of `residual`.

    A residual network may begin with silent branches: with a last normalisation of weight 0
    (Goyal et al. 2017, arXiv 1706.02677, section 5.1), ReZero's 0, LayerScale's 1e-6. Its plain
    twin would pass nothing on and learn nothing, for a reason that is not the missing shortcut.
    Changed are parameters that are one number throughout, smaller than 1, and multiply the
    branch; kernels of zeros are drawn anew (He et al. 2015, arXiv 1502.01852, eq. 10).
    """
    graph = inspect(residual, x, training=False).graph
    parameters = dict(plain.named_parameters())
    for name, layer in _scales(graph, which).items():
        value = parameters.get(name)
        if value is None or value.max() != value.min() or value.flatten()[0].abs() >= 1:
            continue
        if not layer:
            value.fill_(1.0)
        elif not value.any():
            nn.init.kaiming_normal_(value, nonlinearity="relu")


def awakened(plain: nn.Module, residual: nn.Module) -> int:
    """Return how many parameters `awaken` has changed in a pair that is new."""
    ours = dict(residual.named_parameters())
    return sum(
        name in ours and not torch.equal(value, ours[name])
        for name, value in plain.named_parameters()
    )


def _scales(graph: Graph, which: Which) -> dict[str, bool]:
    """Return the parameters that multiply the branches, and whether as a layer's kernel."""
    found: dict[str, bool] = {}
    for skip in choose(graph, skips_of(graph), which):
        for n in (n for arm in skip.arms if arm.role == "branch" for n in arm.nodes):
            node = graph.nodes[n]
            product = base_name(node.op) == "mul"
            for constant in node.constants:
                if product or constant.argument == "weight":
                    layer = not product and "norm" not in node.op
                    found.update((name, layer) for name in constant.names)
    return found
