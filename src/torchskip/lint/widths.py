"""What a layer that fails for the width of its input was meant to read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from torchskip.graph import Module, Node
from torchskip.lint.evidence import Pass
from torchskip.lint.finding import Mend
from torchskip.lint.growth import growth
from torchskip.lint.ops import name
from torchskip.lint.words import called, shape

__all__ = ["widths"]

_LISTS = frozenset({"ModuleList", "Sequential"})


def widths(run: Pass, node: Node, modules: Mapping[str, Module]) -> Iterator[Mend]:
    """What was left out before the layer or out of its input, and the width to build it with."""
    if not node.inputs or not node.module:
        return
    given = run.flow.value(node.inputs[0]).shape
    taken, axis, word = _takes(node, given)
    if not taken or taken == given[axis]:
        return
    width = given[axis]
    dense = growth(run, node, modules, taken, axis)
    if dense:
        yield Mend(
            f"concatenate, as a dense block does: `x = torch.cat([x, layer(x)], {axis})`; "
            f"{dense.layer!r} takes what {dense.before!r} reads and gives, "
            f"{dense.read} + {dense.made}"
        )
    elif weight := _weight(node):
        yield from _layer_before(run, node, modules, width, taken)
        yield from _mirrored(run, node, modules, given, weight)
        yield from _feature(run, node, given, taken)
    yield Mend(f"build {node.module!r} with {word}={width}, not {taken}")


def _takes(node: Node, given: tuple[int, ...]) -> tuple[int, int, str]:
    """The width that a layer is built for, the axis, and its name; 0 if unknown."""
    weight = _weight(node)
    if not weight:
        kept = next((c.shape for c in node.constants if c.names), ())
        normal = "batch_norm" in node.op and kept and len(given) > 1
        return (kept[0], 1, "num_features") if normal else (0, 0, "")
    if name(node) in {"convolution", "_convolution"} and len(given) == len(weight):
        groups = node.argument("groups", 1)
        many = groups if isinstance(groups, int) else 1
        taken = weight[0] if node.argument("transposed") is True else weight[1] * many
        return taken, 1, "in_channels"
    if name(node) in {"addmm", "mm", "linear"}:  # the first two get it transposed
        return (weight[-1] if name(node) == "linear" else weight[0]), -1, "in_features"
    return 0, 0, ""


def _weight(node: Node) -> tuple[int, ...]:
    """The shape of a layer's weight; empty for a norm's, which is one number per channel."""
    return next((c.shape for c in node.constants if c.names and len(c.shape) > 1), ())


def _layer_before(
    run: Pass, node: Node, modules: Mapping[str, Module], width: int, taken: int
) -> Iterator[Mend]:
    """A layer of the same list that stands before it, makes the width, and did not run."""
    parent = node.module.rpartition(".")[0]
    weights: dict[str, list[tuple[int, ...]]] = {}
    for parameter in run.graph.parameters:
        path = parameter.name.rpartition(".")[0]
        if len(parameter.shape) > 1 and not parameter.buffer and not parameter.readers:
            weights.setdefault(path, []).append(parameter.shape)
    for path in modules:
        if path == node.module:
            return
        made = weights.get(path, []) if path.rpartition(".")[0] == parent else []
        if made and (made[0][1], made[-1][0]) == (width, taken):
            yield Mend(f"call {path!r} first: it takes {width} to {taken} and has not run")
            return


def _mirrored(
    run: Pass,
    node: Node,
    modules: Mapping[str, Module],
    given: tuple[int, ...],
    weight: tuple[int, ...],
) -> Iterator[Mend]:
    """A list of layers, one for each level, that was built from the other end."""
    path = node.module.rpartition(".")[0]
    while path and (modules[path].calls or modules[path].type not in _LISTS):
        path = path.rpartition(".")[0]
    if not path:
        return
    number, _, inside = node.module.removeprefix(path + ".").partition(".")
    members = [m for m in modules if m.rpartition(".")[0] == path]
    place = members.index(f"{path}.{number}")
    other = members[-1 - place]
    like = f"{other}.{inside}.weight".replace("..", ".")
    shapes = {p.name: p.shape for p in run.graph.parameters}
    axis = 0 if node.argument("transposed") is True else 1
    fits = shapes.get(like, ())[axis : axis + 1] == given[1:2] != weight[axis : axis + 1]
    if other != members[place] and fits and len(given) == len(weight):
        yield Mend(
            f"go through {path!r} from its other end, or through the features: {other!r} takes "
            f"{given[1]}"
        )


def _feature(run: Pass, node: Node, given: tuple[int, ...], taken: int) -> Iterator[Mend]:
    """The feature of the input's level, from before the level was left, of the missing width."""
    flow = run.flow
    if len(given) < 3 or taken <= given[1]:
        return
    here = node.inputs[0]
    while flow.value(here).shape[2:] == given[2:]:
        maker = flow.producer(here)
        if maker is None or not maker.inputs:
            return
        here = maker.inputs[0]
    missing = (given[0], taken - given[1], *given[2:])
    for maker in reversed(run.graph.nodes[: node.index]):
        for value in maker.outputs:
            if flow.value(value).shape == missing and flow.depends(here, value):
                yield Mend(
                    f"concatenate the feature of its level first: {called(maker)} gives "
                    f"{shape(missing)}, and {node.module!r} takes {given[1]} + {missing[1]}"
                )
                return
