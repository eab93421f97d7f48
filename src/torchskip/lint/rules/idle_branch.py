"""A branch contributes nothing and cannot learn to.

## What it does
Runs forward and backward with numbers and reports branches of which no weight receives a
gradient, although the shortcut beside them carries one. Biases do not count: a branch of which
only the last bias learns adds a constant.

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

from torchskip.graph import Node, SkipPath
from torchskip.lint.evidence import Evidence
from torchskip.lint.finding import Finding, Mend
from torchskip.lint.rule import Rule
from torchskip.lint.words import plural

RULE = Rule("TS205", "idle-branch", "warning", __doc__)


def check(evidence: Evidence) -> Iterator[Finding]:
    """Branches whose weights all receive a zero gradient."""
    real, run = evidence.real, evidence.eval
    if real is None or "zero" not in real.gradients.values():
        return
    done: set[str] = set()
    for skip in run.skips:
        if skip.merge != "add" or not skip.live:
            continue
        for arm in skip.arms:
            if arm.role != "branch":
                continue
            nodes = run.flow.nodes_between(skip.split, arm.values[-1])
            kinds = {n: real.gradients[n] for n in _weights(nodes) if n in real.gradients}
            stuck = sorted(n for n, kind in kinds.items() if kind == "zero")
            if {"flows", "nonfinite"} & set(kinds.values()) or not stuck:
                continue
            if not done.isdisjoint(stuck) or not _stream_learns(evidence, skip, nodes):
                continue
            # Stochastic depth may have dropped the branch of every sample of the small batch.
            if any(evidence.resting.get(n, "zero") != "zero" for n in stuck):
                continue
            done.update(stuck)
            yield RULE.at(
                run.graph.nodes[skip.join],
                f"the branch adds nothing that depends on its input and cannot learn to: all "
                f"{plural(len(stuck), 'weight tensor')} of it receive a zero gradient",
                mends=(Mend("let exactly one factor start at zero, and make it a parameter"),),
            )


def _weights(nodes: tuple[Node, ...]) -> set[str]:
    """Names of the parameters that the operations read, biases left out."""
    return {n for node in nodes for c in node.constants if c.argument != "bias" for n in c.names}


def _stream_learns(evidence: Evidence, skip: SkipPath, branch: tuple[Node, ...]) -> bool:
    """Whether a gradient comes back through the join, beside the branch.

    Behind a zero-initialised output layer none does yet, whatever the branch is.
    """
    run, real = evidence.eval, evidence.real
    ways = evidence.eval.flow.ancestors[run.graph.nodes[skip.join].outputs[0]]
    inside = {node.index for node in branch}
    before = tuple(
        node
        for node in run.graph.nodes[: skip.join]
        if node.index not in inside and any(ways >> v & 1 for v in node.outputs)
    )
    known = real.gradients if real else {}
    if any(known.get(name) == "flows" for name in _weights(before)):
        return True
    return evidence.reaches_input
