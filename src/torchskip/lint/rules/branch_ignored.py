"""A branch is computed and its result is never used.

## What it does
Reports layers, sums and concatenations whose result reaches no output of the model, in
evaluation and in training mode. It is a warning where the result fits nothing that the model goes
on with (a head that a flag leaves out) and where other rounds of a loop are used, and a note where
only the last round is not: a stack often has no use for it (WaveNet's last residual), nor has
each inner loop of two. A sum whose branch leaves the module in its place is no such round.

## Why is this bad
The layers cost time and memory and are never trained: their parameters receive no gradient. The
block computes something else than it says: a residual whose branch is dropped is the identity, a
dense block that returns its last layer has no dense connections.

## Example

    def forward(self, x):
        self.conv(x)
        return x

## Use instead

    def forward(self, x):
        return x + self.conv(x)

## References
Nandan91/ULSAM#8; PetarV-/GAT#11; cyclomon/UNSB#29; thomasjpfan/pytorch_refinenet#2;
XinArkh/VNect#13; taki0112/Densenet-Tensorflow#6; state-spaces/s4 pull request 30.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from torchskip.graph import Node
from torchskip.lint.carried import carried, kept
from torchskip.lint.dead import DeadEnd, dead_ends
from torchskip.lint.evidence import Evidence
from torchskip.lint.finding import Finding, Mend, Severity
from torchskip.lint.flow import Flow
from torchskip.lint.joins import Join, join_of, way
from torchskip.lint.ops import ACTIVATIONS, ADDS, CONCATS, SQUASHES, is_layer, name
from torchskip.lint.regions import below
from torchskip.lint.rule import Rule
from torchskip.lint.words import called, plural, shape

RULE = Rule("TS107", "branch-ignored", "error", __doc__)
_LOOP = " (other rounds of this line are used)"


def check(evidence: Evidence) -> Iterator[Finding]:
    """Layers and joins that no output needs."""
    yield from _nothing(evidence)
    ends = dead_ends(evidence.eval)
    if not ends:
        return
    # In training a dropout may stand behind what is the sink in evaluation.
    also = {(n.module, n.source) for e in dead_ends(evidence.train) for n in e.nodes}
    flow = evidence.eval.flow
    dead = {node.index for end in ends for node in end.nodes}
    used = {(n.source, name(n)): n.index for n in evidence.eval.graph.nodes if n.index not in dead}
    rounds = Counter((end.sink.source, name(end.sink)) for end in ends)
    for end in ends:
        if (end.sink.module, end.sink.source) not in also:
            continue
        # Other rounds of a loop may use what the line makes.
        last = used.get((end.sink.source, name(end.sink))) if end.sink.source else None
        loop = last is not None
        names = end.parameters
        sizes = end.sizes
        if names and not evidence.numbers.influences(names[:4]):
            yield RULE.at(
                end.sink,
                f"the result {shape(sizes)} of {called(end.sink)} is never used: "
                f"{plural(end.layers, 'layer')} with "
                f"{plural(len(names), 'parameter tensor')} run for nothing and are never trained"
                + (_LOOP if loop else ""),
                severity=_severity(evidence, end, last, rounds[end.sink.source, name(end.sink)]),
                mends=(Mend("use the result, or remove the layers"),),
            )
        elif not names and (join := _join(flow, end)) is not None and len(sizes) > 2:
            instead = any(_leaves(flow, join.node, v) for v in join.values)
            first = end.nodes[0].index
            spent = last is not None and last < first and not instead
            once = last is None and not instead and _once(flow, join)
            memory = not instead and _remembers(flow, join.node)
            if spent or once or memory or (last is not None and _ended(flow, join.node)):
                continue  # a stack has no use for its last round's stream
            yield RULE.at(
                join.node,
                f"the {name(join.node)} {shape(sizes)} joins two arms and nobody reads it: the "
                "skip connection has no effect" + (_LOOP if loop else ""),
                severity="warning" if loop else None,
                arms=tuple(
                    way(flow, f"arm {i + 1}", join.split, v) for i, v in enumerate(join.values)
                ),
                mends=(Mend("return or pass on the joined value"),),
            )


def _nothing(evidence: Evidence) -> Iterator[Finding]:
    """A forward that ends without a return."""
    graph = evidence.eval.graph
    if graph.outputs or graph.failure is not None or not graph.nodes:
        return
    last = graph.nodes[-1]
    if evidence.numbers.real is not None and evidence.numbers.real.nothing:
        sizes = graph.values[last.outputs[0]].shape if last.outputs else ()
        yield RULE.at(
            last,
            f"forward returns None: the result {shape(sizes)} of {called(last)} is lost",
            mends=(Mend("return the result"),),
        )


def _severity(evidence: Evidence, end: DeadEnd, last: int | None, rounds: int) -> Severity | None:
    """`last` is the last operation of the same line that is used; `rounds` of it are not."""
    if last is not None:
        return "note" if last < end.nodes[0].index and rounds == 1 else "warning"
    return None if _could_join(evidence, end) else "warning"


def _could_join(evidence: Evidence, end: DeadEnd) -> bool:
    """Whether the result fits a value that the model goes on with: it could have been joined.

    Heads that a flag leaves out (deep supervision) fit none.
    """
    flow = evidence.eval.flow
    sizes = end.sizes
    if any(_goes_on(flow, end, v) for v in _replaced(flow, end)):
        return True
    gate = name(end.sink) in SQUASHES
    scope = "" if gate else _caller(evidence, end.sink.module)
    for node in evidence.eval.graph.nodes[end.nodes[0].index :]:
        if not below(node.module, scope) or not any(v in flow.live for v in node.outputs):
            continue
        for value in set(node.inputs) & flow.live - set(end.sink.inputs):
            other = flow.value(value).shape
            if sizes == other or (gate and _scales(sizes, other)):
                return True
    return _is_stage(evidence, end)


def _replaced(flow: Flow, end: DeadEnd) -> Iterator[int]:
    """Values of the result's shape in whose place it would be: what a sum adds, what came in."""
    sizes = end.sizes
    made = {v for node in end.nodes for v in node.outputs}
    came = [v for node in end.nodes for v in node.inputs if v not in made]
    for value in came if name(end.sink) in ADDS or len(set(came)) == 1 else ():
        if flow.value(value).shape == sizes:
            yield value


