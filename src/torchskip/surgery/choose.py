"""Which of a model's skips are meant."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from fnmatch import fnmatchcase
from typing import get_args

from torchskip.errors import ArgumentError
from torchskip.graph import Arm, Graph, Kind, SkipPath
from torchskip.nn import Skip
from torchskip.skips import find_skips
from torchskip.skips.ops import base_name
from torchskip.surgery.added import AddedSkip

__all__ = ["SUMS", "Which", "choose", "skips_of"]

Which = str | int | SkipPath | Callable[[SkipPath], bool] | Iterable["str | int | SkipPath"]
SUMS: tuple[Kind, ...] = ("identity", "projection")
"""The sums of He et al. 2015."""
_KINDS: tuple[str, ...] = get_args(Kind)


def skips_of(graph: Graph) -> tuple[SkipPath, ...]:
    """Return the skips that the finder sees, then those made with this package that it does not.

    It takes some for parallel branches: a 1x1 convolution beside a single 3x3.
    """
    found = find_skips(graph)
    joins = {skip.join for skip in found}
    return found + tuple(
        SkipPath(
            "projection",
            "add",
            split=0,
            join=node.index,
            arms=(Arm("branch", node.inputs[1:], (), 1), Arm("shortcut", node.inputs[:1], (), 1)),
        )
        for node in graph.nodes
        if node.module_type in (AddedSkip.__name__, Skip.__name__)
        and base_name(node.op) == "add"
        and node.index not in joins
        and len(set(node.inputs)) == 2
    )


def choose(graph: Graph, skips: tuple[SkipPath, ...], which: Which) -> tuple[SkipPath, ...]:
    """Return the skips that `which` means: kinds, numbers, paths of modules, or a predicate.

    Raises:
        ArgumentError: it means none, or a part of it means none.

    """
    if callable(which):
        chosen = {skip for skip in skips if which(skip)}
        asked = "the predicate"
    else:
        single = isinstance(which, str | int | SkipPath)
        parts = [which] if isinstance(which, str | int | SkipPath) else list(which)
        chosen, asked = set(), ", ".join(repr(p) for p in parts)
        for part in parts:
            found = _named(graph, skips, part)
            if not found and (single or part not in _KINDS):
                raise _none(graph, skips, repr(part))
            chosen.update(found)
    if not chosen:
        raise _none(graph, skips, asked)
    return tuple(skip for skip in skips if skip in chosen)


def _named(graph: Graph, skips: tuple[SkipPath, ...], part: str | int | SkipPath) -> list[SkipPath]:
    if isinstance(part, SkipPath):
        return [skip for skip in skips if skip == part]
    if isinstance(part, int):
        return [skips[part]] if -len(skips) <= part < len(skips) else []
    if part in _KINDS:
        return [skip for skip in skips if skip.kind == part]
    return [skip for skip in skips if fnmatchcase(graph.nodes[skip.join].module, part)]


def _none(graph: Graph, skips: tuple[SkipPath, ...], asked: str) -> ArgumentError:
    counts = Counter(skip.kind for skip in skips)
    has = ", ".join(f"{n} {kind}" for kind, n in counts.most_common()) or "none"
    mend = (
        f"which={next(iter(counts))!r}, or a number from 0 to {len(skips) - 1}, or the path of a "
        f"join's module such as {graph.nodes[skips[0].join].module!r}"
        if skips
        else "torchskip.surgery.with_skips adds some"
    )
    return ArgumentError(
        f"which={asked} is none of the skips of {graph.model}\n  it has   {has}\n  mend: {mend}"
    )
