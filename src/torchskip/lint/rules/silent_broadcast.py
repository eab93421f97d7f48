"""A sum stretches one of its arms by broadcasting.

## What it does
Compares the shapes of the two arms of every sum. Reports sums whose result has the batch twice
(`(N,) + (N, 1)` is `(N, N)`), sums that stretch a shortcut without weights over its branch,
sums that stretch a one-channel arm over all channels or a gate over the map of which it was made,
parameters that hold a number for each sample of the example, and scales of a branch that run along
the width where it is as long as the channels.

## Why is this bad
Nothing fails: the numbers are of the wrong samples, or a map becomes one number per channel. With
a batch of 1 the shapes even agree, so the example that was tried first hides it.

## Example

    out = self.body(x)          # (N, 1)
    return out + skip.squeeze() # (N,): the sum is (N, N)

## Use instead

    return out + skip           # both (N, 1)

A value that was taken off before the layers and is put back after them, `f(x - last) + last`,
context vectors `(N, C, 1, 1)` made by layers (global context, time embeddings), maps that become a
gate (`sigmoid(a + b)`) and sums over all pairs of samples (graph attention, distances) are
published designs and are not reported.

## References
NumPy, *Broadcasting*; Cao et al., *GCNet*, 2019, and Ho et al., *DDPM*, 2020 (broadcast sums that
are meant); Park et al., *BAM*, 2018, eq. 2 (a broadcast sum that becomes a gate).
"""

from __future__ import annotations

from collections.abc import Iterator

from torchskip.graph import Node
from torchskip.lint.evidence import Evidence, Pass
from torchskip.lint.finding import Finding, Mend
from torchskip.lint.flow import Flow
from torchskip.lint.joins import Join, joins, way
from torchskip.lint.ops import ADDS, CONCATS, FORMS, PRODUCTS, SQUASHES, is_layer, is_norm, name
from torchskip.lint.rule import Rule
from torchskip.lint.stretched import AddedGate, added_gates, sideways
from torchskip.lint.words import shape
from torchskip.skips.ops import SPLITS

RULE = Rule("TS103", "silent-broadcast", "error", __doc__)
_PARTS = SPLITS | {"select"}


def check(evidence: Evidence) -> Iterator[Finding]:
    """Sums whose arms have different shapes."""
    yield from _only_this_batch(evidence)
    run = evidence.train
    gates = list(added_gates(run))
    yield from _gates(run, gates)
    yield from _scales(evidence.eval)
    for join in joins(run, ADDS):
        if join.node in [gate.join for gate in gates]:
            continue
        if len(join.values) == 2 and join.node.outputs:
            yield from _judge(evidence, run, join)


def _gates(run: Pass, gates: list[AddedGate]) -> Iterator[Finding]:
    """Gates that are added to the map of which they were made."""
    for gate in gates:
        small, full = (shape(run.flow.value(v).shape) for v in (gate.gate, gate.map))
        yield RULE.at(
            gate.join,
            f"the gate {small} ends with a sigmoid and is added to the map {full} of which it was "
            "made: it shifts whole channels or pixels by up to 1 and scales nothing",
            severity="warning",
            mends=(Mend("multiply: `x * gate`"),),
        )


def _scales(run: Pass) -> Iterator[Finding]:
    """Scales for the channels that run along the height or the width."""
    for found in sideways(run):
        sizes = run.flow.value(found.node.inputs[0]).shape
        wanted = ["1"] * len(sizes)
        wanted[found.channels] = str(found.size)
        yield RULE.at(
            found.node,
            f"{found.scale!r} ({found.size},) scales axis {found.axis} of {shape(sizes)}, which is "
            f"as long as axis {found.channels}, the channels: each position gets a scale, and "
            "another size fails",
            severity="warning",
            mends=(Mend(f"scale the channels: `scale.view({', '.join(wanted)})`"),),
        )


