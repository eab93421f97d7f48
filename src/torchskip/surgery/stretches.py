"""Where a plain network can be bypassed: stretches of layers that nothing else enters."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from torchskip.graph import Graph, SkipPath
from torchskip.skips.flow import Flow

__all__ = ["Stretch", "stretches", "way"]

_VIEWS = ("view", "_unsafe_view", "reshape")
_SAME = ("identity", "projection", "concat", "dense", "split-concat", "pool-concat")


@dataclass(frozen=True, slots=True)
class Stretch:
    """Layers in a row: where a shortcut may leave and where it may arrive, the best first.

    `starts` and `ends` are values. He et al. 2015, figure 2: it leaves before the first layer and
    arrives after the last one's normalisation, before the activation. Where each layer comes
    after its normalisation (He et al. 2016), it leaves before that.
    """

    layers: tuple[int, ...]
    starts: tuple[int, ...]
    ends: tuple[int, ...]


def stretches(flow: Flow, skips: tuple[SkipPath, ...], every: int) -> list[Stretch]:
    """Return the stretches of `every` layers (or up to twice less one) that have no skip yet.

    They do not cross a pooling, a branching of the graph, or the border of a block that holds
    `every` layers itself. The layer that reads the model's input stays outside.
    """
    links = {n: _back(flow, n) for n in _layers(flow)}
    order = [n for n, link in links.items() if link is not None]
    found = []
    for run in _runs(flow, order, every):
        linked: list[list[int]] = []
        for n in run:
            link = links[n]
            if linked and link is not None and link.layer == linked[-1][-1]:
                linked[-1].append(n)
            else:
                linked.append([n])
        for chain in linked:
            count = len(chain) // every
            for i in range(count):
                last = (i + 1) * every if i < count - 1 else len(chain)
                layers = tuple(chain[i * every : last])
                if not _bypassed(flow, skips, layers):
                    found.append(_stretch(flow, layers))
    return found


def way(flow: Flow, start: int, end: int) -> list[int] | None:
    """Return the nodes from `start` to `end`, gates passed by; None where more than one way is."""
    nodes: list[int] = []
    value = end
    while value != start:
        step = _before(flow, value)
        if step is None:
            return None
        node, value = step
        nodes.append(node)
        if value != start and not _only(flow, value, node):
            return None
    return nodes[::-1]


@dataclass(frozen=True, slots=True)
class _Link:
    """What comes before a layer: the layer before it, None where something else does."""

    layer: int | None


def _layers(flow: Flow) -> Iterator[int]:
    """Yield the convolutions on the way to an output, which a gate's control is not."""
    reached = 0
    for v in flow.graph.outputs:
        reached |= flow.signal[v]
    for node in flow.graph.nodes:
        if not any(reached >> v & 1 for v in node.outputs):
            continue
        if flow.roles[node.index] == "layer" and len(set(node.inputs)) == 1 and node.outputs:
            before, after = (flow.graph.values[v].shape for v in (node.inputs[0], node.outputs[0]))
            if 3 <= len(before) == len(after) and "conv" in flow.names[node.index]:
                yield node.index


def _back(flow: Flow, layer: int) -> _Link | None:
    """Return what comes before `layer`; None for the one that reads the model's input."""
    value, node = flow.graph.nodes[layer].inputs[0], layer
    while _only(flow, value, node):
        step = _before(flow, value)
        if step is None:
            break
        node, before = step
        if flow.roles[node] == "layer":
            return _Link(node)
        if flow.roles[node] not in ("glue", "norm") or flow.resamples(node):
            break
        value = before
    plain = value
    while plain is not None and (step := _before(flow, plain)) and flow.roles[step[0]] == "glue":
        plain = step[1]
    return None if plain in flow.graph.inputs else _Link(None)


def _before(flow: Flow, value: int) -> tuple[int, int] | None:
    """Return the node that made `value` and the one value it came from, by a gate's main arm."""
    n = flow.producer[value]
    if n is None or len(flow.signals[n]) != 1:
        return None
    if len(set(flow.graph.nodes[n].inputs)) > 1 and n not in flow.gates:
        return None
    return n, flow.signals[n][0]


def _only(flow: Flow, value: int, node: int) -> bool:
    """Whether `value` goes nowhere but into `node` and, where that is a gate, its control."""
    if value in flow.graph.outputs:
        return False
    gate = flow.gates.get(node)
    for user in _users(flow, value):
        if user == node:
            continue
        outputs = flow.graph.nodes[user].outputs
        if gate is None or not any(flow.full[gate.control] >> v & 1 for v in outputs):
            return False
    return True


def _users(flow: Flow, value: int) -> list[int]:
    """Return the nodes that read `value`, without those that autograd alone asked for."""
    graph = flow.graph
    return [
        n
        for n in flow.consumers[value]
        if any(flow.consumers[v] or v in graph.outputs for v in graph.nodes[n].outputs)
    ]


def _runs(flow: Flow, layers: list[int], every: int, depth: int = 0) -> Iterator[list[int]]:
    """Part layers by the blocks of the module tree that hold them; the small ones join."""
    paths = {n: flow.graph.nodes[n].module.split(".") for n in layers}
    parts: list[tuple[str | None, list[int]]] = []
    for n in layers:
        name = paths[n][depth] if depth < len(paths[n]) else None
        if parts and parts[-1][0] == name:
            parts[-1][1].append(n)
        else:
            parts.append((name, [n]))
    run: list[int] = []
    for name, part in parts:
        if name is None or len(part) < every:
            run.extend(part)
            continue
        if run:
            yield run
        run = []
        yield from _runs(flow, part, every, depth + 1)
    if run:
        yield run


def _bypassed(flow: Flow, skips: tuple[SkipPath, ...], layers: tuple[int, ...]) -> bool:
    """Whether a skip goes around these layers already (not around a whole encoder)."""
    return any(
        skip.kind in _SAME and set(layers) <= set(arm.nodes)
        for skip in skips
        for arm in skip.arms
        if arm.role == "branch"
    )


def _stretch(flow: Flow, layers: tuple[int, ...]) -> Stretch:
    graph = flow.graph
    block = _parent(graph, layers[-1])
    last = graph.nodes[layers[-1]].outputs[0]
    ends, value = [last], last
    normed = False
    while (users := _users(flow, value)) and _follows(flow, value, users[0]):
        node = graph.nodes[users[0]]
        norm = flow.roles[users[0]] == "norm" and not normed
        if _parent(graph, users[0]) != block or not (norm or flow.names[users[0]] in _VIEWS):
            break
        value, normed = node.outputs[0], normed or norm
        if normed:  # an instance norm views its input in another shape and back
            ends.insert(len(ends) - 1, value)
    first = graph.nodes[layers[0]].inputs[0]
    starts, value, user = [first], first, layers[0]
    before: list[int] = []
    while _only(flow, value, user) and (step := _before(flow, value)) is not None:
        user, value = step
        if flow.roles[user] not in ("glue", "norm") or user in flow.gates:
            break
        before.append(value)
        if flow.roles[user] == "norm":
            ahead = len(ends) == 1 and _parent(graph, user) == _parent(graph, layers[0])
            starts.insert(0 if ahead else len(starts), value)
    starts.extend(v for v in before if v not in starts)
    return Stretch(layers, tuple(starts), tuple(ends))


def _follows(flow: Flow, value: int, user: int) -> bool:
    return _only(flow, value, user) and len(set(flow.graph.nodes[user].inputs)) == 1


def _parent(graph: Graph, node: int) -> str:
    """Return the block that a layer or norm stands in: the module around its own."""
    return graph.nodes[node].module.rpartition(".")[0]
