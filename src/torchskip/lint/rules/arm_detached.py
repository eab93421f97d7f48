"""An arm of a skip carries no gradient.

## What it does
Reports sums and concatenations of which one arm is cut from autograd between split and join:
`detach()`, `.data`, `torch.no_grad()`, a hook that detaches what it stores, a trip through numpy.
A function in steps (`sign`, `round`) without an estimator cuts as well, an arm or the weights of
its layers: its derivative is zero.

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
back detached and trained by a loss of its own; a loss computed in forward; frozen layers.

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
from torchskip.lint.ops import ADDS, CONCATS, FORMS, STEPS, is_layer, name
from torchskip.lint.rule import Rule
from torchskip.lint.steps import rounded, step_between, taught
from torchskip.lint.words import are, called, shape

RULE = Rule("TS105", "arm-detached", "error", __doc__)
_STAY = (Mend("stay in torch: no `.numpy()`, `.tolist()` or `torch.tensor(...)`"),)
_ATTACHED = Mend("remove the detach (`detach()`, `.data`, `no_grad`) from this arm")
_WITH_GRADIENTS = Mend(
    "run this arm with gradients: no `no_grad`, and no list given to a reentrant `checkpoint`"
)
_ESTIMATED = Mend("let the gradient through: `x + (torch.sign(x) - x).detach()`, say")
_DIFFERENCES = frozenset({"sub", "rsub"})


def check(evidence: Evidence) -> Iterator[Finding]:
    """Joins of an arm with a gradient and an arm that lost it on the way."""
    run = evidence.train
    if not run.graph.grad:
        return
    steps = any(name(node) in STEPS for node in run.graph.nodes)
    for join in joins(run, ADDS, CONCATS):
        yield from _judge(run, join)
        if steps:
            yield from _stepped(evidence, join)
    yield from _weights(evidence)
    yield from _strangers(evidence)
    yield from _outside(evidence)


def _strangers(evidence: Evidence) -> Iterator[Finding]:
    """Operands of a join that no operation of torch made, and yet another input changes."""
    for node in evidence.eval.graph.nodes:
        arms = [c for c in node.constants if not c.names and len(c.shape) > 1]
        if name(node) not in ADDS | CONCATS or not node.outputs or node.source is None:
            continue
        met = [a for a in arms if "float" in a.dtype and a.shape[2:] == _sizes(evidence, node)[2:]]
        if met and (node.source.file, node.source.line) in evidence.numbers.outside:
            yield RULE.at(
                node,
                f"the arm {shape(met[0].shape)} of the {name(node)} was made of the input outside "
                "torch (numpy, a list, a new tensor): no gradient comes back through it",
                mends=_STAY,
            )


def _outside(evidence: Evidence) -> Iterator[Finding]:
    """Layers that move the output although no operation of torch leads from them to it."""
    for end in dead_ends(evidence.eval):
        names = end.parameters
        if names and evidence.numbers.influences(names[:4]):
            yield RULE.at(
                end.sink,
                f"the result of {called(end.sink)} leaves torch (numpy, a list, a new tensor) and "
                f"comes back without its gradient: {are(len(names), 'parameter tensor')} never "
                "trained on this arm",
                mends=_STAY,
            )


def _sizes(evidence: Evidence, node: Node) -> tuple[int, ...]:
    return evidence.eval.flow.value(node.outputs[0]).shape


def _judge(run: Pass, join: Join) -> Iterator[Finding]:
    flow = run.flow
    if not join.node.outputs:
        return
    if name(join.node) in _DIFFERENCES and _measures(flow, join.node.outputs[0]):
        return
    for value in join.values:
        if not flow.ancestors[value] & flow.cut:
            continue
        sizes = flow.value(value).shape
        others = [v for v in join.values if v != value]
        splits = [(_common(flow, value, v), v) for v in others]
        split, other = max((pair for pair in splits if flow.carries(*pair)), default=(-1, -1))
        if split < 0 or flow.carries(split, value) or len(sizes) < 2:
            continue
        cut = _cut(flow, split, value)
        if cut is None or _straight_through(flow, join, value):
            continue
        if any(len(flow.value(v).shape) != len(sizes) for v in others):
            continue
        layers = [n for n in flow.nodes_between(split, value) if is_layer(n)]
        untrained = sorted({name for n in layers for name in _untrained(run, n)})
        bypass = not layers and any(is_layer(n) for n in flow.nodes_between(split, other))
        if not untrained and not bypass:
            continue
        role = "branch" if layers else "shortcut"
        how = "runs under torch.no_grad" if not cut.grad else f"is detached by {called(cut)}"
        effect = (
            f"; {are(len(untrained), 'parameter tensor')} never trained on it" if untrained else ""
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
            mends=(_WITH_GRADIENTS if not cut.grad else _ATTACHED,),
        )


def _stepped(evidence: Evidence, join: Join) -> Iterator[Finding]:
    """Arms whose every way back meets a function in steps, beside an arm that carries."""
    flow = evidence.train.flow
    for value in join.values if join.node.outputs else ():
        if not flow.carries(join.split, value):
            continue
        step = step_between(flow, join.split, value)
        if step is None or step.source is None or not taught(flow, step.inputs[0]):
            continue
        others = [v for v in join.values if v != value and flow.carries(join.split, v)]
        free = [v for v in others if step_between(flow, join.split, v) is None]
        arms = [n for v in (value, *free) for n in flow.nodes_between(join.split, v)]
        if not free or not any(is_layer(n) for n in arms):
            continue  # x - floor(x) is a fraction, and no skip
        if (step.source.file, step.source.line) in evidence.numbers.stepped:
            yield RULE.at(
                step,
                f"{called(step)} on an arm {shape(flow.value(value).shape)} of the join has the "
                "derivative zero: what stands before it learns through the other arm alone",
                join=join.node.source,
                severity="warning",
                mends=(_ESTIMATED,),
            )


def _weights(evidence: Evidence) -> Iterator[Finding]:
    """Layers on an arm whose weights go through a function in steps before they are used."""
    real, run = evidence.numbers.real, evidence.train
    stuck = {n for n, kind in real.gradients.items() if kind == "zero"} if real else set()
    steps = [n.source for n in run.graph.nodes if name(n) in STEPS and n.source]
    known = {(source.file, source.line) for source in steps}
    if not stuck or evidence.numbers.stepped <= known:
        return
    learning = evidence.numbers.learning or frozenset()
    for node, names in rounded(run, frozenset(stuck - learning)):
        yield RULE.at(
            node,
            f"{', '.join(map(repr, names))} of {called(node)} goes through a function in steps "
            "(sign, round), whose derivative is zero: the branch's weights never learn",
            severity="warning",
            mends=(Mend("let the gradient through: `w + (torch.sign(w) - w).detach()`, say"),),
        )


def _common(flow: Flow, a: int, b: int) -> int:
    """The latest value that both were computed from."""
    return (flow.ancestors[a] & flow.ancestors[b]).bit_length() - 1


def _untrained(run: Pass, layer: Node) -> Iterator[str]:
    """The parameters of a layer that learn, and get a gradient from nowhere."""
    names = {c.name for c in layer.constants if c.name}
    for parameter in run.graph.parameters:
        if parameter.name in names and parameter.requires_grad and not parameter.buffer:
            readers = (run.graph.nodes[i] for i in parameter.readers)
            if not any(n.grad and _trained(run.flow, n) for n in readers):
                yield parameter.name


def _measures(flow: Flow, value: int) -> bool:
    """Whether nothing but single numbers is made of a difference: a loss, and no skip."""
    todo = [value]
    for here in todo:
        if here in flow.graph.outputs or any(is_layer(n) for n in flow.reads(here)):
            return False
        made = [v for n in flow.reads(here) for v in n.outputs if flow.value(v).shape]
        todo += [v for v in made if v not in todo]
    return True


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
    """The operation behind which the gradient is lost; None where it has no gradient anyway."""
    for node, value in flow.longest(start, end):
        if name(node) == "detach" or not node.grad:
            return node
        if flow.value(value).requires_grad is False:
            return node if "float" in flow.value(value).dtype else None
    return None


def _straight_through(flow: Flow, join: Join, value: int) -> bool:
    """Whether the detached arm is a difference from the other arm: `x + (q - x).detach()`."""
    others = {_raw(flow, v) for v in join.values if v != value}
    for node in flow.nodes_between(join.split, value):
        if name(node) in _DIFFERENCES and others & {_raw(flow, v) for v in node.inputs}:
            return True
    return False


def _raw(flow: Flow, value: int) -> int:
    """The value before it was detached or changed in form."""
    while (node := flow.producer(value)) and name(node) in FORMS and len(node.inputs) == 1:
        value = node.inputs[0]
    return value