def _judge(evidence: Evidence, run: Pass, join: Join) -> Iterator[Finding]:
    flow = run.flow
    a, b = (flow.value(v).shape for v in join.values)
    out = flow.value(join.node.outputs[0]).shape
    if a == b or min(len(a), len(b)) == 0:
        return
    arms = tuple(
        way(flow, f"arm {i + 1}", join.split, value) for i, value in enumerate(join.values)
    )

    def batches(sizes: tuple[int, ...]) -> list[int]:
        return [i for i, size in enumerate(sizes) if evidence.marked(size)]

    if len(batches(out)) > max(len(batches(a)), len(batches(b))):
        if len(a) == len(b) and set(batches(a)).isdisjoint(batches(b)):
            return  # each arm was given its axis, `f(x)[None] + g(x)[:, None]`: all pairs
        meets = {v for n in flow.reads(join.node.outputs[0]) if name(n) in ADDS for v in n.inputs}
        if any(len(batches(flow.value(v).shape)) > 1 for v in meets - set(join.node.outputs)):
            return  # distances of all pairs: `|x|^2 + |y|^2 - 2 x @ y.T`
        yield RULE.at(
            join.node,
            f"the sum mixes samples: {shape(a)} + {shape(b)} broadcasts to {shape(out)}, which "
            f"has the batch of {evidence.mark} on more than one axis",
            arms=arms,
            mends=(Mend("give both arms one shape: keep the axis (`keepdim=True`, no squeeze)"),),
        )
        return
    if a != out and b != out:
        return  # an outer sum of rows and columns: positions, strips
    small, large = join.values if b == out else join.values[::-1]
    if _becomes_gate(run, join.node.outputs[0]):
        return
    sizes, full = flow.value(small).shape, flow.value(large).shape
    if len(sizes) != len(full) or len(full) < 3:
        return
    stretched = tuple(i for i, (s, f) in enumerate(zip(sizes, full, strict=True)) if s != f)
    small_way, large_way = (flow.nodes_between(join.split, v) for v in (small, large))
    weighted = any(is_layer(node) for node in small_way)
    others = any(is_layer(node) for node in large_way)
    maps = len(full) > 3 or _series(large_way)
    if stretched == (1,) and maps and sizes[1] == 1 and (weighted or small == join.split):
        what = "the branch" if weighted else "the shortcut"
        yield RULE.at(
            join.node,
            f"{what} has one channel: {shape(sizes)} is stretched over the {full[1]} channels of "
            f"{shape(full)}",
            severity="warning",
            arms=arms,
            mends=(Mend(f"let {what} end with {full[1]} channels"),),
        )
    elif stretched == (2,) and len(full) == 3 and others and _one_output(flow, small):
        yield RULE.at(
            join.node,
            f"an arm ends with one number per position: {shape(sizes)} is stretched over the "
            f"{full[2]} features of {shape(full)}",
            severity="warning",
            arms=arms,
            mends=(Mend(f"let that arm end with {full[2]} features"),),
        )
    elif (
        min(stretched) >= 2
        and not weighted
        and others
        and _spread(flow.value(join.split).shape)
        and not _other_part(flow, join.split, small, large)
        and not _normalised(small_way)
        and not _put_back(flow, small, large)
    ):
        yield RULE.at(
            join.node,
            f"the shortcut {shape(sizes)} holds no layer and is stretched over the branch "
            f"{shape(full)}: every position gets the same number",
            arms=arms,
            mends=(
                Mend(f"bring the shortcut to {shape(full)} by pooling with the branch's stride"),
            ),
        )


def _only_this_batch(evidence: Evidence) -> Iterator[Finding]:
    """Shapes that meet because the example's batch is one, or happens to equal another axis."""
    run = evidence.other_batch
    if run is None or run.graph.failure is None or run.graph.failure.node is None:
        return
    node = run.graph.nodes[run.graph.failure.node]
    if name(node) not in ADDS | PRODUCTS:
        return
    yield from _a_scale_each(evidence, run, node)
    if len(set(node.inputs)) != 2:
        return
    what = "sum" if name(node) in ADDS else "product"
    a, b = (run.flow.value(v).shape for v in node.inputs)
    yield RULE.at(
        node,
        f"the {what} fits the batch of the example alone: with another batch it is {shape(a)} "
        f"{'+' if what == 'sum' else '*'} {shape(b)}, so for the example it mixes samples with "
        "another axis",
        mends=(_one_shape(run, node),),
    )


