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

Cuts that are meant are not reported: the straight-through estimator, `x + (q - x).detach()`; a
scaled gradient, `a * x + b * x.detach()`, where no arm holds a layer; a prediction that is fed
back detached and trained by a loss of its own; frozen layers.

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
from torchskip.lint.ops import ADDS, CONCATS, FORMS, is_layer, name
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
        split, other = max((_common(flow, value, v), v) for v in carries)
        sizes = flow.value(value).shape
        cut = _cut(flow, split, value)
        if cut is None or len(sizes) < 2 or _straight_through(flow, join, value):
            continue
        if any(len(flow.value(v).shape) != len(sizes) for v in carries):
            continue
        layers = [n for n in flow.nodes_between(split, value) if is_layer(n)]
        untrained = sorted(
            {
                c.name
                for n in layers
                if not _trained(flow, n)
                for c in n.constants
                if c.name and _learns(run, c.name)
            }
        )
        bypass = not layers and any(is_layer(n) for n in flow.nodes_between(split, other))
        if not untrained and not bypass:
            continue
        role = "branch" if layers else "shortcut"
        how = "runs under torch.no_grad" if not cut.grad else f"is detached by {called(cut)}"
        effect = (
            f"; {plural(len(untrained), 'parameter tensor')} on it are never trained"
            if untrained
            else ""
        )
        yield RULE.at(
            cut,
            f"the {role} {shape(sizes)} {how}: no gradient comes back through this arm of the "
            f"join{effect}",
            join=join.node.source,
            arms=tuple(
                way(flow, "detached" if v == value else "with gradient", join.split, v)
                for v in join.values
            ),
            mends=(Mend("remove the detach (`detach()`, `.data`, `no_grad`) from this arm"),),
        )


def _common(flow: Flow, a: int, b: int) -> int:
    """The latest value that both were computed from."""
    return (flow.ancestors[a] & flow.ancestors[b]).bit_length() - 1


def _learns(run: Pass, name: str) -> bool:
    return any(p.name == name and p.requires_grad and not p.buffer for p in run.graph.parameters)


def _trained(flow: Flow, layer: Node) -> bool:
    """Whether a gradient comes back to the layer from some output, by any way."""
    ends = set(flow.graph.outputs)
    todo = [v for v in layer.outputs if flow.value(v).requires_grad is not False]
    seen = set(todo)
    while todo:
        value = todo.pop()
        if value in ends:
            return True
        for reader in flow.reads(value):
            for made in reader.outputs:
                if made not in seen and flow.value(made).requires_grad is not False:
                    seen.add(made)
                    todo.append(made)
    return False


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
    others = {_raw(flow, v) for v in join.values if v != value}
    for node in flow.nodes_between(join.split, value):
        if name(node) in {"sub", "rsub"} and others & {_raw(flow, v) for v in node.inputs}:
            return True
    return False


def _raw(flow: Flow, value: int) -> int:
    """The value before it was detached or changed in form."""
    while (node := flow.producer(value)) and name(node) in FORMS and len(node.inputs) == 1:
        value = node.inputs[0]
    return value
