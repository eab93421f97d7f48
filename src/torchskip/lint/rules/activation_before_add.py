"""A rectifier right before the addition: the branch can only add.

## What it does
Reports sums whose branch ends with a ReLU (also ReLU6 and other rectifiers), behind nothing but
dropout, stochastic depth, scaling or a gate (squeeze-and-excitation).

## Why is this bad
After a ReLU the branch is never negative, so the sum can only grow from block to block and the
residual cannot take anything away. He et al. measured 6.61 % error on CIFAR-10 for the original
ResNet-110 and 7.84 % with the ReLU before the addition.

## Example

    out = F.relu(self.bn2(self.conv2(out)))
    return F.relu(out + x)

## Use instead

    out = self.bn2(self.conv2(out))
    return F.relu(out + x)

## References
He et al., *Identity Mappings in Deep Residual Networks*, 2016, section 4.1 and table 2 ("ReLU
before addition"); kuangliu/pytorch-cifar#4; weiaicunzai/pytorch-cifar100#75 (behind a gate).
"""

from __future__ import annotations

from collections.abc import Iterator

from torchskip.graph import Node
from torchskip.lint.evidence import Evidence
from torchskip.lint.finding import Finding, Mend
from torchskip.lint.flow import Flow
from torchskip.lint.ops import FORMS, PRODUCTS, RECTIFIERS, describe, name
from torchskip.lint.rule import Rule
from torchskip.lint.words import called

RULE = Rule("TS301", "activation-before-add", "note", __doc__)
_GATES = frozenset({"sigmoid", "hardsigmoid", "_softmax", "softmax"})


def check(evidence: Evidence) -> Iterator[Finding]:
    """Residual sums whose branch ends with a rectifier."""
    flow = evidence.eval.flow
    for skip in evidence.eval.skips:
        if skip.merge != "add" or skip.kind not in {"identity", "projection"} or not skip.live:
            continue
        for arm in skip.arms:
            last = _last(flow, arm.values[-1]) if arm.role == "branch" else None
            if last is not None and last.outputs[0] != skip.split:
                yield RULE.at(
                    last,
                    f"{called(last)} is the last step of the branch: the sum can only grow "
                    "(He et al. 2016, table 2: 6.61 % becomes 7.84 % error)",
                    join=evidence.eval.graph.nodes[skip.join].source,
                    mends=(Mend(f"apply {describe(last)} after the addition, or not at all"),),
                )


def _last(flow: Flow, value: int) -> Node | None:
    """The rectifier that made the value, behind what keeps its sign."""
    node = flow.producer(value)
    while node is not None and name(node) in FORMS | PRODUCTS | {"alias"}:
        if any(c.names for c in node.constants):
            return None  # a learnt scale may turn the sign
        scaled = [v for v in dict.fromkeys(node.inputs) if not _is_gate(flow, v)]
        if len(scaled) != 1:
            return None
        node = flow.producer(scaled[0])
    if node is None or name(node) not in RECTIFIERS:
        return None
    least = node.argument("min_val", node.argument("min", 0.0))
    return node if not isinstance(least, int | float) or least >= 0 else None


def _is_gate(flow: Flow, value: int) -> bool:
    """Whether a value is a sigmoid's or softmax's result in some form."""
    node = flow.producer(value)
    while node is not None and name(node) in FORMS and len(node.inputs) == 1:
        node = flow.producer(node.inputs[0])
    return node is not None and name(node) in _GATES
