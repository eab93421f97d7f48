"""A branch contributes nothing and cannot learn to.

## What it does
Runs forward and backward with numbers and reports branches and gates of which no weight receives
a gradient, neither at once nor within a few steps of training, although the shortcut beside them
carries one. Biases do not count: a branch of which only the last bias learns adds a constant.

## Why is this bad
A zero scale is a good start for a branch as long as the scale learns (ReZero, zero-initialised
last normalisation). With a scale that is no parameter, or two zeros in a row (a zero scale behind
a zero-initialised normalisation), every gradient of the branch is zero for ever: the block stays
the identity. A softmax over an axis of one number is a gate that is always one.

## Example

    self.register_buffer("scale", torch.zeros(1))
    ...
    return x + self.scale * self.body(x)

## Use instead

    self.scale = nn.Parameter(torch.zeros(1))

## References
Bachlechner et al., *ReZero*, 2020, eq. 3; Goyal et al., *Accurate, Large Minibatch SGD*, 2017,
section 5.1 (zero-initialised last normalisation); yz93/LAVT-RIS#25.
"""

from __future__ import annotations

from collections.abc import Iterator

from torchskip.graph import Constant, Node, SkipPath
from torchskip.lint.evidence import Evidence
from torchskip.lint.finding import Finding, Mend
from torchskip.lint.ops import ADDS, name
from torchskip.lint.rule import Rule
from torchskip.lint.words import plural

RULE = Rule("TS205", "idle-branch", "warning", __doc__)
_MERGES = frozenset({"add", "sub", "mul"})


def check(evidence: Evidence) -> Iterator[Finding]:
    """Branches whose weights never receive a gradient."""
    real, run = evidence.numbers.real, evidence.eval
    if real is None or "zero" not in real.gradients.values():
        return
    done: set[str] = set()
    for skip in run.skips:
        if skip.merge not in _MERGES or not skip.live:
            continue
        for arm in skip.arms:
            if arm.role != "branch":
                continue
            nodes = run.flow.nodes_between(skip.split, arm.values[-1])
            kinds = {n: real.gradients[n] for n in _weights(nodes) if n in real.gradients}
            stuck = sorted(n for n, kind in kinds.items() if kind == "zero")
            if {"flows", "nonfinite"} & set(kinds.values()) or not stuck:
                continue
            if not done.isdisjoint(stuck) or not _stuck(evidence, skip, nodes, stuck):
                continue
            done.update(stuck)
            gate = skip.merge == "mul"
            yield RULE.at(
                run.graph.nodes[skip.join],
                f"the {'gate' if gate else 'branch'} adds nothing that depends on its input and "
                f"cannot learn to: all {plural(len(stuck), 'weight tensor')} of it receive a zero "
                "gradient",
                mends=(
                    Mend("a softmax over one number is 1: use a sigmoid, or another axis")
                    if gate
                    else Mend("let exactly one factor start at zero, and make it a parameter"),
                ),
            )


def _weights(nodes: tuple[Node, ...]) -> set[str]:
    """Names of the parameters that the operations multiply with: what is added is a bias."""
    return {n for node in nodes for c in node.constants if not _added(node, c) for n in c.names}


def _added(node: Node, constant: Constant) -> bool:
    if name(node) in ADDS or constant.argument == "bias":
        return True
    return name(node) in {"addmm", "baddbmm"} and constant.argument == "self"


def _stuck(evidence: Evidence, skip: SkipPath, nodes: tuple[Node, ...], names: list[str]) -> bool:
    """Whether the weights stay as they are while others learn, or the input would."""
    if skip.merge == "mul":
        # A gate may rest on a flat part of its functions without being constant: its last bias
        # tells, and takes fewer passes than learning.
        known = evidence.numbers.real.gradients if evidence.numbers.real else {}
        held = dict.fromkeys(n for node in reversed(nodes) for c in node.constants for n in c.names)
        if evidence.numbers.influences(tuple(n for n in held if n in known)[:4]):
            return False
    learning = evidence.numbers.learning
    if learning is None or not learning.isdisjoint(names):
        return False
    return bool(learning) or evidence.numbers.reaches_input
