"""A strided 1x1 convolution on the shortcut drops most of its input.

## What it does
Reports shortcuts whose convolution has a kernel smaller than its stride, or that slice
`x[:, :, ::2, ::2]`: with kernel 1 and stride 2 in two dimensions, three quarters of the pixels
are never read.

## Why is this bad
The shortcut then carries every second pixel of every second row. Averaging before the projection
reads all of them at nearly the same cost: ResNet-D gains 0.7 points of ImageNet accuracy for
ResNet-50 together with two other tweaks, 0.3 of them from this one.

## Example

    self.downsample = nn.Conv2d(a, b, 1, stride=2)

## Use instead

    self.downsample = nn.Sequential(nn.AvgPool2d(2, ceil_mode=True), nn.Conv2d(a, b, 1))

## References
He, T. et al., *Bag of Tricks for Image Classification*, 2019, section 4.2 (ResNet-D), table 6.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

from torchskip.graph import Node
from torchskip.lint.evidence import Evidence
from torchskip.lint.finding import Finding, Mend
from torchskip.lint.ops import name
from torchskip.lint.rule import Rule
from torchskip.lint.words import called

RULE = Rule("TS302", "strided-projection", "note", __doc__)


def check(evidence: Evidence) -> Iterator[Finding]:
    """Convolutions and slices on shortcuts that step over pixels."""
    graph = evidence.eval.graph
    for skip in evidence.eval.skips:
        if skip.kind != "projection":
            continue
        for arm in skip.arms:
            if arm.role != "shortcut":
                continue
            nodes = [graph.nodes[i] for i in arm.nodes]
            slices = prod(_step(node) for node in nodes)
            if slices > 1:
                last = next(node for node in reversed(nodes) if _step(node) > 1)
                yield _found(
                    last,
                    graph.nodes[skip.join],
                    f"the shortcut takes every {slices}th position of its input: it reads "
                    f"{1 / slices:.0%} of it",
                    "average instead of slicing: `F.avg_pool2d(x, 2, ceil_mode=True)`",
                )
            for node in nodes:
                read, text = _read(node)
                if read < 1:
                    yield _found(
                        node,
                        graph.nodes[skip.join],
                        f"{called(node)} on the shortcut has {text}: it reads {read:.0%} of its "
                        "input",
                        "average first: an AvgPool with the stride, then the 1x1 (ResNet-D)",
                    )


def _found(node: Node, join: Node, message: str, mend: str) -> Finding:
    return RULE.at(node, message, join=join.source, mends=(Mend(mend),))


def _step(node: Node) -> int:
    """The step of a slice along a spatial axis, else 1."""
    step, axis = node.argument("step", 1), node.argument("dim", 0)
    spatial = isinstance(axis, int) and (axis >= 2 or axis < 0)
    return step if name(node) == "slice" and isinstance(step, int) and spatial else 1


def _read(node: Node) -> tuple[float, str]:
    """The share of its input that a convolution reads, with its kernel and stride in words."""
    weight = next((c for c in node.constants if c.argument == "weight"), None)
    stride = node.argument("stride")
    if name(node) != "convolution" or node.argument("transposed") or weight is None:
        return 1.0, ""
    if not isinstance(stride, tuple):
        return 1.0, ""
    kernel = weight.shape[2:]
    step = stride[0] if len(set(stride)) == 1 else stride
    text = f"kernel {'x'.join(map(str, kernel))} and stride {step}"
    return prod(min(k, s) / s for k, s in zip(kernel, stride, strict=False)), text
