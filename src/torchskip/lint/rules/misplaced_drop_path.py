"""Stochastic depth drops the wrong thing.

## What it does
Finds the random masks of the training pass that keep or drop whole rows (one number per sample,
token or channel) and reports masks on another axis than the batch, masks on the sum or on the
shortcut instead of the branch, masks whose result is thrown away, and masks that are not divided
by the keep probability.

## Why is this bad
Stochastic depth drops the *branch* of a *sample*: the shortcut then carries the sample on. On the
token axis it drops the same tokens for every sample; on the sum it drops the sample itself,
shortcut and all; on the shortcut it cuts the path that the design relies on. Without the division
the network sees smaller branches in training than in evaluation.

## Example

    mask = torch.rand((x.shape[0], 1, 1)) < keep    # x is (L, N, C): axis 0 is the token
    x = self.drop_path(x + self.mlp(x))             # drops the shortcut too

## Use instead

    x = x + self.drop_path(self.mlp(x))             # one number per sample, divided by `keep`

## References
Huang et al., *Deep Networks with Stochastic Depth*, 2016, eqs. 2 and 5; microsoft/VideoX#85.
"""

from __future__ import annotations

from collections.abc import Iterator

from torchskip.graph import Constant, Node
from torchskip.lint.evidence import Evidence, Pass
from torchskip.lint.finding import Finding, Mend
from torchskip.lint.flow import Flow
from torchskip.lint.joins import Join, joins
from torchskip.lint.ops import ADDS, FORMS, PRODUCTS, is_layer, is_norm, name
from torchskip.lint.rule import Rule
from torchskip.lint.words import shape

RULE = Rule("TS111", "misplaced-drop-path", "error", __doc__)


def check(evidence: Evidence) -> Iterator[Finding]:
    """Row masks of the training pass that are not one number per sample of a branch."""
    run = evidence.train
    quiet = {(n.module, n.source, name(n)) for n in evidence.eval.graph.nodes if _mask(n)}
    found = [
        (node, mask)
        for node in run.graph.nodes
        if (mask := _mask(node)) and (node.module, node.source, name(node)) not in quiet
    ]
    if not found:
        return
    rows = [(n, m) for n, m in found if _is_row(run, n, m)]
    meets = tuple(joins(run, ADDS))
    for node, mask in rows:
        yield from _judge(evidence, run, meets, node, mask)


def _judge(
    evidence: Evidence, run: Pass, meets: tuple[Join, ...], node: Node, mask: Constant
) -> Iterator[Finding]:
    flow = run.flow
    axis = next((i for i, size in enumerate(mask.shape) if size > 1), None)
    full = flow.value(node.inputs[0]).shape
    right = Mend("give the branch one number per sample: a mask of shape (N, 1, ...)")
    end = _end(flow, node)
    if not any(value in flow.live for value in node.outputs):
        if _start(flow, node) not in flow.live:
            return  # the branch itself is not used either: that is another rule's finding
        yield RULE.at(
            node,
            f"the result of the stochastic depth {shape(mask.shape)} is thrown away: the branch "
            "is never dropped",
            mends=(Mend("use its result: `x = x + self.drop_path(branch)`"),),
        )
        return
    if axis is not None and evidence.mark is not None and not evidence.marked(mask.shape[axis]):
        batch = next((i for i, size in enumerate(full) if evidence.marked(size)), None)
        if _on_arm(flow, meets, end) or _after_sum(flow, node):
            yield RULE.at(
                node,
                f"the stochastic depth drops along axis {axis} of {shape(full)}"
                + (f"; the samples are axis {batch}" if batch is not None else "")
                + ": it removes the same positions of every sample",
                mends=(right,),
            )
            return
    if _after_sum(flow, node) and not _is_branch(flow, meets, end):
        yield RULE.at(
            node,
            f"the stochastic depth drops the sum {shape(full)}: a dropped sample loses its "
            "shortcut too and goes on as zeros",
            mends=(Mend("drop the branch before the addition: `x + self.drop_path(branch)`"),),
        )
    elif _is_shortcut(flow, meets, node, end):
        yield RULE.at(
            node,
            f"the stochastic depth drops the shortcut {shape(full)} and keeps the branch",
            mends=(Mend("drop the branch instead: `x + self.drop_path(branch)`"),),
        )
    else:
        mean = evidence.expectation(node.module, full)
        if mean is not None and 0.05 < mean < 0.97:
            yield RULE.at(
                node,
                f"the stochastic depth is not divided by its keep probability: the branch is "
                f"{mean:.2f}x as large in training as in evaluation",
                severity="warning",
                mends=(Mend("divide the mask by the keep probability in training"),),
            )


