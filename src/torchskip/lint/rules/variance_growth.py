"""The stream grows from block to block at initialisation.

## What it does
Measures the standard deviation of each residual block's output in the small training pass and
reports streams whose variance at least doubles per block, over four blocks or more, whether a
block's shortcut is the identity or a projection.

## Why is this bad
`x + f(x)` adds the variances of its arms. When f keeps the variance of its input (He
initialisation without normalisation), every block doubles it: after 16 blocks the stream is 256
times as large, and gradients are too. Normalisation on the branch, a scale of 1/sqrt(depth) or a
zero-initialised last layer prevents it.

## Example

    return x + self.conv2(F.relu(self.conv1(x)))        # no normalisation

## Use instead

    return x + self.scale * self.conv2(F.relu(self.conv1(x)))

with `scale` starting at zero (ReZero, SkipInit) or at `depth ** -0.5`.

## References
Zhang et al., *Fixup Initialization*, 2019, section 2; De & Smith, *Batch Normalization Biases
Residual Blocks*, 2020, section 2 (SkipInit); Karras et al., *StyleGAN2*, 2020, section 4.1 (the sum
of a block's arms, times 1/sqrt(2)); lucidrains/stylegan2-pytorch#88.
"""

from __future__ import annotations

from collections.abc import Iterator

from torchskip.lint.evidence import Evidence
from torchskip.lint.finding import Finding, Mend
from torchskip.lint.rule import Rule

RULE = Rule("TS304", "variance-growth", "note", __doc__)
_PER_BLOCK = 2**0.45  # of the standard deviation: nearly twice the variance
_BLOCKS = 4


def check(evidence: Evidence) -> Iterator[Finding]:
    """Runs of residual blocks whose outputs grow steadily."""
    real, run = evidence.numbers.real, evidence.eval
    if real is None or real.forward:
        return
    scales = dict(real.scales)
    blocks: list[tuple[str, float]] = []
    for skip in run.skips:
        path = run.graph.nodes[skip.join].module
        known = blocks and blocks[-1][0] == path
        residual = skip.merge == "add" and skip.kind in {"identity", "projection"}
        if residual and path in scales and not known:
            blocks.append((path, scales[path]))
    start = 0
    for index in range(1, len(blocks) + 1):
        grows = index < len(blocks) and blocks[index][1] >= _PER_BLOCK * blocks[index - 1][1] > 0
        if grows:
            continue
        if index - start >= _BLOCKS:
            (first, least), (last, most) = blocks[start], blocks[index - 1]
            node = next(n for n in run.graph.nodes if n.module == last)
            yield RULE.at(
                node,
                f"the stream grows {most / least:.0f}x from {first!r} to {last!r} at "
                f"initialisation (standard deviation {least:.3g} to {most:.3g} over "
                f"{index - start} blocks)",
                module=last,
                mends=(
                    Mend("normalise the branch, or start its scale at zero"),
                    Mend("multiply the sum by 1/sqrt(2)"),
                ),
            )
        start = index
