"""Values that a forward saves under a shortcut's name and does not add."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from torchskip.graph import Source
from torchskip.lint.promises.block import Block, Blocks
from torchskip.lint.vocabulary import collects, saved

__all__ = ["Saved", "forgotten"]

_LONG = frozenset({"long", "concat", "dense"})


@dataclass(frozen=True, slots=True)
class Saved:
    """A value that a block's forward saves, and what must be there for it to be read.

    `needs` is empty where nothing reads the value at all; `many` says that it is a list of them.
    """

    block: Block
    word: str
    source: Source
    needs: str = ""
    many: bool = False


def forgotten(blocks: Blocks) -> Iterator[Saved]:
    """Values that nothing reads, or that a part the block lacks would be needed for."""
    for block in blocks.values():
        body = block.body
        if body is None or not block.module.calls:
            continue
        places = body.file, f"{body.type}.forward"
        for word, line in body.unread:
            if saved(word):
                yield Saved(block, word, Source(places[0], line, places[1]))
        joins = any(s.kind in _LONG for s in block.skips)
        for word, line in () if joins else body.collected:
            if collects(word):
                yield Saved(block, word, Source(places[0], line, places[1]), many=True)
        optional = [value for value in body.optional if saved(value.word)]
        if not optional or not block.bare or block.region is None:
            continue
        ran = {n.source.line for n in block.region.nodes if n.source and n.source.file == body.file}
        for value in optional:
            if ran.isdisjoint(value.reads):
                yield Saved(
                    block, value.word, Source(places[0], value.line, places[1]), value.needs
                )
