"""A layer is made in forward: its weights are new at every call and never trained.

## What it does
Reports layers that are no part of the module tree, when two evaluation passes on one input
differ.

## Why is this bad
`nn.Conv2d(...)` inside `forward` draws fresh random weights each time. The optimizer does not
know them, `state_dict` does not hold them, and the network's output is partly noise, also in
evaluation.

## Example

    def forward(self, x):
        shortcut = nn.Conv2d(64, 128, 1).to(x.device)
        return self.body(x) + shortcut(x)

## Use instead

    def __init__(self):
        self.shortcut = nn.Conv2d(64, 128, 1)

## References
lafith/Mobile-UNet#1; wangyida/softpool#11; Project-MONAI/MONAI pull request 8578.
"""

from __future__ import annotations

from collections.abc import Iterator

from torchskip.lint.evidence import Evidence
from torchskip.lint.finding import Finding, Mend
from torchskip.lint.ops import is_layer
from torchskip.lint.rule import Rule
from torchskip.lint.words import called

RULE = Rule("TS207", "untracked-layer", "warning", __doc__)


def check(evidence: Evidence) -> Iterator[Finding]:
    """Layers outside the module tree, in a model whose evaluation is random."""
    graph = evidence.eval.graph
    strange = [
        node
        for node in graph.nodes
        if is_layer(node)
        and node.module.rpartition(".")[2].startswith("(")
        and any(c.argument in {"weight", "mat2"} and not c.names for c in node.constants)
    ]
    if not strange or not evidence.unstable:
        return
    for node in strange:
        yield RULE.at(
            node,
            f"{called(node)} is made in forward: its weights are random at every call, and no "
            "optimizer trains them",
            mends=(Mend("make the layer in `__init__`"),),
        )
