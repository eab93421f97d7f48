"""Sums that have the arms of a skip and are none: conditions, attention logits, gate queries."""

from __future__ import annotations

from torchskip.skips.flow import Flow
from torchskip.skips.joins import Join
from torchskip.skips.ways import Route

__all__ = ["conditions", "logits", "reaches"]

_SOFTMAX_NEAR = 8


def conditions(flow: Flow, join: Join, short: int, route: Route) -> bool:
    """Whether the shallower arm is one number per channel: a time embedding, a global context."""
    node = flow.graph.nodes[join.node]
    if not node.outputs:
        return False
    whole = flow.graph.values[node.outputs[0]].shape
    mine = flow.graph.values[short].shape
    if _spread(mine, whole):
        return True
    if len(whole) < 3 or not route.depth:
        return False
    shapes = [flow.graph.values[v].shape for v in route.values[1:]]
    return any(_spread(s, whole) for s in shapes if len(s) == len(whole))


def _spread(mine: tuple[int, ...], whole: tuple[int, ...]) -> bool:
    """Whether a shape has lost all positions that the whole has (axes after the channels')."""
    mine = (1,) * (len(whole) - len(mine)) + mine
    if len(whole) >= 4:
        axes = range(2, len(whole))
        inner = range(1, len(whole) - 1)  # channels last
        return any(
            all(mine[i] == 1 for i in group) and any(whole[i] > 1 for i in group)
            for group in (axes, inner)
        )
    return len(whole) == 3 and whole[1] > 1 and mine[1] == 1


def logits(flow: Flow, join: Join, routes: list[Route]) -> bool:
    """Whether the sum is of attention logits: products of two signals on the way to a softmax."""
    if not any(_contracts(flow, route) for route in routes):
        return False
    ahead = list(flow.graph.nodes[join.node].outputs[:1])
    for _ in range(_SOFTMAX_NEAR):
        users = [n for v in ahead for n in flow.consumers[v]]
        if any(flow.names[n] in ("_softmax", "softmax", "_safe_softmax") for n in users):
            return True
        ahead = [
            flow.graph.nodes[n].outputs[0]
            for n in users
            if flow.roles[n] == "glue" and flow.graph.nodes[n].outputs
        ]
        ahead = list(dict.fromkeys(ahead))[:8]
    return False


def _contracts(flow: Flow, route: Route) -> bool:
    layers = [n for n in route.nodes if flow.roles[n] == "layer"]
    return bool(layers) and len(flow.signals[layers[-1]]) > 1


def reaches(flow: Flow, join: Join, split: int) -> bool:
    """Whether the sum's signal reaches the output, or only steers a gate from within its control.

    A gate's queries are sums of what it scales with something else: their split is on the way
    to the scaled value too. In a network that computes a mask it is not.
    """
    outputs = flow.graph.outputs
    if flow.graph.failure is not None or not outputs:
        return True
    out = flow.graph.nodes[join.node].outputs
    if not out or any(flow.signal[v] >> out[0] & 1 for v in outputs):
        return True
    if not any(flow.full[v] >> out[0] & 1 for v in outputs):
        return True
    steered = [gate for gate in flow.gates.values() if flow.full[gate.control] >> out[0] & 1]
    return bool(steered) and not any(flow.between(split, gate.main) for gate in steered)
