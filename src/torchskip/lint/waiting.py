"""Stochastic depths that were built for the branch of a block, and wait for a sum it lacks."""

from __future__ import annotations

from collections.abc import Iterator

from torchskip.graph import Module
from torchskip.lint.drops import DROP_PATH, chance
from torchskip.lint.evidence import Evidence
from torchskip.lint.idle import called_modules
from torchskip.lint.regions import Region, keeps_shape, spanned

__all__ = ["waiting"]


def waiting(evidence: Evidence, known: dict[str, Region]) -> Iterator[tuple[Region, Module]]:
    """Blocks of one shape without a sum, and the stochastic depth of theirs that never runs.

    A block that changes the shape has none either, and no sum for one: MobileNetV2.
    """
    run, runs = evidence.eval, called_modules(evidence)
    sums = {run.graph.nodes[s.join].module for s in run.skips if s.live and s.merge == "add"}
    for path, module in evidence.modules.items():
        region = known.get(path.rpartition(".")[0])
        if region is None or path in runs or not module.leaf or region.path in sums:
            continue
        if not DROP_PATH.search(module.type) or not chance(module) or not region.layers:
            continue
        if keeps_shape(region, run) and not spanned(region, run):
            yield region, module
