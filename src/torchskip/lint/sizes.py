"""Shapes of a pass at another input size, as far as its operations alone decide them.

A size that a forward computes in Python (of a crop, a padding, a resize to another map, a view) is
a number like any other in the graph: what depends on it at another input size is unknown.
"""

from __future__ import annotations

from collections.abc import Sequence

from torchskip.graph import Graph, Node
from torchskip.lint.evidence import Pass
from torchskip.lint.joins import joins
from torchskip.lint.ops import CONCATS, FORMS, SWAPS, name
from torchskip.lint.solve import layer_of
from torchskip.skips.ops import role, words

__all__ = ["all_meet", "order", "shapes_at"]

Shape = tuple[int, ...]
_VIEWS = frozenset({"view", "_unsafe_view", "reshape", "_reshape_alias"})
_KEPT = frozenset({"alias", "clone", "contiguous", "detach", "_to_copy", "to", "lift_fresh"})
# Beside resizes and adaptive poolings: what takes sizes or places as numbers.
_NUMBERED = (FORMS - _KEPT) | words(
    """
    slice narrow select split_with_sizes constant_pad_nd reflection_pad1d reflection_pad2d
    reflection_pad3d replication_pad1d replication_pad2d replication_pad3d repeat unfold im2col
    col2im index_select gather scatter
    """
)


def all_meet(run: Pass, inputs: Sequence[Shape]) -> bool:
    """Whether the arms of every join surely meet for inputs of these shapes."""
    known = shapes_at(run.graph, inputs)
    return all(v in known for join in joins(run) for v in (*join.values, *join.node.outputs))


def shapes_at(graph: Graph, inputs: Sequence[Shape]) -> dict[int, Shape]:
    """The shape of every value that is known for first inputs of these shapes."""
    values = graph.values
    known = {v: values[v].shape for v in graph.inputs}
    known.update(zip(graph.inputs, inputs, strict=False))

    def moved(value: int) -> bool:
        return value not in known or known[value][1:] != values[value].shape[1:]

    # As long as nothing but batches has another size, no number taken from a size has.
    whole, still = not any(map(moved, graph.inputs)), True
    for node in graph.nodes:
        if all(v in known for v in node.inputs):
            fixed = not _numbered(node) or (still and (whole or not _resizes(node)))
            same = all(known[v] == values[v].shape for v in node.inputs)
            for value in node.outputs:
                after = values[value].shape
                shape = after if fixed and same else _shape(graph, node, known, after, fixed)
                if shape is not None:
                    known[value] = shape
        still = still and not any(map(moved, node.outputs))
    return known


def _numbered(node: Node) -> bool:
    """Whether numbers from Python, or the size of a tensor made in forward, settle the result's."""
    kind = name(node)
    return _made(node) or kind in _NUMBERED or "adaptive" in kind or _resizes(node)


def _made(node: Node) -> bool:
    """Whether a tensor made in forward takes part, other than as an index."""
    return any(not c.names and len(c.shape) > 1 and c.dtype != "int64" for c in node.constants)


def _resizes(node: Node) -> bool:
    """Whether the result may have the size of the input itself; an index is a nearest resize."""
    return role(node) == "resize" or name(node) in {"index", "_unsafe_index"}


def _shape(
    graph: Graph, node: Node, known: dict[int, Shape], after: Shape, fixed: bool
) -> Shape | None:
    """The shape of a result of `after` in the pass; None when the inputs' do not settle it.

    `fixed` says that the numbers of the operation are those of the pass.
    """
    kind = name(node)
    old = [graph.values[v].shape for v in node.inputs]
    new = [known[v] for v in node.inputs]
    if role(node) == "pool" or "conv" in kind:
        return _windows(node, old[0], new[0], after, fixed)
    if kind in SWAPS:
        return tuple(new[0][axis] for axis in order(node, len(after)))
    if kind in CONCATS and kind != "stack":
        return _joined(node, new)
    if kind in _VIEWS:
        return _viewed(old[0], new[0], after)
    if kind in {"slice", "narrow", "split_with_sizes"}:
        axis = node.argument("dim", 0)
        whole = isinstance(axis, int) and old[0][axis] == new[0][axis]
        return _pointwise(node, old, new, after) if whole else None
    if not fixed or _made(node) or kind == "squeeze":  # which drops any axis of size 1
        return None
    return _pointwise(node, old, new, after)


def _windows(node: Node, old: Shape, new: Shape, after: Shape, fixed: bool) -> Shape | None:
    """A convolution or pooling, by its formula, or a pooling to cells of a number."""
    if role(node) == "pool" and "adaptive" in name(node):
        ones = all(size == 1 for size in after[2:])
        return (*new[:2], *after[2:]) if fixed or ones else None
    layer = layer_of(node, len(after) - 2)
    if layer is None or len(old) != len(after) or len(layer.kernel) != len(after) - 2:
        return None
    if tuple(layer.size(n, axis) for axis, n in enumerate(old[2:])) != after[2:]:
        return None
    return (new[0], after[1], *(layer.size(n, axis) for axis, n in enumerate(new[2:])))


def order(node: Node, rank: int) -> list[int]:
    """Which axis of what a permutation takes becomes each axis of its result."""
    axes = list(range(rank))
    if name(node) == "permute":
        dims = node.argument("dims")
        return [int(d) % rank for d in dims] if isinstance(dims, tuple) else axes
    one, two = node.argument("dim0"), node.argument("dim1")
    if name(node) == "t":
        one, two = 0, rank - 1
    if isinstance(one, int) and isinstance(two, int):
        axes[one], axes[two] = axes[two], axes[one]
    return axes


def _joined(node: Node, new: list[Shape]) -> Shape | None:
    axis = node.argument("dim", 0)
    if not isinstance(axis, int) or len({len(shape) for shape in new}) > 1 or node.constants:
        return None
    axis %= len(new[0])
    rest = {shape[:axis] + shape[axis + 1 :] for shape in new}
    if len(rest) > 1:
        return None
    return (*new[0][:axis], sum(shape[axis] for shape in new), *new[0][axis + 1 :])


def _viewed(old: Shape, new: Shape, after: Shape) -> Shape | None:
    """A view that regroups axes of one size between axes that it keeps."""
    most = min(len(old), len(after))
    left = next((i for i in range(most) if old[i] != after[i]), most)
    right = next((i for i in range(most - left) if old[-1 - i] != after[-1 - i]), most - left)
    if old[left : len(old) - right] != new[left : len(new) - right]:
        return None
    return (*new[:left], *after[left : len(after) - right], *new[len(new) - right :])


def _pointwise(node: Node, old: list[Shape], new: list[Shape], after: Shape) -> Shape | None:
    """An operation whose result follows its operands on every axis that has another size."""
    if len(after) != max(map(len, old)):
        return None
    result: list[int] = []
    for axis, size in enumerate(reversed(after)):
        pairs = [
            (o[-1 - axis], n[-1 - axis]) for o, n in zip(old, new, strict=True) if axis < len(o)
        ]
        sizes = {n for o, n in pairs if o == size}
        if not sizes and (all(o == n for o, n in pairs) or (size == 1 and role(node) == "reduce")):
            sizes = {size}
        if len(sizes) != 1:
            return None
        result.append(sizes.pop())
    return tuple(reversed(result))
