"""The arms meet for the example's size and not for its neighbours.

## What it does
Runs the model again with every spatial size one larger, with only the first one larger, with all
sizes doubled where an arm is cut, padded or resized, and with a batch of one. Reports joins that
then fail, and arms that fail for one sample alone.

## Why is this bad
An odd size loses half a pixel at each stride: 33 pixels become 16, and two times 16 is 32. The
network works on 32 or 224 pixels and fails on the first photograph of another size. It is an error
where the code pads, crops or resizes to make the arms meet and still fails; elsewhere a warning,
since a network may be meant for multiples of its stride alone.

## Example

    up = self.up(x)                                   # twice the size, not the skip's
    x = torch.cat([skip, up], dim=1)

## Use instead

    up = F.interpolate(x, size=skip.shape[2:])

or pad: `F.pad(up, (dx // 2, dx - dx // 2, dy // 2, dy - dy // 2))`, last axis first.

## References
milesial/Pytorch-UNet#32; open-mmlab/mmdetection pull request 2157; Ronneberger et al., *U-Net*,
2015, section 2 (cropping and even sizes).
"""

from __future__ import annotations

from collections.abc import Iterator

from torchskip.graph import Node, Source
from torchskip.lint.evidence import Evidence, Pass
from torchskip.lint.facts import Shapes
from torchskip.lint.finding import Finding, Mend
from torchskip.lint.flow import Flow
from torchskip.lint.mismatch import Mismatch, mismatch
from torchskip.lint.ops import is_layer, name
from torchskip.lint.rule import Rule
from torchskip.lint.sizes import all_meet
from torchskip.lint.solve import layers_of, round_up
from torchskip.lint.words import shape
from torchskip.skips.ops import role

RULE = Rule("TS102", "size-dependent", "error", __doc__)


def check(evidence: Evidence) -> Iterator[Finding]:
    """Joins that fail for a neighbouring size, and arms that fail for a batch of one."""
    yield from _single(evidence)
    if evidence.eval.graph.failure is not None or not _resizes(evidence):
        return
    asked = (*evidence.neighbours, *_doubled(evidence))
    sizes = [shapes for shapes in asked if not all_meet(evidence.eval, shapes)]
    if len(sizes) > 1:
        apart = evidence.at(evidence.apart)
        if apart.graph.failure is None:  # what takes these takes all of them,
            # but for a padding of one axis by the other's number: both are odd.
            sizes = [evidence.neighbours[-1]] if _pads(evidence.eval, apart) else []
    for shapes in sizes:
        found = mismatch(evidence.at(shapes))
        # Inputs of the model whose sizes belong together are not made odd one by one.
        if found is None or found.split is None or not any(axis >= 2 for axis in found.axes):
            continue
        node = found.join.node
        adapts = any(
            _adapts(evidence.eval.flow, n) for v in found.join.values for n in _way(found, v)
        )
        given = ", ".join(shape(s) for s in shapes)
        yield RULE.at(
            node,
            f"fits {_example(evidence)} and fails for {given}: {found.message}",
            severity="error" if adapts else "warning",
            arms=found.ways,
            mends=(
                *_axes(found),
                *_rounded(found),
                *_resized(found),
                _multiple(evidence, found),
            ),
        )
        return


def _single(evidence: Evidence) -> Iterator[Finding]:
    """An arm that takes the example's batch and others, and fails for one sample."""
    if any(run.graph.failure for run in evidence.passes) or evidence.mark is None:
        return
    shapes = evidence.single
    if shapes is None or all_meet(evidence.eval, shapes):
        return
    failure = evidence.alone.graph.failure
    if failure is None or failure.source is None:
        return
    for skip in evidence.eval.skips:
        nodes = [evidence.eval.graph.nodes[skip.join]]
        for arm in skip.arms:
            nodes += evidence.eval.flow.nodes_between(skip.split, arm.values[-1])
        failed = [n for n in nodes if (n.module, n.source) == (failure.module, failure.source)]
        same = [n for n in nodes if n.source and _line(n.source) == _line(failure.source)]
        for node in (failed or same)[:1]:
            yield RULE.at(
                node,
                f"takes batches of {_batch(evidence)} and of {evidence.mark} and fails for one "
                f"sample: {failure.error}: {failure.message.partition(chr(10))[0]}",
                source=failure.source,
                join=nodes[0].source,
                mends=(Mend("a squeeze without axis drops the batch too: `flatten(1)` keeps it"),),
            )
            return


def _line(source: Source) -> tuple[str, int]:
    return source.file, source.line


def _batch(evidence: Evidence) -> int:
    graph = evidence.eval.graph
    return next(graph.values[v].shape[0] for v in graph.inputs if len(graph.values[v].shape) > 1)


