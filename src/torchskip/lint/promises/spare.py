"""Parts built for a block's shortcut that never run: by their names and their channels."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from torchskip.lint.ops import ADDS, name
from torchskip.lint.promises.block import Block, Blocks
from torchskip.lint.regions import region_of
from torchskip.lint.vocabulary import may_project

__all__ = ["Spare", "pointwise", "spares"]


@dataclass(frozen=True, slots=True)
class Spare:
    """Parts of a block that never run and could be its shortcut.

    `fuse` says that they were built for the concatenation of the arms that the block adds.
    """

    block: Block
    parts: tuple[Block, ...]
    fuse: bool


def spares(blocks: Blocks, besides: Collection[str]) -> Iterator[Spare]:
    """Every block that runs without parts that fit around it; parts `besides` are left out."""
    for block in blocks.values():
        parts = [p for p in block.idle if p.path not in besides]
        fuse = [p for p in parts if _could_fuse(block, p)]
        fits = [p for p in parts if p in fuse or _could_bridge(block, p)]
        if fits:
            # Normalisations that would follow the projection belong to it.
            group = tuple(p for p in parts if p in fits or _is_norm(p))
            yield Spare(block, group, fits == fuse)


def pointwise(weight: tuple[int, ...]) -> bool:
    """Whether a convolution's weight is of size 1 along every axis."""
    return len(weight) > 2 and all(size == 1 for size in weight[2:])


def _could_bridge(block: Block, part: Block) -> bool:
    """Whether the part maps the block's input channels to its output channels."""
    if not part.weights or not (may_project(part.word) or pointwise(part.weights[0])):
        return False
    region = region_of(block.run, block.path)  # the block may be called more than once
    if region is None:
        return False
    entry, end = (block.run.flow.value(v).shape for v in (region.entry, region.exit))
    first, last = part.weights[0], part.weights[-1]
    if len(entry) < 2 or len(end) < 2:
        return False
    axis = 1 if len(first) > 2 else -1  # a linear layer maps the last axis
    grouped = len(first) > 2 and first[1] == 1
    return (first[1] == entry[axis] or grouped) and last[0] == end[axis]


def _could_fuse(block: Block, part: Block) -> bool:
    """Whether the part takes the channels of both arms of a sum in the block to the sum's."""
    if not part.weights or not pointwise(part.weights[0]):
        return False
    flow = block.run.flow
    return any(
        part.weights[0][1] == sum(flow.value(v).shape[1] for v in node.inputs)
        and part.weights[-1][0] == flow.value(node.outputs[0]).shape[1]
        for node in flow.graph.nodes
        if node.module == block.path
        and name(node) in ADDS
        and len(node.inputs) == 2
        and node.outputs
    )


def _is_norm(part: Block) -> bool:
    return all(len(p.shape) == 1 for p in part.parameters if not p.buffer)
