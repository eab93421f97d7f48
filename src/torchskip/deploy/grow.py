"""One buffer for the concatenations of a dense block, each a longer part of it than the last.

Huang et al. 2017, *Densely Connected Convolutional Networks*: layer `i` reads the concatenation of
all results before it. Concatenated anew for every layer, `L` layers copy `L^2 / 2` results; written
into one buffer of the final size, each is copied once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx

from torchskip.deploy.find import affine
from torchskip.deploy.program import Program, aten, is_op, literal

__all__ = ["grow", "put", "room"]


def room(like: Tensor, channels: int) -> Tensor:
    """Return memory for a tensor like `like` with other channels, which come last in it."""
    shape = (like.shape[0], channels, *like.shape[2:])
    return torch.empty(
        shape, dtype=like.dtype, device=like.device, memory_format=torch.channels_last
    )


def put(into: Tensor, x: Tensor, start: int) -> Tensor:
    """Write `x` into the channels of `into` from `start` on; return `into`."""
    into.narrow(1, start, x.shape[1]).copy_(x)
    return into


@dataclass(slots=True, eq=False)
class _Chain:
    """Concatenations, each of which begins with the inputs of the one before."""

    inputs: tuple[fx.Node, ...]
    nodes: list[fx.Node]


def grow(program: Program) -> None:
    """Replace chains of three concatenations or more, where what reads them takes any strides."""
    for chain in _chains(program):
        if len(chain.nodes) < 3 or not all(map(_readers_take_strides, chain.nodes[:-1])):
            continue
        _replace(program, chain)
        program.done("chained", chain.nodes[-1], f"{len(chain.nodes)} concatenations in one buffer")
    program.tidy()


def _chains(program: Program) -> list[_Chain]:
    chains: list[_Chain] = []
    for node in program.graph.nodes:
        inputs = _inputs(node)
        if not inputs:
            continue
        for chain in chains:
            if inputs[0] is chain.nodes[-1]:
                inputs = (*chain.inputs, *inputs[1:])
            count = len(chain.inputs)
            if len(inputs) > count and inputs[:count] == chain.inputs:
                chain.inputs = inputs
                chain.nodes.append(node)
                break
        else:
            chains.append(_Chain(inputs, [node]))
    return chains


def _inputs(node: fx.Node) -> tuple[fx.Node, ...]:
    """Return the images that `node` concatenates by their channels, if it does."""
    if not is_op(node, aten.cat) or literal(node) or node.args[1:] != (1,) or node.kwargs:
        return ()
    given: Any = node.args[0]
    kind = node.meta["dtype"]
    plain = all(
        isinstance(x, fx.Node)
        and len(x.meta["shape"]) == 4
        and x.meta["dtype"] == kind
        and not literal(x)
        for x in given
    )
    return tuple(given) if plain else ()


def _readers_take_strides(node: fx.Node) -> bool:
    return all(
        user.target is affine
        or is_op(user, aten.maximum, aten.clamp, aten.native_batch_norm)
        or _inputs(user) != ()
        for user in node.users
    )


def _replace(program: Program, chain: _Chain) -> None:
    total = sum(x.meta["shape"][1] for x in chain.inputs)
    first, graph = chain.nodes[0], program.graph
    with graph.inserting_before(first):
        buffer = graph.call_function(room, (chain.inputs[0], total))
    shape = list(first.meta["shape"])
    whole = (shape[0], total, *shape[2:])
    facts = {**first.meta, "shape": whole, "memory": f"new {buffer.name}"}
    buffer.meta.update(facts)
    done, start = 0, 0
    for node in chain.nodes:
        stop = node.meta["shape"][1]
        with graph.inserting_before(node):
            while start < stop:
                x = chain.inputs[done]
                buffer = graph.call_function(put, (buffer, x, start))
                buffer.meta.update(facts)
                start, done = start + x.meta["shape"][1], done + 1
            part = buffer
            if stop < total:
                part = graph.call_function(aten.slice.Tensor, (buffer, 1, 0, stop))
                part.meta.update({**node.meta, "memory": facts["memory"]})
        node.replace_all_uses_with(part)
