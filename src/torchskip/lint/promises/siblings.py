"""Blocks without a shortcut among equal blocks of one parent, most of which have one."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from torchskip.lint.promises.block import Block, Blocks

__all__ = ["outdone"]


def outdone(blocks: Blocks) -> Iterator[tuple[Block, int, int]]:
    """Each such block, how many of its equals have a shortcut, and how many equals there are."""
    groups: dict[tuple[object, ...], list[Block]] = {}
    for block in blocks.values():
        region = block.region
        if region is not None and block.path and block.layers and region.entry != region.exit:
            groups.setdefault((block.above, block.sizes, _change(block)), []).append(block)
    for group in groups.values():
        within = [b for b in group if b.spanned or _holds(b)] if len(group) > 2 else []
        if 2 * len(within) <= len(group):
            continue
        without = [b for b in group if b not in within and not b.bridged]
        if without in (group[:1], group[-1:]) and not any(map(_adds, within)):
            # The caller adds: from its second layer on (GNMT), or has nothing to go on with behind
            # its last block.
            continue
        yield from ((block, len(within), len(group)) for block in without)


def _change(block: Block) -> tuple[Fraction, ...]:
    """By how much the block changes each axis: blocks of other strides are no siblings."""
    return tuple(Fraction(b, max(a, 1)) for a, b in zip(*block.ends, strict=False))


def _holds(block: Block) -> bool:
    """Whether a sum of the module itself bridges its layers behind a resize of its input."""
    return len(set(block.ends)) == 2 and any(s.merge == "add" for s in block.joins)


def _adds(block: Block) -> bool:
    """Whether the module holds a sum, so that its caller need not add."""
    return bool(block.skips)
