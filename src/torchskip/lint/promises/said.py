"""What classes and flags say of a shortcut: ``class ResBlock``, ``use_residual=True``."""

from __future__ import annotations

from collections.abc import Iterator

from torchskip.lint.ops import ADDS, CONCATS, PRODUCTS, name
from torchskip.lint.promises.block import Block, Blocks

__all__ = ["ignored", "passed_over", "unlike_their_class"]


def unlike_their_class(blocks: Blocks) -> Iterator[Block]:
    """Classes called residual blocks that join nothing, and whose flags do not say so."""
    for block in blocks.values():
        if not block.says_residual or block.layers < 2 or block.refuses or not block.bare:
            continue
        nodes = block.region.nodes if block.region else ()
        if not any(name(n) in ADDS | CONCATS | PRODUCTS and len(set(n.inputs)) > 1 for n in nodes):
            yield block


def passed_over(blocks: Blocks) -> Iterator[tuple[Block, str, tuple[Block, ...]]]:
    """Flags that are set in a module and off in every block below, none of which has a skip.

    A module that adds its input in its own forward does what its flag says.
    """
    for block in blocks.values():
        if not block.wants or any(s.kind == "identity" for s in block.joins):
            continue
        off = tuple(b for b in block.inside() if b.module.calls and b.refuses)
        joined = any(b.skips for b in off)
        if off and not joined and not any(b.wants for b in block.inside()):
            yield from ((block, flag, off) for flag in block.wants)


def ignored(blocks: Blocks) -> Iterator[tuple[Block, str]]:
    """Flags that are set in a block without a skip, and unknown below it."""
    for block in blocks.values():
        known = any(b.wants or b.refuses for b in block.inside()) if block.wants else True
        if not known and block.module.calls and block.bare:
            yield block, block.wants[0]
