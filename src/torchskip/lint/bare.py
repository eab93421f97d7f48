"""Blocks that project their input where its width changes and drop it where the width stays."""

from __future__ import annotations

from collections.abc import Iterator

from torchskip.graph import Module
from torchskip.lint.evidence import Evidence
from torchskip.lint.regions import Region, bridged, keeps_shape
from torchskip.lint.vocabulary import promises

__all__ = ["unprojected"]


def unprojected(evidence: Evidence) -> Iterator[tuple[Region, Region]]:
    """Blocks without a skip whose class has one only where it changes the width, with such a block.

    ``if self.downsample is not None: y = y + self.downsample(x)`` forgets the identity.
    """
    run = evidence.eval
    projects: dict[str, Region] = {}
    keeps: dict[str, list[Region]] = {}
    for path, region in run.regions.items():
        module = evidence.modules.get(path)
        if module is None or module.leaf or not region.layers:
            continue
        if keeps_shape(region, run):
            keeps.setdefault(module.type, []).append(region)
        elif any(
            s.kind == "projection"
            and s.merge == "add"
            and s.live
            and s.split == region.entry
            and run.graph.nodes[s.join].module == path
            for s in run.skips
        ):
            projects.setdefault(module.type, region)
    for kind, blocks in keeps.items():
        other = projects.get(kind)
        if other is None or any(bridged(b, run) or _refuses(evidence, b) for b in blocks):
            continue
        yield from ((block, other) for block in blocks)


def _refuses(evidence: Evidence, region: Region) -> bool:
    """Whether the block's configuration says that it has no skip."""
    module: Module = evidence.modules[region.path]
    return any(value is False and promises(flag) for flag, value in module.attributes)