def _mask(node: Node) -> Constant | None:
    """The nameless tensor that multiplies a value: made in the forward, not a parameter."""
    if name(node) not in PRODUCTS or len(node.inputs) != 1 or not node.outputs:
        return None
    free = [c for c in node.constants if not c.names]
    return free[0] if len(free) == 1 and len(node.constants) == 1 else None


def _is_row(run: Pass, node: Node, mask: Constant) -> bool:
    full = run.flow.value(node.inputs[0]).shape
    return len(mask.shape) == len(full) > 1 and sum(size > 1 for size in mask.shape) == 1


def _end(flow: Flow, node: Node) -> int:
    """What becomes of the masked value: behind its rescaling and changes of form."""
    value = node.outputs[0]
    while True:
        readers = list(flow.reads(value))
        if len(readers) != 1 or not readers[0].outputs or len(readers[0].inputs) != 1:
            return value
        reader = readers[0]
        if name(reader) in FORMS or (name(reader) in PRODUCTS and not reader.constants):
            value = reader.outputs[0]
        else:
            return value


def _start(flow: Flow, node: Node) -> int:
    """What is masked, before its rescaling and changes of form."""
    value = node.inputs[0]
    while (maker := flow.producer(value)) and len(maker.inputs) == 1:
        if name(maker) in FORMS or (name(maker) in PRODUCTS and not maker.constants):
            value = maker.inputs[0]
        else:
            break
    return value


def _after_sum(flow: Flow, node: Node) -> bool:
    """Whether what is masked is the sum of a shortcut and a branch."""
    maker = flow.producer(_start(flow, node))
    if maker is None or name(maker) not in ADDS or len(set(maker.inputs)) != 2:
        return False
    a, b = maker.inputs
    for long, short in ((a, b), (b, a)):
        if flow.depends(long, short) and any(is_layer(n) for n in flow.nodes_between(short, long)):
            return True
    return False


def _on_arm(flow: Flow, meets: tuple[Join, ...], end: int) -> bool:
    return any(end in join.values for join in meets)


def _is_branch(flow: Flow, meets: tuple[Join, ...], end: int) -> bool:
    """Whether the masked value is itself the branch of an outer sum."""
    for join in meets:
        if end in join.values and any(
            flow.depends(end, v) or _lighter(flow, join, v, end) for v in join.values if v != end
        ):
            return True
    return False


def _lighter(flow: Flow, join: Join, value: int, other: int) -> bool:
    def count(v: int) -> int:
        return sum(is_layer(n) for n in flow.nodes_between(join.split, v))

    return count(value) < count(other)


def _is_shortcut(flow: Flow, meets: tuple[Join, ...], node: Node, end: int) -> bool:
    """Whether the masked value is the identity of a sum whose other arm holds the layers."""
    for join in meets:
        if end not in join.values:
            continue
        own = flow.nodes_between(join.split, end)
        if any(is_layer(n) or is_norm(n) for n in own):
            continue
        for value in join.values:
            nodes = flow.nodes_between(join.split, value) if value != end else ()
            if any(is_layer(n) for n in nodes) and not any(_mask(n) for n in nodes):
                return True
    return False
