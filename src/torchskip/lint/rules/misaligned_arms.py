"""The arms of a join sample the image at different places.

## What it does
Follows the centre of every pixel through both arms and reports joins whose arms are apart by at
least a quarter of a pixel of the value where they part, and joins whose arms run at different
scales, so that their distance grows over the map (`align_corners=True` beside layers that halve
and double). A branch that looks along one axis at the past alone, a causal convolution, is meant.

## Why is this bad
A 2x2 pooling looks half a pixel further to the right than a padded 3x3 convolution of the same
stride: edges of the shortcut and of the branch do not lie on each other, and every stage adds its
own shift. Classification hardly notices; dense prediction does.

## Example

    body = nn.Conv2d(8, 8, 3, stride=2, padding=1)
    down = nn.AvgPool2d(2)

## Use instead

    down = nn.AvgPool2d(3, stride=2, padding=1)

or `Skip(body)`, whose derived shortcut lies at the branch's centre.

## References
Araujo et al., *Computing Receptive Fields of Convolutional Neural Networks*, 2019, section on
alignment; Azulay & Weiss, *Why do deep convolutional networks generalize so poorly to small image
transformations?*, 2019.
"""

from __future__ import annotations

from collections.abc import Iterator

from torchskip.graph import SkipPath
from torchskip.lint.causal import causal
from torchskip.lint.evidence import Evidence, Pass
from torchskip.lint.finding import Finding, Mend
from torchskip.lint.joins import way
from torchskip.lint.ops import name
from torchskip.lint.rule import Rule

RULE = Rule("TS303", "misaligned-arms", "note", __doc__)
_LEAST = 0.25


def check(evidence: Evidence) -> Iterator[Finding]:
    """Joins whose arms lie apart."""
    run = evidence.eval
    for skip in run.skips:
        said = _distance(skip)
        failure = run.graph.failure
        failed = failure is not None and failure.node == skip.join
        if not said or not skip.live or failed or causal(run, skip):
            continue
        yield RULE.at(
            run.graph.nodes[skip.join],
            said,
            arms=tuple(way(run.flow, arm.role, arm.values[0], arm.values[-1]) for arm in skip.arms),
            mends=(
                Mend("give both arms one scale: even sizes, and `align_corners=False` in a resize")
                if skip.alignment is None
                else Mend("cut both sides alike: from `(size - kept) // 2` on")
                if _cut(run, skip)
                else Mend("give both arms one centre: the same kernel and padding at each stride"),
            ),
        )


def _cut(run: Pass, skip: SkipPath) -> bool:
    """Whether a slice takes a part of the shortcut's map."""
    for arm in skip.arms:
        for node in (run.graph.nodes[i] for i in arm.nodes if arm.role == "shortcut"):
            if name(node) == "slice" and node.argument("dim", 0) not in {0, 1}:
                return True
    return False


def _distance(skip: SkipPath) -> str:
    """How far the arms are apart, in words; empty where that is less than a quarter of a pixel."""
    if skip.drift is not None:
        known = f"the arms of the {skip.merge} drift apart, by up to {skip.drift:.3g} pixels of "
        return known + "the split: their scales differ" if skip.drift >= _LEAST else ""
    apart = skip.alignment
    if apart is None or max(map(abs, apart), default=0.0) < _LEAST:
        return ""
    pixels = ", ".join(f"{a:g}" for a in apart)
    per = " (per axis)" if len(apart) > 1 else ""
    word = "pixel" if pixels == "1" else "pixels"
    return f"the arms of the {skip.merge} are {pixels} {word} of the split apart{per}"
