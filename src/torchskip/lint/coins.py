"""Coins that leave a block's branch out for the whole batch, which evaluation adds unscaled."""

from __future__ import annotations

from collections.abc import Iterator

from torchskip.graph import Source
from torchskip.lint.drops import chance, factor
from torchskip.lint.evidence import Evidence
from torchskip.lint.joins import Join, joins
from torchskip.lint.ops import ADDS, is_layer

__all__ = ["coins"]


def coins(evidence: Evidence) -> Iterator[tuple[str, Source, Join]]:
    """Each block that tosses one: its path, the line that leaves the branch out, and its sum.

    The forward itself says where; the graph, that evaluation adds all arms as they are.
    """
    tossing = {b.module: b for b in evidence.bodies if b.coins and _set(evidence, b.module)}
    run = evidence.eval
    for join in joins(run, ADDS) if tossing else ():
        body = tossing.get(join.node.module)
        if body is None or join.split not in join.values:
            continue
        arms = [v for v in join.values if v != join.split]
        if not all(any(map(is_layer, run.flow.nodes_between(join.split, v))) for v in arms):
            continue
        if all(factor(run.flow, value) == 1 for value in arms):
            yield body.module, Source(body.file, body.coins[0], f"{body.type}.forward"), join
            del tossing[body.module]


def _set(evidence: Evidence, path: str) -> bool:
    """Whether a chance may be above zero: one is held, or none can be seen."""
    module = evidence.modules.get(path)
    if module is None:
        return False
    numbers = [value for _, value in module.attributes if isinstance(value, float)]
    return not numbers or chance(module) is not None
