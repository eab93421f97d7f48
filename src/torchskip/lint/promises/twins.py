"""Modules that never run while a twin beside them runs, once or in their place too."""

from __future__ import annotations

import re

from torchskip.lint.promises.block import Block, Blocks

__all__ = ["numbered", "stand_ins"]

_NUMBER = re.compile(r"_?\d+$")


def stand_ins(blocks: Blocks) -> dict[str, Block]:
    """For the path of each module that never runs, the twin that runs in its place too.

    A twin is a module of the same parent, of the same kind and size, called more often than the
    parent is. A module of another kind, which keeps the same width, is one where it is called
    just twice: a block's second half that calls its first half's layer. Of several, it is the one
    with the most words of the name: of two streams, the other norm of the same stream.
    """
    found: dict[str, Block] = {}
    for block in blocks.values():
        for part in block.parts if block.called else ():
            if part.called or not part.sizes or len(part.unread) < len(part.sizes):
                continue
            alike: list[Block] = []
            for other in block.parts:
                calls = other.module.calls, block.module.calls
                if calls[0] <= calls[1]:
                    continue
                same = part.sizes == other.sizes and part.type == other.type
                twice = calls[0] == 2 * calls[1]
                if same or (twice and _width(part) and _width(part) == _width(other)):
                    alike.append(other)
            if alike:
                shared = [len(_words(other) & _words(part)) for other in alike]
                found[part.path] = alike[shared.index(max(shared))]
    return found


def numbered(block: Block, part: Block) -> Block | None:
    """The norm beside a norm, of its size and of its name but for the number, that runs."""
    stem = _NUMBER.sub("", part.word)
    if stem == part.word or not part.sizes or any(len(size) > 1 for _, size in part.sizes):
        return None
    for other in block.parts:
        alike = other.runs and (other.type, other.sizes) == (part.type, part.sizes)
        if alike and _NUMBER.sub("", other.word) == stem:
            return other
    return None


def _words(block: Block) -> set[str]:
    """The words of a module's own name: of `text_attn_norm` three."""
    return set(block.word.lower().split("_"))


def _width(block: Block) -> int | None:
    """Channels that a module takes and gives; None where it changes them or mixes none."""
    mixing = [shape for _, shape in block.sizes if len(shape) > 1]
    kept = bool(mixing) and mixing[0][1] == mixing[-1][0]
    return mixing[-1][0] if kept else None
