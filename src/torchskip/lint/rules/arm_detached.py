"""An arm of a skip carries no gradient.

## What it does
Reports sums and concatenations of which one arm is cut from autograd between split and join:
`detach()`, `.data`, `torch.no_grad()`, a hook that detaches what it stores, a trip through numpy.

## Why is this bad
The forward is right, so no test of values sees it. But the shortcut is there for the gradient:
detached, the encoder below learns only through the bottleneck, and layers that only the detached
arm uses are never trained at all.

## Example

    skips.append(x.detach())
    ...
    x = torch.cat([x, skips.pop()], 1)

## Use instead

    skips.append(x)

The straight-through estimator, `x + (q - x).detach()`, is meant and is not reported, nor are
targets and probes that never join the stream again.

## References
jantic/DeOldify#116; PRBonn/lidar-bonnetal#99; He et al., *Identity Mappings in Deep Residual
Networks*, 2016, eq. 5 (the gradient of the shortcut); Bengio et al., 2013 (straight-through).
"""

from __future__ import annotations

from collections.abc import Iterator

from torchskip.graph import Node
from torchskip.lint.dead import dead_ends
from torchskip.lint.evidence import Evidence, Pass
from torchskip.lint.finding import Finding, Mend
from torchskip.lint.flow import Flow
from torchskip.lint.joins import Join, joins, way
from torchskip.lint.ops import ADDS, CONCATS, is_layer, name
from torchskip.lint.rule import Rule
from torchskip.lint.words import called, plural, shape

RULE = Rule("TS105", "arm-detached", "error", __doc__)


def check(evidence: Evidence) -> Iterator[Finding]:
    """Joins of an arm with a gradient and an arm that lost it on the way."""
    run = evidence.train
    if not run.graph.grad:
        return
    for join in joins(run, ADDS, CONCATS):
        yield from _judge(run, join)
    yield from _outside(evidence)


def _outside(evidence: Evidence) -> Iterator[Finding]:
    """Layers that move the output although no operation of torch leads from them to it."""
    for end in dead_ends(evidence.eval):
        names = end.parameters
        if names and evidence.influences(names[:4]):
            yield RULE.at(
                end.sink,
                f"the result of {called(end.sink)} leaves torch (numpy, a list, a new tensor) and "
                f"comes back without its gradient: {plural(len(names), 'parameter tensor')} on "
                "this arm are never trained",
                mends=(Mend("stay in torch: no `.numpy()`, `.tolist()` or `torch.tensor(...)`"),),
            )


def _judge(run: Pass, join: Join) -> Iterator[Finding]:
    flow = run.flow
    carries = [v for v in join.values if flow.value(v).requires_grad is True]
    for value in join.values:
        if flow.value(value).requires_grad is not False or not carries:
            continue
        cut = _cut(flow, join.split, value)
        sizes = flow.value(value).shape
        if cut is None or len(sizes) < 2 or _straight_through(flow, join, value):
            continue
        if any(len(flow.value(v).shape) != len(sizes) for v in carries):
            continue
        trained = sorted(
            {
                c.name
                for n in flow.nodes_between(join.split, value)
                for c in n.constants
                if c.name and is_layer(n)
            }
        )
        role = "branch" if trained else "shortcut"
        how = "runs under torch.no_grad" if not cut.grad else f"is detached by {called(cut)}"
        untrained = (
            f"; {plural(len(trained), 'parameter tensor')} on it are never trained"
            if trained
            else ""
        )
        yield RULE.at(
            cut,
            f"the {role} {shape(sizes)} {how}: no gradient comes back through this arm of the "
            f"join{untrained}",
            join=join.node.source,
            arms=tuple(
                way(flow, "detached" if v == value else "with gradient", join.split, v)
                for v in join.values
            ),
            mends=(Mend("remove the detach (`detach()`, `.data`, `no_grad`) from this arm"),),
        )


def _cut(flow: Flow, start: int, end: int) -> Node | None:
    """The operation behind which the gradient is lost."""
    if flow.value(start).requires_grad is False:
        return None
    for node, value in flow.longest(start, end):
        if flow.value(value).requires_grad is False or (value == end and not node.grad):
            return node
        if name(node) == "detach" or not node.grad:
            return node
    return None


def _straight_through(flow: Flow, join: Join, value: int) -> bool:
    """Whether the detached arm is a difference from the other arm: `x + (q - x).detach()`."""
    others = {v for v in join.values if v != value}
    for node in flow.nodes_between(join.split, value):
        if name(node) in {"sub", "rsub"} and others & set(node.inputs):
            return True
    return False
