"""Residual blocks taken apart: their layers stand in a list of their own and run in a row."""

from __future__ import annotations

from collections.abc import Iterator

from torchskip.graph import Source
from torchskip.lint.facts import Opened
from torchskip.lint.promises.block import Block, Blocks
from torchskip.lint.regions import bridged, keeps_shape, region_of

__all__ = ["dismantled", "like_a_whole"]


def dismantled(blocks: Blocks, opened: tuple[Opened, ...]) -> Iterator[tuple[Block, str, Source]]:
    """Attributes with the children of a block whose forward adds, around which nothing leads."""
    for found in opened:
        block = blocks.get(found.path)
        region = region_of(block.run, block.path) if block and block.runs else None
        if block is None or region is None or not region.layers:
            continue
        if keeps_shape(region, block.run) and not bridged(region, block.run):
            yield block, found.kind, Source(found.file, found.line, "__init__")


def like_a_whole(blocks: Blocks) -> Iterator[tuple[Block, Block]]:
    """Lists of the very layers of which a block of the model makes a residual one."""
    whole: dict[tuple[object, ...], Block] = {}
    for block in blocks.values():
        adds = block.body is not None and block.body.adds and len(block.weights) > 1
        if adds and any(s.merge == "add" and s.kind == "identity" for s in block.joins):
            whole.setdefault(_layout(block), block)
    for block in blocks.values() if whole else ():
        other = whole.get(_layout(block)) if block.type == "Sequential" and block.bare else None
        if other is not None:
            yield block, other


def _layout(block: Block) -> tuple[object, ...]:
    """Kinds and sizes of its parts in order, but for what follows the last one that has weights."""
    parts = list(block.parts)
    while parts and not parts[-1].parameters:
        parts.pop()
    return tuple((part.type, part.sizes) for part in parts)