def _resizes(evidence: Evidence) -> bool:
    """Whether anything but a crop of equals can round: a stride, a pooling, a resize."""
    flow = evidence.eval.flow
    for node in evidence.eval.graph.nodes:
        step = node.argument("step", 1) if name(node) == "slice" else 1
        if isinstance(step, int) and step > 1:
            return True
        if node.inputs and node.outputs and (is_layer(node) or role(node) in {"pool", "resize"}):
            before, after = flow.value(node.inputs[0]).shape, flow.value(node.outputs[0]).shape
            if len(before) == len(after) > 2 and before[2:] != after[2:]:
                return True
    return False


def _pads(run: Pass, other: Pass) -> bool:
    """Whether the other size is padded by several axes' numbers, and not as the first one is."""
    before = {(n.source, _amounts(n)) for n in run.graph.nodes if name(n) in _PADS}
    return any(
        name(n) in _PADS and len(_amounts(n)) > 2 and (n.source, _amounts(n)) not in before
        for n in other.graph.nodes
    )


def _way(found: Mismatch, value: int) -> tuple[Node, ...]:
    """The operations of an arm, and the one that made what the arms part from."""
    maker = None if found.split is None else found.flow.producer(found.split)
    return (*found.between(value), *((maker,) if maker else ()))


def _axes(found: Mismatch) -> tuple[Mend, ...]:
    """What is said of a padding of more than one axis, where more than one differs."""
    way = _way(found, found.branch)
    padded = any(name(n) in _PADS and len(_amounts(n)) > 2 for n in way)
    if not padded or sum(axis >= 1 for axis in found.axes) < 2:
        return ()
    return (Mend("`F.pad` takes the last axis first: `[left, right, top, bottom]`"),)


def _rounded(found: Mismatch) -> Iterator[Mend]:
    """Pools that round down beside layers that round up."""
    flow, split = found.flow, found.join.split
    arms = [layers_of(flow, split, value) for value in (found.branch, found.shortcut)]
    start = flow.value(split).shape[2:]
    if arms[0] is not None and arms[1] is not None and len(start) == len(found.shapes[0]) - 2:
        mend = round_up(arms[0], arms[1], start)
        if mend is not None:
            yield mend


def _resized(found: Mismatch) -> tuple[Mend, ...]:
    """A resize, where the branch has changed its size; slices of one value have not."""
    skip = found.flow.value(found.shortcut).shape
    if not any(is_layer(n) or role(n) in {"pool", "resize"} for n in found.between(found.branch)):
        return ()
    text = "resize the branch to the shortcut: `F.interpolate(x, size=skip.shape[2:])`"
    return (Mend(f"{text} gives {skip[2:]} here"),)


def _amounts(node: Node) -> tuple[object, ...]:
    given = node.argument("pad", node.argument("padding", ()))
    return tuple(given) if isinstance(given, (list, tuple)) else ()


def _doubled(evidence: Evidence) -> Iterator[Shapes]:
    """The doubled size where an arm is cut, padded or resized: by numbers of the example, maybe."""
    run = evidence.eval
    adapting = {n.index for n in run.graph.nodes if name(n) in _ADAPTIONS or role(n) == "resize"}
    ways = (
        run.flow.nodes_between(skip.split, arm.values[-1])
        for skip in (run.skips if adapting else ())
        for arm in skip.arms
    )
    if any(node.index in adapting for way in ways for node in way):
        yield evidence.doubled


def _adapts(flow: Flow, node: Node) -> bool:
    """Whether the same line pads or crops by nothing in the pass that fits, or does not run there.

    Such a line is there for other sizes: the code means to take them.
    """
    if name(node) not in _ADAPTIONS or node.source is None:
        return False
    same = [n for n in flow.graph.nodes if n.source == node.source and name(n) in _ADAPTIONS]
    if not same:
        return name(node) in _PADS
    return any(
        n.outputs
        and flow.value(n.inputs[0]).shape == flow.value(n.outputs[0]).shape
        and (name(n) != "slice" or _of_space(flow, n))
        for n in same
    )


_PADS = frozenset({"constant_pad_nd", "reflection_pad2d", "replication_pad2d"})
_ADAPTIONS = _PADS | {"slice"}


def _of_space(flow: Flow, node: Node) -> bool:
    axis, rank = node.argument("dim"), len(flow.value(node.inputs[0]).shape)
    return isinstance(axis, int) and rank > 2 and axis % rank >= 2


def _example(evidence: Evidence) -> str:
    graph = evidence.eval.graph
    return ", ".join(shape(graph.values[v].shape) for v in graph.inputs)


def _multiple(evidence: Evidence, found: Mismatch) -> Mend:
    """The stride between the input and the smallest map on the branch."""
    sizes = [
        found.flow.value(v).shape[2]
        for n in found.between(found.branch)
        for v in n.outputs[:1]
        if len(found.flow.value(v).shape) > 2
    ]
    whole = found.flow.value(found.flow.graph.inputs[0]).shape
    factor = 1
    while sizes and len(whole) > 2 and min(sizes) * factor * 2 <= whole[2] + min(sizes):
        factor *= 2
    return Mend(f"pad the input to multiples of {factor} and crop the output back")
