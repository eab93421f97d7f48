"""Joins inside joins: which of them are one.

A sum that only feeds another sum of the same forward is a part of it: ``(x + f(x)) + g(x)`` is
one skip with two branches, and ``((a(x) + b(x)) + c(x)) + d(x)`` four parallel ones. What
another module returns is that module's own, whatever is done with it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from torchskip.skips.classify import Found
from torchskip.skips.flow import Flow
from torchskip.skips.joins import Join, glue_back

__all__ = ["contained", "wholes"]


def wholes(flow: Flow, join: Join, found: Mapping[int, Found]) -> Iterator[Join]:
    """Yield the readings of a join, the widest first.

    A sum takes in the sums inside it: those that are skips of the same split, and those that
    are none. The second reading leaves the skips alone.
    """
    if join.family != "sum" or join.highway:
        yield join
        return
    plain = _spread(flow, join, found, {})
    wide = _spread(flow, join, found, found)
    if wide.arms != plain.arms:
        split = flow.split(wide.arms)
        if all(found[n].split == split for n in wide.inner if n in found):
            yield wide
    yield plain if flow.split(plain.arms) == flow.split(join.arms) else join


def _spread(flow: Flow, join: Join, found: Mapping[int, Found], skips: Mapping[int, Found]) -> Join:
    """Return a sum with the terms of the sums inside it: of no skips, and of those in `skips`."""
    todo, arms = list(join.arms), []
    inner: list[int] = []
    while todo:
        arm = todo.pop(0)
        maker = flow.producer[glue_back(flow, arm)]
        if maker is None or not _within(flow, join, maker):
            arms.append(arm)
        elif maker in skips and _joins_in(flow, join, skips[maker], arm):
            arms += skips[maker].arms
            inner += [maker, *skips[maker].join.inner]
        elif maker not in found and _adds(flow, maker):
            todo[:0] = flow.signals[maker]
            inner.append(maker)
        else:
            arms.append(arm)
    return replace(join, arms=tuple(dict.fromkeys(arms)), inner=tuple(inner))


def _adds(flow: Flow, maker: int) -> bool:
    """Whether a node adds signals: ``0 + x``, as Python's `sum` begins, has but one."""
    return flow.names[maker] == "add" and len(flow.signals[maker]) > 1


def _joins_in(flow: Flow, join: Join, before: Found, arm: int) -> bool:
    """Whether a skip is part of a sum: not in ``(x + f(x)) + x``, which adds its shortcut again."""
    if before.join.family != "sum" or before.join.highway:
        return False
    if before.join.merge == "sub":
        return True
    raw = all(not before.routes[i].nodes for i in before.shortcuts)
    others = [glue_back(flow, v) for v in join.arms if v != arm]
    return not (raw and glue_back(flow, before.split) in others)


def _within(flow: Flow, join: Join, maker: int) -> bool:
    """Whether what a node makes goes nowhere but into this join, in one call of one module."""
    inner, outer = flow.graph.nodes[maker], flow.graph.nodes[join.node]
    same = (inner.module, inner.call) == (outer.module, outer.call)
    return same and bool(inner.outputs) and _feeds(flow, join, inner.outputs[0])


def contained(flow: Flow, skip: Found, found: Mapping[int, Found]) -> list[int]:
    """Return the earlier joins that are one skip with this one."""
    inside = [node for node in skip.join.inner if node in found]
    if skip.join.highway:
        operands = [glue_back(flow, v) for v in flow.signals[skip.join.node]]
        inside += [
            n
            for n in flow.gates
            if n in found and any(v in operands for v in flow.graph.nodes[n].outputs)
        ]
    if skip.join.family == "gate":
        maker = flow.producer[skip.arms[0]]
        before = found.get(maker) if maker is not None else None
        same = before is not None and before.join.family == "gate" and before.split == skip.split
        if maker is not None and same and _feeds(flow, skip.join, skip.arms[0]):
            inside.append(maker)
    return inside


def _feeds(flow: Flow, join: Join, value: int) -> bool:
    """Whether `value` goes nowhere but, through glue, into the join."""
    while True:
        users = flow.consumers[value]
        if len(users) != 1 or value in flow.graph.outputs:
            return False
        if users[0] == join.node:
            return True
        node = flow.graph.nodes[users[0]]
        if not node.outputs or glue_back(flow, node.outputs[0]) == node.outputs[0]:
            return False
        value = node.outputs[0]
