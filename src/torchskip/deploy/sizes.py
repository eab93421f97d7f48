"""Which numbers of a captured graph follow the input's size, found by running at other sizes.

A forward pass records `view(x, [2, 64])` where the code said `x.view(x.shape[0], -1)`. Where two
passes at different sizes do the same operators and differ in whole numbers only, every such
number is written again as an axis' size, or the product of neighbouring axes' sizes, times a
fraction, of a value that its operator reads, or of an input.
"""

from __future__ import annotations

import itertools
import math
import operator
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import torch
from torch import Tensor, fx

from torchskip.deploy.capture import Capture
from torchskip.errors import FuseError

__all__ = ["Differs", "extent", "generalise"]


def extent(x: Tensor, start: int, stop: int, over: int, under: int) -> int:
    """Return the product of axes `start` to `stop` of `x`, times ``over / under``.

    Raises `FuseError` when that is no whole number.
    """
    size, rest = divmod(math.prod(x.shape[start:stop]) * over, under)
    if rest:
        raise FuseError(
            f"axis {start} of {tuple(x.shape)} must be a multiple of {under}\n"
            "  mend: pad the input, or fuse again with an example of this size"
        )
    return size


class Differs(Exception):  # noqa: N818 - an answer, not a fault
    """Two captures are not one program at two sizes: where, and how they differ."""


@dataclass(frozen=True, slots=True)
class _Place:
    """A number inside a node's arguments: the keys that lead there."""

    node: fx.Node
    keys: tuple[Any, ...]


def generalise(captures: Sequence[Capture], *, dry: bool = False) -> int:
    """Rewrite the numbers of the first capture's graph that differ in the others.

    Returns how many; `dry` only counts. Raises `Differs` when they cannot be one program.
    """
    base, *others = captures
    found: list[tuple[_Place, tuple[int, ...]]] = []
    nodes = [list(c.graph.nodes) for c in captures]
    _same_length(captures, nodes)
    for versions in zip(*nodes, strict=True):
        found += _differences(versions)
    for c in others:
        _same_constants(base, c)
    twins = {v[0]: v for v in zip(*nodes, strict=True)}
    writes = [
        (place, _expression(place.node, values, twins, base.graph)) for place, values in found
    ]
    for place, (source, start, stop, ratio) in () if dry else writes:
        with base.graph.inserting_before(place.node):
            size = base.graph.call_function(
                extent, (source, start, stop, ratio.numerator, ratio.denominator)
            )
            size.meta["path"] = place.node.meta.get("path", "")
        place.node.args, place.node.kwargs = _put(
            (place.node.args, place.node.kwargs), place.keys, size
        )
    return len(writes)


def _same_length(captures: Sequence[Capture], nodes: list[list[fx.Node]]) -> None:
    for other in nodes[1:]:
        for a, b in zip(nodes[0], other, strict=False):
            if (a.op, a.target) != (b.op, b.target):
                raise Differs(f"{_name(a)} runs at one size and {_name(b)} at another")
        if len(other) != len(nodes[0]):
            raise Differs("it runs more operators at one size than at another")
    if len({len(c.results) for c in captures}) > 1:
        raise Differs("it returns a different number of results")


def _same_constants(base: Capture, other: Capture) -> None:
    for name, tensor in base.constants.items():
        twin = other.constants[name]
        same = tensor.dtype == twin.dtype and tensor.shape == twin.shape
        if not same or not (tensor.is_set_to(twin) or torch.equal(tensor, twin)):
            raise Differs("a tensor that its Python makes depends on the size")


def _differences(versions: tuple[fx.Node, ...]) -> Iterator[tuple[_Place, tuple[Any, ...]]]:
    first = versions[0]
    yield from (
        (_Place(first, keys), values)
        for keys, values in _walk(tuple((v.args, v.kwargs) for v in versions), (), first)
    )


def _walk(
    trees: tuple[Any, ...], keys: tuple[Any, ...], node: fx.Node
) -> Iterator[tuple[tuple[Any, ...], tuple[Any, ...]]]:
    first = trees[0]
    if isinstance(first, (tuple, list, dict)):
        if any(type(t) is not type(first) or len(t) != len(first) for t in trees):
            raise Differs(f"{_name(node)} takes other arguments at another size")
        for key in first if isinstance(first, dict) else range(len(first)):
            if isinstance(first, dict) and any(key not in t for t in trees):
                raise Differs(f"{_name(node)} takes other arguments at another size")
            yield from _walk(tuple([t[key] for t in trees]), (*keys, key), node)
    elif isinstance(first, fx.Node):
        for t in trees:
            if not isinstance(t, fx.Node) or t.name != first.name:
                raise Differs(f"{_name(node)} reads other values at another size")
    elif not _same(trees):
        if any(type(t) is not int for t in trees):
            raise Differs(f"{_name(node)} takes {first!r} at one size, {trees[-1]!r} at another")
        yield keys, trees


def _same(values: tuple[Any, ...]) -> bool:
    first, kind = values[0], type(values[0])
    for value in values:
        if value is not first and (type(value) is not kind or value != first):
            return False
    return True


def _expression(
    node: fx.Node,
    values: tuple[int, ...],
    twins: dict[fx.Node, tuple[fx.Node, ...]],
    graph: fx.Graph,
) -> tuple[fx.Node, int, int, Fraction]:
    """Find axes of a value at hand that give `values` in every capture."""
    inputs = [n for n in graph.nodes if n.op == "placeholder"]
    sources = [n for n in node.all_input_nodes if "shape" in n.meta] + inputs
    found = []
    for source in sources:
        shapes = [t.meta["shape"] for t in twins[source]]
        for start, stop in itertools.combinations(range(len(shapes[0]) + 1), 2):
            sizes = [math.prod(s[start:stop]) for s in shapes]
            if 0 in sizes or len(set(sizes)) == 1:
                continue
            ratios = {Fraction(v, n) for v, n in zip(values, sizes, strict=True)}
            if len(ratios) == 1:
                found.append((source, start, stop, ratios.pop()))
    if not found:
        raise Differs(f"{_name(node)} takes {' or '.join(map(str, values))}, by size")
    return min(found, key=lambda f: (f[3].denominator, f[3].numerator, f[2] - f[1]))


def _put(tree: Any, keys: tuple[Any, ...], value: Any) -> Any:
    if not keys:
        return value
    key, *rest = keys
    if isinstance(tree, dict):
        return {**tree, key: _put(tree[key], tuple(rest), value)}
    items = list(tree)
    items[key] = _put(items[key], tuple(rest), value)
    return tuple(items) if isinstance(tree, tuple) else items


def _name(node: fx.Node) -> str:
    path = node.meta.get("path", "")
    target = node.target if node.op == "call_function" else node.op
    if target is operator.getitem:
        target = "a part of a result"
    return f"{target} in {path!r}" if path else f"{target}"
