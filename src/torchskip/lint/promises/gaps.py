"""Parts that never run although their like does: in one list, in equal blocks, in their place."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from torchskip.graph import Source
from torchskip.lint.promises.block import Block, Blocks
from torchskip.lint.promises.twins import numbered, stand_ins

__all__ = ["Gap", "gaps"]


@dataclass(frozen=True, slots=True)
class Gap:
    """A part that never runs, and what tells.

    The rest of its list, a twin's part, a stand-in, or the norm of its name with another number.
    `rest` says how many layers of the list run, and how many there are; `cut` is the line that
    returns in the first round of the loop over them, where one does.
    """

    part: Block
    like: Block
    sign: Literal["list", "twin", "stand-in", "number"]
    rest: tuple[int, int] = (0, 0)
    cut: Source | None = None


def gaps(blocks: Blocks) -> Iterator[Gap]:
    """Every such part, topmost."""
    instead = stand_ins(blocks)
    for block in blocks.values():
        idle = [p for p in block.parts if p.holds and not p.runs] if block.runs else []
        for part in idle:
            if not block.path and part.path not in instead:
                continue  # heads of a model that this pass leaves out
            if block.type == "ModuleList":
                whole, last = len(block.parts), list(block.parts[-len(idle) :]) == idle
                cut = _cut(blocks[block.above]) if last and len(idle) < whole else None
                few = len(idle) * 2 <= whole and (last or list(block.parts[: len(idle)]) == idle)
                if few or cut:
                    yield Gap(part, block, "list", (whole - len(idle), whole), cut)
            elif block.type != "Sequential" and block.called:
                twins = [t for t in _alike(blocks, block) if f"{t.path}.{part.word}" in blocks]
                twins = [t for t in twins if blocks[f"{t.path}.{part.word}"].runs]
                if twins:
                    yield Gap(part, min(twins, key=lambda t: t.path), "twin")
                elif part.path in instead:
                    yield Gap(part, instead[part.path], "stand-in")
                elif other := numbered(block, part):
                    yield Gap(part, other, "number")


def _alike(blocks: Blocks, block: Block) -> list[Block]:
    """Other blocks of the same class that run."""
    return [b for b in blocks.values() if b.type == block.type and b.runs and b is not block]


def _cut(block: Block) -> Source | None:
    """The line of a forward that returns in the first round of a loop."""
    body = block.body
    return Source(body.file, body.cut, f"{body.type}.forward") if body and body.cut else None
