"""A branch contributes nothing and cannot learn to.

## What it does
Runs forward and backward with numbers and reports branches of which no parameter receives a
gradient and no change of a parameter moves an output.

## Why is this bad
A zero scale is a good start for a branch as long as the scale learns (ReZero, zero-initialised
last normalisation). With a scale that is no parameter, or two zeros in a row (a zero scale behind
a zero-initialised normalisation), every gradient of the branch is zero for ever: the block stays
the identity.

## Example

    self.register_buffer("scale", torch.zeros(1))
    ...
    return x + self.scale * self.body(x)

## Use instead

    self.scale = nn.Parameter(torch.zeros(1))

## References
Bachlechner et al., *ReZero*, 2020, eq. 3; Goyal et al., *Accurate, Large Minibatch SGD*, 2017,
section 5.1 (zero-initialised last normalisation).
"""

from __future__ import annotations

from collections.abc import Iterator

from torchskip.lint.evidence import Evidence
from torchskip.lint.finding import Finding, Mend
from torchskip.lint.rule import Rule
from torchskip.lint.words import plural

RULE = Rule("TS205", "idle-branch", "warning", __doc__)


def check(evidence: Evidence) -> Iterator[Finding]:
    """Branches whose parameters all receive a zero gradient and move nothing."""
    real, run = evidence.real, evidence.eval
    if real is None or not real.gradients:
        return
    zero = {name for name, kind in real.gradients.items() if kind == "zero"}
    if not zero:
        return
    done: set[str] = set()
    for skip in run.skips:
        if skip.merge != "add" or not skip.live:
            continue
        for arm in skip.arms:
            if arm.role != "branch":
                continue
            names = {
                n
                for node in run.flow.nodes_between(skip.split, arm.values[-1])
                for c in node.constants
                for n in c.names
                if n in real.gradients
            }
            learning = {n for n in names if real.gradients[n] in {"flows", "nonfinite"}}
            stuck = tuple(sorted(names & zero))
            if learning or not stuck or not done.isdisjoint(stuck):
                continue
            done.update(stuck)
            if evidence.influences(stuck):
                continue
            join = run.graph.nodes[skip.join]
            yield RULE.at(
                join,
                f"the branch adds nothing and cannot learn: all {plural(len(stuck), 'parameter')} "
                "of it receive a zero gradient, and none of them moves an output",
                mends=(Mend("let exactly one factor start at zero, and make it a parameter"),),
            )
