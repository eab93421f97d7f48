"""Stochastic depths that were built for the branch of a block, and wait for a sum it lacks."""

from __future__ import annotations

from collections.abc import Iterator

from torchskip.lint.drops import DROP_PATH, chance
from torchskip.lint.promises.block import Block, Blocks

__all__ = ["waiting"]


def waiting(blocks: Blocks) -> Iterator[tuple[Block, Block]]:
    """Blocks of one shape without a sum, and the stochastic depth of theirs that never runs.

    A block that changes the shape has none either, and no sum for one: MobileNetV2.
    """
    for block in blocks.values():
        if not block.layers or any(s.merge == "add" for s in block.joins):
            continue
        for drop in block.parts:
            if drop.called or not drop.module.leaf or not DROP_PATH.search(drop.type):
                continue
            if chance(drop.module) and block.keeps_shape and not block.spanned:
                yield block, drop