def _one_shape(run: Pass, node: Node) -> Mend:
    """How both arms get one shape: a pile of copies belongs on the channels."""
    makers = [run.flow.producer(v) for v in node.inputs]
    piled = [
        m for m in makers if m and name(m) in CONCATS - {"stack"} and m.argument("dim", 0) == 0
    ]
    if piled:
        return Mend("concatenate along the channels: `torch.cat(..., dim=1)`")
    return Mend("give both arms one shape: keep the axis (`keepdim=True`, no squeeze)")


def _series(nodes: tuple[Node, ...]) -> bool:
    """Whether all layers convolve along the last of three axes, so that the second is channels."""
    layers = [c for n in nodes if is_layer(n) for c in n.constants if len(c.shape) > 1]
    moved = any(name(n) in {"permute", "transpose"} for n in nodes)
    return bool(layers) and not moved and all(len(c.shape) == 3 for c in layers)


def _a_scale_each(evidence: Evidence, run: Pass, node: Node) -> Iterator[Finding]:
    """A parameter with numbers for each sample of the example: others have none.

    A learned position, one row for each token, holds features on its last axis.
    """
    if len(node.inputs) != 1 or len(node.constants) != 1 or not node.constants[0].name:
        return
    scale, value = node.constants[0], run.flow.value(node.inputs[0]).shape
    first = evidence.eval.flow.value(evidence.eval.graph.inputs[0]).shape[0]
    if len(scale.shape) != len(value) or len(value) < 3 or scale.shape[-1] != 1:
        return
    if scale.shape[0] == first != value[0]:
        yield RULE.at(
            node,
            f"{scale.name!r} {shape(scale.shape)} holds a number for each of the example's {first} "
            f"samples: another batch, {shape(value)}, fails, and one sample alone is stretched to "
            f"{first}",
            mends=(Mend(f"one for all samples: a parameter {shape((1, *scale.shape[1:]))}"),),
        )


def _spread(sizes: tuple[int, ...]) -> bool:
    """Whether a value has positions: a condition is one vector, of which several parts are used."""
    return any(size > 1 for size in sizes[2:])


def _other_part(flow: Flow, split: int, small: int, large: int) -> bool:
    """Whether the arm is one part of a value, and the branch comes of others (UnivNet's biases)."""
    parts = [
        {v for v in flow.between(split, arm) if (made := flow.producer(v)) and name(made) in _PARTS}
        for arm in (small, large)
    ]
    return bool(parts[0]) and parts[0].isdisjoint(parts[1])


def _normalised(nodes: tuple[object, ...]) -> bool:
    return any(is_norm(node) for node in nodes)  # type: ignore[arg-type]


def _put_back(flow: Flow, small: int, large: int) -> bool:
    """Whether the branch took the value off first: ``f(x - mean) + mean``."""
    value = _plain(flow, small)
    return any(
        name(node) in {"sub", "rsub"} and value in {_plain(flow, v) for v in node.inputs}
        for node in flow.nodes_between(value, large)
    )


def _plain(flow: Flow, value: int) -> int:
    """The value behind changes of form."""
    while (maker := flow.producer(value)) and name(maker) in FORMS and len(maker.inputs) == 1:
        value = maker.inputs[0]
    return value


def _one_output(flow: Flow, value: int) -> bool:
    """Whether a linear layer with one output made the value."""
    value = _plain(flow, value)
    maker = flow.producer(value)
    return (
        maker is not None
        and name(maker) in {"addmm", "mm", "bmm", "linear"}
        and flow.value(value).shape[-1] == 1
        and any(c.names for c in maker.constants)
    )


def _becomes_gate(run: Pass, value: int) -> bool:
    """Whether the sum goes, through what keeps each element apart, into a squashing function."""
    todo = [value]
    seen: set[int] = set()
    while todo:
        here = todo.pop()
        for node in run.flow.reads(here):
            if name(node) in SQUASHES:
                return True
            small = name(node) in FORMS or is_norm(node) or name(node) in {"relu", "add", "mul"}
            if (small or is_layer(node)) and node.index not in seen and len(seen) < 12:
                seen.add(node.index)
                todo.extend(node.outputs[:1])
    return False
