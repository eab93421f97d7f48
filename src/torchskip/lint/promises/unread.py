"""Parameters that a block keeps itself, for its shortcut or its branch, and never reads."""

from __future__ import annotations

import re
from collections.abc import Iterator

from torchskip.graph import Parameter
from torchskip.lint.ops import ADDS, name
from torchskip.lint.promises.block import Block, Blocks
from torchskip.lint.vocabulary import bypass

__all__ = ["unread_scales", "unread_weights"]

_SCALE = re.compile(r"((layer|res|skip|branch)_?)?(scale|gamma|alpha|gain)(_?\d)?", re.I)


def unread_scales(blocks: Blocks) -> Iterator[tuple[Block, Parameter]]:
    """Blocks that add, with each scale of a branch that they add without."""
    for block in blocks.values():
        scales = [p for p in block.own if p.name in block.unread and _SCALE.fullmatch(_word(p))]
        nodes = block.run.graph.nodes if scales and block.called else ()
        if any(n.module == block.path and name(n) in ADDS for n in nodes):
            yield from ((block, scale) for scale in scales)


def unread_weights(blocks: Blocks) -> Iterator[tuple[Block, list[str]]]:
    """Blocks that keep weights of a shortcut and read none of them, with the weights' names."""
    for block in blocks.values():
        named = [p for p in block.own if bypass(_word(p)) and not _SCALE.fullmatch(_word(p))]
        if named and block.called and block.unread.issuperset(p.name for p in named):
            yield block, [_word(p) for p in named]


def _word(parameter: Parameter) -> str:
    return parameter.name.rpartition(".")[2]