def _goes_on(flow: Flow, end: DeadEnd, value: int) -> bool:
    """Whether the model returns a value, or reads it after the result is there."""
    return value in flow.graph.outputs or any(
        n.index > end.sink.index and any(v in flow.live for v in n.outputs)
        for n in flow.reads(value)
    )


def _caller(evidence: Evidence, path: str) -> str:
    """The module whose forward calls this one: the first above that runs and is no list."""
    path = path.rpartition(".")[0]
    while path and not (path in evidence.modules and evidence.modules[path].calls):
        path = path.rpartition(".")[0]
    return path


def _scales(sizes: tuple[int, ...], other: tuple[int, ...]) -> bool:
    """Whether a value of these sizes scales the other's channels: ``(N, C, 1, 1)``."""
    return len(sizes) > 2 and sizes[:2] == other[:2] and sizes[2:] == (1,) * (len(other) - 2)


def _is_stage(evidence: Evidence, end: DeadEnd) -> bool:
    """Whether a live operation reads what the dead layers read: a stage that was left out."""
    flow = evidence.eval.flow
    first, scope = end.nodes[0], _around(evidence, end)
    return bool(first.inputs) and any(
        any(v in flow.live for v in n.outputs)
        and n.index > end.sink.index
        and below(n.module, scope)
        and flow.value(n.outputs[0]).shape == end.sizes
        and n.outputs[0] not in flow.graph.outputs
        for n in flow.reads(first.inputs[0])
    )


def _around(evidence: Evidence, end: DeadEnd) -> str:
    """The innermost module around the dead end that does more than run it."""
    dead = {node.index for node in end.nodes}
    path = end.sink.module
    while path and all(n.index in dead for n in evidence.eval.graph.nodes if below(n.module, path)):
        path = path.rpartition(".")[0]
    return path


def _join(flow: Flow, end: DeadEnd) -> Join | None:
    """The dead end as a join of values that layers made, seen through what follows it."""
    node = end.sink
    while name(node) in ACTIVATIONS and len(node.inputs) == 1:
        before = flow.producer(node.inputs[0])
        if before is None or len(flow.readers[node.inputs[0]]) > 1:
            return None
        node = before
    join = join_of(flow, node) if name(node) in ADDS | CONCATS else None
    made = join is not None and any(
        is_layer(n) for v in join.values for n in flow.nodes_between(join.split, v)
    )
    return join if made else None


def _once(flow: Flow, join: Join) -> bool:
    """Whether a loop ran one round, which reads the stream for what it keeps, and then moves it on.

    A residual quantiser takes off what it has coded, for a further codebook.
    """
    node = join.node
    rounds = [n for n in flow.graph.nodes if (name(n), n.source) == (name(node), node.source)]
    read = any(
        n.index < node.index and any(v in flow.live for v in n.outputs)
        for value in join.values
        for n in flow.reads(value)
    )
    return len(rounds) == 1 and read and carried(node.source)


def _remembers(flow: Flow, join: Node) -> bool:
    """Whether a concatenation of frames or places, no channels, is kept for a later call.

    A causal convolution that reads a video in chunks keeps the last frames of each.
    """
    axis = join.argument("dim", 0)
    rank = len(flow.value(join.outputs[0]).shape) if join.outputs else 0
    along = isinstance(axis, int) and rank > 2 and axis % rank > 1
    return name(join) == "cat" and along and kept(join.source)


def _ended(flow: Flow, join: Node) -> bool:
    """Whether an inner loop ends with this round, and what its rounds made is joined otherwise.

    The decoder of a Tiramisu hands on the new features of each dense block, without its input.
    """
    rounds = [n for n in flow.graph.nodes if (name(n), n.source) == (name(join), join.source)]
    before = {v for n in rounds if n.index < join.index for v in n.inputs}
    own = set(join.inputs)
    later = {v for n in rounds if n.index > join.index for v in n.inputs}
    collected = any(
        n not in rounds and name(n) in ADDS | CONCATS and before & set(n.inputs)
        for v in own
        for n in flow.reads(v)
    )
    return collected and own.isdisjoint(later)


def _leaves(flow: Flow, join: Node, value: int) -> bool:
    """Whether an operand leaves the module of the join, in the place of the joined value."""
    maker = flow.producer(value)
    outside = value in flow.graph.outputs or any(
        not below(n.module, join.module) and any(v in flow.live for v in n.outputs)
        for n in flow.reads(value)
    )
    return outside and maker is not None and below(maker.module, join.module)
