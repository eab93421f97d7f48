"""Coins that leave a block's branch out for the whole batch, which evaluation adds unscaled."""

from __future__ import annotations

from collections.abc import Iterator

from torchskip.graph import Source
from torchskip.lint.drops import chance, factor_of
from torchskip.lint.evidence import Evidence
from torchskip.lint.flow import Flow
from torchskip.lint.joins import Join, joins
from torchskip.lint.ops import ADDS, FORMS, PRODUCTS, is_layer, name

__all__ = ["coins"]


def coins(evidence: Evidence) -> Iterator[tuple[str, Source, Join]]:
    """Each block that tosses one: its path, the line that leaves the branch out, and its sum.

    The forward itself says where; the graphs, that evaluation and training add all arms as they
    are. Where the coin left the branch out of the traced training, a forward that scales something
    has the benefit of the doubt.
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
        places = [join.values.index(value) for value in arms]
        trained = [factor_of(evidence.train, join, place) for place in places]
        if body.scales and None in trained:
            continue
        if all(_as_it_is(run.flow, v) for v in arms) and set(trained) <= {1, None}:
            yield body.module, Source(body.file, body.coins[0], f"{body.type}.forward"), join
            del tossing[body.module]


def _as_it_is(flow: Flow, value: int) -> bool:
    """Whether an arm does not end with a product: not even with one by a chance of one."""
    maker = flow.producer(value)
    while maker is not None and name(maker) in FORMS and len(maker.inputs) == 1:
        maker = flow.producer(maker.inputs[0])
    return maker is None or name(maker) not in PRODUCTS


def _set(evidence: Evidence, path: str) -> bool:
    """Whether a chance may be above zero: one is held, or none can be seen."""
    module = evidence.modules.get(path)
    if module is None:
        return False
    numbers = [value for _, value in module.attributes if isinstance(value, float)]
    return not numbers or chance(module) is not None
