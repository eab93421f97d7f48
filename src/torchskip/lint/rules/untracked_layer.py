"""A layer with weights is no part of the module tree, and is never trained.

## What it does
Reports layers that the module tree does not hold: made in forward, so that two evaluation passes
on one input differ, or kept in a plain list or dict with parameters that require a gradient.

## Why is this bad
The optimizer does not know their weights and `state_dict` does not hold them. `nn.Conv2d(...)`
inside `forward` moreover draws fresh random weights each time: the network's output is partly
noise, also in evaluation. A plain list is trained by nobody and stays behind in `model.to(device)`.

## Example

    def forward(self, x):
        shortcut = nn.Conv2d(64, 128, 1).to(x.device)
        return self.body(x) + shortcut(x)

## Use instead

    def __init__(self):
        self.shortcut = nn.Conv2d(64, 128, 1)

and `nn.ModuleList` or `nn.ModuleDict` for several. Frozen layers outside the tree are kept apart
on purpose (a perceptual loss) and are not reported.

## References
lafith/Mobile-UNet#1; wangyida/softpool#11; Project-MONAI/MONAI pull request 8578; PyTorch
documentation, *nn.ModuleList*.
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
    """Layers outside the module tree whose weights are new at every call, or kept for training."""
    graph = evidence.eval.graph
    strange = [
        node
        for node in graph.nodes
        if is_layer(node)
        and node.module.rpartition(".")[2].startswith("(")
        and any(c.argument in {"weight", "mat2"} and not c.names for c in node.constants)
    ]
    if not strange:
        return
    if evidence.unstable:
        how = (
            "is made in forward: its weights are random at every call, and no optimizer trains them"
        )
        mend = Mend("make the layer in `__init__`")
    elif evidence.kept_outside:
        how = (
            "is kept outside the module tree, in a plain list, dict or variable: `parameters()` "
            "and `state_dict` do not hold its weights, and no optimizer trains them"
        )
        mend = Mend("register it: `nn.ModuleList`, `nn.ModuleDict` or an attribute of a module")
    else:
        return
    for node in strange:
        yield RULE.at(node, f"{called(node)} {how}", mends=(mend,))
