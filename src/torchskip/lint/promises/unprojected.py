"""Blocks that project their input where its width changes and drop it where the width stays."""

from __future__ import annotations

from collections.abc import Iterator

from torchskip.lint.promises.block import Block, Blocks

__all__ = ["unprojected"]


def unprojected(blocks: Blocks) -> Iterator[tuple[Block, Block]]:
    """Blocks without a skip whose class has one only where it changes the width, with such a block.

    ``if self.downsample is not None: y = y + self.downsample(x)`` forgets the identity.
    """
    projects: dict[str, Block] = {}
    keeps: dict[str, list[Block]] = {}
    for block in blocks.values():
        if block.module.leaf or not block.layers:
            continue
        if block.keeps_shape:
            keeps.setdefault(block.type, []).append(block)
        elif _projects(block):
            projects.setdefault(block.type, block)
    for kind, group in keeps.items():
        if kind in projects and not any(b.bridged or b.refuses for b in group):
            yield from ((block, projects[kind]) for block in group)


def _projects(block: Block) -> bool:
    entry = block.region.entry if block.region else None
    return any(
        s.kind == "projection" and s.merge == "add" and s.split == entry for s in block.joins
    )
