"""Blocks whose layers are called one by one from outside, and whose own forward is not.

A pruner or a feature extractor that goes through ``block.conv1``, ``block.bn1`` ... leaves out
what only the block's forward does: the sum.
"""

from __future__ import annotations

from collections.abc import Iterator

from torchskip.lint.evidence import Evidence, Pass
from torchskip.lint.idle import called_modules, running, weights_of
from torchskip.lint.ops import is_layer
from torchskip.lint.regions import Region, bridged, keeps_shape, region_of
from torchskip.lint.vocabulary import bypass

__all__ = ["by_hand", "left_out", "unadded"]


def by_hand(evidence: Evidence) -> Iterator[Region]:
    """Blocks with a forward of their own that nobody calls, of which several layers run."""
    called, forwards = called_modules(evidence), {b.module for b in evidence.bodies}
    run = evidence.eval
    for path, module in evidence.modules.items():
        if not path or path in called or module.leaf or path not in forwards:
            continue
        region = region_of(run, path)
        if region is not None and region.layers > 1:
            yield region


def left_out(evidence: Evidence, block: Region) -> list[str]:
    """Layers named for a shortcut that bridge those that run, and do not run themselves."""
    runs = running(evidence)
    paths = [p for p in evidence.modules if p.rpartition(".")[0] == block.path]
    weights = [w for p in paths if p in runs for w in weights_of(evidence, p)]
    return [
        p
        for p in paths
        if p not in runs
        and bypass(p.rpartition(".")[2])
        and (own := weights_of(evidence, p))
        and weights
        and own[0][1] == weights[0][1]
        and own[-1][0] == weights[-1][0]
    ]


def unadded(evidence: Evidence) -> Iterator[Region]:
    """Blocks whose forward adds and keeps the shape, run by hand without any sum."""
    adding, run = {b.module for b in evidence.bodies if b.adds}, evidence.eval
    for block in by_hand(evidence):
        whole = keeps_shape(block, run) and not left_out(evidence, block)
        if block.path in adding and whole and not _summed(run, block):
            yield block


def _summed(run: Pass, block: Region) -> bool:
    """Whether a sum goes around the block, or around some of its layers and no others."""
    own = {n.index for n in block.nodes}
    for skip in run.skips:
        for arm in skip.arms if skip.live and skip.merge == "add" else ():
            layers = {n for n in arm.nodes if is_layer(run.graph.nodes[n])}
            if layers and layers <= own:
                return True
    return bridged(block, run)
