"""Which part of a value an arm takes: channel splits, and the axis of the channels."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator

from torchskip.graph import Node
from torchskip.skips.flow import Flow
from torchskip.skips.ops import SPLITS

__all__ = ["Region", "chained", "channel_axes", "disjoint", "within"]

_NEAR = 40

Region = tuple[int, int, int]  # axis, first, one past the last


def disjoint(flow: Flow, split: int, one: int, other: int) -> bool:
    """Whether two arms take different parts of the split value: no element goes both ways."""
    mine = _regions(flow, split, one)
    theirs = _regions(flow, split, other) if mine and None not in mine else set()
    if not theirs or None in theirs:
        return False
    return all(
        a is not None and b is not None and a[0] == b[0] and (a[2] <= b[1] or b[2] <= a[1])
        for a in mine
        for b in theirs
    )


def chained(flow: Flow, one: int, other: int) -> bool:
    """Whether `other` comes from `one` and a further group of the channels `one` came from."""
    further = flow.signal[other] & ~flow.signal[one]
    if not further:
        return False
    earliest = (further & -further).bit_length() - 1
    first, last = (flow.producer[v] or 0 for v in (earliest, other))
    for n in flow.parting[bisect_left(flow.parting, first) : bisect_right(flow.parting, last)]:
        node = flow.graph.nodes[n]
        parent = node.inputs[0]
        if any(further >> v & 1 for v in node.outputs) and flow.signal[one] >> parent & 1:
            mine, theirs = _regions(flow, parent, one), _regions(flow, parent, other)
            if None not in mine | theirs and mine < theirs and not _bare(flow, parent, one):
                return True
    return False


def _bare(flow: Flow, split: int, arm: int) -> bool:
    """Whether some way from the split to an arm has no layer: a part of it is passed on as is."""
    todo, seen = [arm], {arm}
    while todo:
        value = todo.pop()
        if value == split:
            return True
        n = flow.producer[value]
        if n is None or flow.roles[n] in ("layer", "pool"):
            continue
        for source in flow.signals[n]:
            if source not in seen and flow.between(split, source):
                seen.add(source)
                todo.append(source)
    return False


def _regions(flow: Flow, split: int, arm: int) -> set[Region | None]:
    """Return what `arm` reads of `split`; None stands for all of it."""
    if arm == split:
        return {None}
    found: set[Region | None] = set()
    for n in flow.consumers[split]:
        if split not in flow.signals[n]:
            continue
        node = flow.graph.nodes[n]
        for place, v in enumerate(node.outputs):
            if flow.signal[arm] >> v & 1:
                region = _region(flow, node, place)
                # PyTorch 2.6 takes `x[:, :2]` as a slice of the whole batch, then of channels.
                whole = region and flow.graph.values[v].shape == flow.graph.values[split].shape
                found |= _regions(flow, v, arm) if whole else {region}
    return found


def _region(flow: Flow, node: Node, place: int) -> Region | None:
    name = flow.names[node.index]
    shape = flow.graph.values[node.inputs[0]].shape
    given = node.argument("dim", 0)
    if not isinstance(given, int) or not shape:
        return None
    axis = given % len(shape)
    if name in SPLITS:
        sizes = [1 if name == "unbind" else flow.graph.values[v].shape[axis] for v in node.outputs]
        offset = sum(sizes[:place])
        return axis, offset, offset + sizes[place]
    if name == "slice" and node.argument("step", 1) == 1:
        start, end = node.argument("start"), node.argument("end")
        first = start if isinstance(start, int) else 0
        last = end if isinstance(end, int) else shape[axis]
        first, last = (x + shape[axis] if x < 0 else x for x in (first, last))
        return axis, first, min(last, shape[axis])
    if name == "select":
        index = node.argument("index", 0)
        if isinstance(index, int):
            return axis, index % shape[axis], index % shape[axis] + 1
    return None


def channel_axes(flow: Flow, node: int) -> set[int]:
    """Return the axes of a concatenation that may hold channels, by the layers around it.

    Convolutions, their norms and poolings have channels on axis 1; linear layers and layer
    norms on the last. Tokens, windows and positions are on the others.
    """
    joined = flow.graph.nodes[node]
    first = joined.outputs[0] if joined.outputs else joined.inputs[0]
    shape = flow.graph.values[first].shape
    rank = len(shape)
    if rank < 3:
        return set(range(rank))
    for n in _around(flow, node):
        kind, name = flow.roles[n], flow.names[n]
        before = flow.graph.values[flow.graph.nodes[n].inputs[0]].shape
        if name in ("native_layer_norm", "layer_norm", "rms_norm", "_fused_rms_norm"):
            return {rank - 1}
        if kind == "layer" and "conv" not in name:
            return {rank - 1}
        if kind in ("layer", "pool", "norm", "resize") and len(before) == rank:
            return {1}
    return {1, rank - 1} if rank == 3 else {1}


def _around(flow: Flow, node: int) -> Iterator[int]:
    """Yield nodes near `node`, after it and before it, seen through operations of equal shape."""
    ahead, behind = [node], [node]
    seen = {node}
    for _ in range(_NEAR):
        found: list[int] = []
        for n in ahead:
            for v in flow.graph.nodes[n].outputs[:1]:
                found += flow.consumers[v]
        ahead = []
        for n in found:
            if n not in seen:
                seen.add(n)
                yield n
                if _keeps(flow, n):
                    ahead.append(n)
        found = []
        for n in behind:
            found += [p for v in flow.graph.nodes[n].inputs if (p := flow.producer[v]) is not None]
        behind = []
        for n in found:
            if n not in seen:
                seen.add(n)
                yield n
                if _keeps(flow, n):
                    behind.append(n)
        if not ahead and not behind:
            return


def _keeps(flow: Flow, n: int) -> bool:
    """Whether `n` leaves every axis where it is, or only folds the leading ones together."""
    if flow.roles[n] in ("layer", "pool"):
        return False
    node = flow.graph.nodes[n]
    if not node.inputs or not node.outputs:
        return False
    before = flow.graph.values[node.inputs[0]].shape
    after = flow.graph.values[node.outputs[0]].shape
    if flow.names[n] in ("permute", "transpose", "t", "movedim"):
        return False
    if len(before) == len(after):
        return True
    return flow.names[n] in ("view", "_unsafe_view", "reshape") and before[-1:] == after[-1:]


def within(flow: Flow, split: int, arm: int, axis: int, size: int) -> bool:
    """Whether an arm reads nothing of the split value but parts of that size along an axis."""
    read = _regions(flow, split, arm)
    return bool(read) and all(r is not None and r[0] == axis and r[2] - r[1] == size for r in read)
