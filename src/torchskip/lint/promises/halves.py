"""Second halves of a block that do otherwise than its first half, which adds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from torchskip.graph import Node, SkipPath
from torchskip.lint.attention import questions
from torchskip.lint.flow import Flow
from torchskip.lint.ops import FORMS, is_layer, is_norm, name
from torchskip.lint.passes import Pass
from torchskip.lint.regions import keeps_shape
from torchskip.lint.rounds import weights

__all__ = ["Half", "multiplied", "restarted", "unjoined"]


@dataclass(frozen=True, slots=True)
class Half:
    """A branch that starts by normalising the stream: where it ends, and its last layer."""

    node: Node
    stream: int
    last: Node


def multiplied(run: Pass) -> Iterator[Half]:
    """Products of a stream and its normalised branch, where the forward's other half adds."""
    flow = run.flow
    sums = {(join.module, join.call): join for _, join in _sums(run)}
    for node in run.graph.nodes:
        other = sums.get((node.module, node.call))
        if name(node) != "mul" or len(set(node.inputs)) != 2 or other is None or not node.outputs:
            continue
        for stream, branch in (node.inputs, node.inputs[::-1]):
            way = flow.longest(stream, branch) if flow.depends(branch, stream) else ()
            begun = bool(way) and is_norm(way[0][0])
            if not begun or flow.value(stream).shape != flow.value(branch).shape:
                continue
            if is_layer(_last(way)) and stream in other.outputs:
                yield Half(node, stream, _last(way))


def unjoined(run: Pass) -> Iterator[Half]:
    """Ends of a block that normalise its one sum, of attention, widen it, and join nothing.

    The widening tells the block's own second branch from a projection behind the block.
    """
    flow = run.flow
    sums: dict[tuple[str, int], list[tuple[SkipPath, Node]]] = {}
    for skip, join in _sums(run):
        sums.setdefault((join.module, join.call), []).append((skip, join))
    known = run.regions
    for (path, _), own in sums.items():
        region = known.get(path)
        if len(own) != 1 or region is None or not keeps_shape(region, run):
            continue
        skip, join = own[0]
        stream = join.outputs[0]
        way = flow.longest(stream, region.exit) if flow.depends(region.exit, stream) else ()
        readers = list(flow.reads(stream))
        alone = len(readers) == 1 and is_norm(readers[0])
        if skip.split != region.entry or not alone or not way or not is_layer(_last(way)):
            continue
        attends = next(questions(flow, flow.nodes_between(skip.split, stream)), None)
        layers = [n for n, _ in way if is_layer(n) and not is_norm(n)]
        width = flow.value(stream).shape[-1]
        if attends and len(layers) > 1 and flow.value(layers[0].outputs[0]).shape[-1] > width:
            yield Half(way[-1][0], stream, _last(way))


def restarted(run: Pass) -> Iterator[tuple[Node, int]]:
    """Sums of second halves that add to the block's input again, with the first half's sum."""
    flow, graph = run.flow, run.graph
    before: dict[tuple[int, str, int], SkipPath] = {}
    for skip in run.skips:
        if skip.kind != "identity" or skip.merge != "add" or not skip.live:
            continue
        join = graph.nodes[skip.join]
        first = before.get((skip.split, join.module, join.call))
        before[skip.split, join.module, join.call] = skip
        if first is None:
            continue
        total = graph.nodes[first.join].outputs[0]
        enters = any(is_norm(n) and n.index < first.join for n in flow.reads(skip.split))
        leaves = _normed(flow, join.outputs[0])
        if not _normed(flow, total) or not (enters or leaves):
            continue
        alone = len(skip.arms) == 2  # a third arm may be the first branch's result
        same = weights(flow, skip.split, total) & weights(flow, total, join.outputs[0])
        if alone and not same and flow.depends(join.outputs[0], total):
            yield join, total


def _normed(flow: Flow, total: int) -> bool:
    """Whether a normalisation is all that reads a sum."""
    return bool(flow.readers[total]) and all(map(is_norm, flow.reads(total)))


def _sums(run: Pass) -> Iterator[tuple[SkipPath, Node]]:
    """Identity skips around a branch that begins with a normalisation, and their sums."""
    for skip in run.skips:
        begun = any(is_norm(n) for n in run.flow.reads(skip.split))
        if begun and skip.kind == "identity" and skip.merge == "add" and skip.live:
            yield skip, run.graph.nodes[skip.join]


def _last(way: tuple[tuple[Node, int], ...]) -> Node:
    """The last operation that is no change of form."""
    return next((n for n, _ in reversed(way) if name(n) not in FORMS), way[-1][0])
