"""Modules that never run while a twin beside them runs twice."""

from __future__ import annotations

from torchskip.lint.promises.block import Block, Blocks

__all__ = ["stand_ins"]


def stand_ins(blocks: Blocks) -> dict[str, Block]:
    """For the path of each module that never runs, the twin that runs in its place too.

    A twin is a module of the same parent, of the same kind and size, called more often than the
    parent is. A module of another kind, which keeps the same width, is one where it is called
    just twice: a block's second half that calls its first half's layer.
    """
    found: dict[str, Block] = {}
    for block in blocks.values():
        for part in block.parts if block.called else ():
            if part.called or not part.sizes or len(part.unread) < len(part.sizes):
                continue
            for other in block.parts:
                calls = other.module.calls, block.module.calls
                if calls[0] <= calls[1]:
                    continue
                same = part.sizes == other.sizes and part.type == other.type
                twice = calls[0] == 2 * calls[1]
                if same or (twice and _width(part) and _width(part) == _width(other)):
                    found[part.path] = other
                    break
    return found


def _width(block: Block) -> int | None:
    """Channels that a module takes and gives; None where it changes them or mixes none."""
    mixing = [shape for _, shape in block.sizes if len(shape) > 1]
    kept = bool(mixing) and mixing[0][1] == mixing[-1][0]
    return mixing[-1][0] if kept else None
