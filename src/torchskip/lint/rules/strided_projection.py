"""A strided 1x1 convolution on the shortcut drops most of its input.

## What it does
Reports shortcuts whose convolution has a kernel smaller than its stride: with kernel 1 and stride
2 in two dimensions, three quarters of the pixels are never read.

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

from torchskip.lint.evidence import Evidence
from torchskip.lint.finding import Finding, Mend
from torchskip.lint.ops import name
from torchskip.lint.rule import Rule
from torchskip.lint.words import called

RULE = Rule("TS302", "strided-projection", "note", __doc__)


def check(evidence: Evidence) -> Iterator[Finding]:
    """Convolutions on shortcuts that step over pixels."""
    graph = evidence.eval.graph
    for skip in evidence.eval.skips:
        if skip.kind != "projection":
            continue
        for arm in skip.arms:
            if arm.role != "shortcut":
                continue
            for index in arm.nodes:
                node = graph.nodes[index]
                if name(node) != "convolution" or node.argument("transposed"):
                    continue
                weight = next((c for c in node.constants if c.argument == "weight"), None)
                stride = node.argument("stride")
                if weight is None or not isinstance(stride, tuple):
                    continue
                kernel = weight.shape[2:]
                read = prod(min(k, s) / s for k, s in zip(kernel, stride, strict=False))
                if read < 1:
                    size = "x".join(map(str, kernel))
                    step = stride[0] if len(set(stride)) == 1 else stride
                    yield RULE.at(
                        node,
                        f"{called(node)} on the shortcut has kernel {size} and stride {step}: "
                        f"it reads {read:.0%} of its input",
                        join=graph.nodes[skip.join].source,
                        mends=(
                            Mend(
                                "average first: an AvgPool with the stride, then the 1x1 (ResNet-D)"
                            ),
                        ),
                    )
