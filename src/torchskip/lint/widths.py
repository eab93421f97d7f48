"""What a layer that fails for the width of its input was meant to read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from torchskip.graph import Module, Node
from torchskip.lint.evidence import Pass
from torchskip.lint.finding import Mend
from torchskip.lint.ops import name
from torchskip.lint.words import called, shape

__all__ = ["widths"]

_LISTS = frozenset({"ModuleList", "Sequential"})


def widths(run: Pass, node: Node, modules: Mapping[str, Module]) -> Iterator[Mend]:
    """A layer left out before it, a feature left out of its input, the width to build it with."""
    weight = next((c.shape for c in node.constants if c.names and len(c.shape) > 1), None)
    if weight is None or not node.inputs or not node.module:
        return
    given = run.flow.value(node.inputs[0]).shape
    if name(node) in {"convolution", "_convolution"} and len(given) == len(weight):
        groups = node.argument("groups", 1)
        transposed = node.argument("transposed") is True
        taken = weight[0] if transposed else weight[1] * (groups if isinstance(groups, int) else 1)
        width, word = given[1], "in_channels"
    elif name(node) in {"addmm", "mm", "linear"}:
        taken = weight[-1] if name(node) == "linear" else weight[0]  # the others get it transposed
        width, word = given[-1], "in_features"
    else:
        return
    if taken == width:
        return
    yield from _layer_before(run, node, modules, width, taken)
    yield from _mirrored(run, node, modules, given, weight)
    yield from _feature(run, node, given, taken)
    yield Mend(f"build {node.module!r} with {word}={width}, not {taken}")


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
