"""Scales that were meant for the branch and stand on the shortcut, or on the whole sum."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from torchskip.graph import Arm, Node, SkipPath
from torchskip.lint.evidence import Evidence
from torchskip.lint.ops import ADDS, PRODUCTS, name
from torchskip.lint.scaled import factor

__all__ = ["Weakened", "weakened"]

# A residual scale is published from 0.1 to 0.3; a learnt one begins at zero, or at most at 0.01.
_FACTOR, _LEARNT = 0.3, 0.01


@dataclass(frozen=True, slots=True)
class Weakened:
    """A product after which `share` of the shortcut is left; `whole` says that it scales the sum.

    `scale` is the parameter's name, empty for a number.
    """

    node: Node
    skip: SkipPath
    share: float
    scale: str
    whole: bool


def weakened(evidence: Evidence) -> Iterator[Weakened]:
    """Small scales on the shortcuts of several sums, learnt ones on any, or on sums in a row."""
    flow = evidence.eval.flow
    if evidence.eval.graph.failure is not None:
        return
    skips = [s for s in evidence.eval.skips if _adds_two(s)]
    numbers = [found for skip in skips for found in _on_shortcut(evidence, skip)]
    several = sum(not found.scale for found in numbers) > 1
    yield from (found for found in numbers if found.scale or several)
    sums: dict[int, Weakened] = {}
    for skip in skips:
        join = evidence.eval.graph.nodes[skip.join]
        readers = [n for value in join.outputs for n in flow.reads(value)]  # a failed sum has none
        terms = [m for v in join.inputs if (m := flow.producer(v)) and name(m) in ADDS]
        if len(readers) == 1 and not terms:  # the mean of several is none
            found = _scale(evidence, readers[0])
            if found is not None:
                sums[readers[0].outputs[0]] = Weakened(readers[0], skip, *found, whole=True)
    splits = {found.skip.split for found in sums.values()}
    yield from (found for value, found in sums.items() if value in splits)


def _adds_two(skip: SkipPath) -> bool:
    return skip.kind == "identity" and skip.merge == "add" and skip.live and len(skip.arms) == 2


def _on_shortcut(evidence: Evidence, skip: SkipPath) -> Iterator[Weakened]:
    """The scale of a shortcut whose branch has none: a step between the two scales both."""
    graph = evidence.eval.graph
    arms: dict[str, Arm] = {arm.role: arm for arm in skip.arms}
    join = graph.nodes[skip.join]
    branch = [n for n in (graph.nodes[i] for i in arms["branch"].nodes) if name(n) in PRODUCTS]
    if any(len(node.inputs) == 1 for node in branch):
        return
    alpha = join.argument("alpha", 1)
    added = join.inputs[1:] == arms["shortcut"].values[-1:]
    if added and isinstance(alpha, float) and 0 < alpha <= _FACTOR:
        yield Weakened(join, skip, alpha, "", whole=False)
    for node in (graph.nodes[i] for i in arms["shortcut"].nodes):
        found = _scale(evidence, node)
        if found is not None:
            yield Weakened(node, skip, *found, whole=False)
            return


def _scale(evidence: Evidence, node: Node) -> tuple[float, str] | None:
    """The small number, or the largest of a parameter's, that a product multiplies with."""
    number = factor(node)
    if number is not None:
        return (number, "") if 0 < number <= _FACTOR else None
    if name(node) != "mul" or len(node.inputs) != 1 or len(node.constants) != 1:
        return None
    scale = node.constants[0].name
    largest = evidence.numbers.largest(scale) if scale in evidence.parameters else None
    return (largest, scale) if largest is not None and largest <= _LEARNT else None
