"""Blocks whose layers are called one by one from outside, and whose own forward is not.

A pruner or a feature extractor that goes through ``block.conv1``, ``block.bn1`` ... leaves out
what only the block's forward does: the sum.
"""

from __future__ import annotations

from collections.abc import Iterator

from torchskip.lint.ops import is_layer
from torchskip.lint.promises.block import Block, Blocks
from torchskip.lint.regions import Region, bridged, keeps_shape
from torchskip.lint.vocabulary import bypass

__all__ = ["by_hand", "left_out", "unadded"]


def by_hand(blocks: Blocks) -> Iterator[tuple[Block, Region]]:
    """Blocks with a forward of their own that nobody calls, and their layers that run."""
    for block in blocks.values():
        region = block.by_hand
        if region is not None and (region.layers > 1 or _goes_on(block, region)):
            yield block, region


def _goes_on(block: Block, region: Region) -> bool:
    """Whether a layer of others reads what the block's first layer made: its rest is left out."""
    flow = block.run.flow
    behind = flow.downstream(region.exit) if region.layers else frozenset()
    return any(is_layer(n) and not behind.isdisjoint(n.inputs) for n in flow.graph.nodes)


def left_out(block: Block) -> list[Block]:
    """Layers named for a shortcut that bridge those that run, and do not run themselves."""
    weights = [w for part in block.parts if part.runs for w in part.weights]
    return [
        part
        for part in block.parts
        if not part.runs
        and bypass(part.word)
        and part.weights
        and weights
        and part.weights[0][1] == weights[0][1]
        and part.weights[-1][0] == weights[-1][0]
    ]


def unadded(blocks: Blocks) -> Iterator[tuple[Block, Region]]:
    """Blocks whose forward adds and keeps the shape, run by hand without any sum."""
    for block, region in by_hand(blocks):
        adds = block.body is not None and block.body.adds
        whole = keeps_shape(region, block.run) and not left_out(block)
        if adds and whole and not _summed(block, region):
            yield block, region


def _summed(block: Block, region: Region) -> bool:
    """Whether a sum goes around the layers, or around some of them and no others."""
    own = {n.index for n in region.nodes}
    for skip in block.run.skips:
        for arm in skip.arms if skip.live and skip.merge == "add" else ():
            layers = {n for n in arm.nodes if is_layer(block.run.graph.nodes[n])}
            if layers and layers <= own:
                return True
    return bridged(region, block.run)
