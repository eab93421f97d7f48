"""Why two arms do not meet: both ways with shapes, and the step from which they differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torchskip.graph import Node
from torchskip.lint.evidence import Pass
from torchskip.lint.finding import Way
from torchskip.lint.flow import Flow
from torchskip.lint.joins import Join, join_of, steps_of, way
from torchskip.lint.ops import ADDS, CONCATS, PRODUCTS, SWAPS, is_layer, name
from torchskip.lint.sizes import order
from torchskip.lint.words import shape

__all__ = ["Mismatch", "mismatch"]

Sizes = tuple[int, ...]


class Mismatch:
    """A join that failed because of its arms' shapes.

    `split` is where they part; None where each comes from an input of its own. `starts` says for
    each arm where its way begins.
    """

    def __init__(self, run: Pass, join: Join, starts: Mapping[int, int] | None = None) -> None:
        flow = run.flow
        self.join = join
        self.split = join.split if starts is None else None
        self.starts = dict.fromkeys(join.values, join.split) if starts is None else starts
        self.flow = flow
        self.shapes = tuple(flow.value(v).shape for v in join.values)
        self.concat = name(join.node) in CONCATS
        axis = join.node.argument("dim", 0)
        self.along = axis if self.concat and isinstance(axis, int) else None
        self.axes = self._axes()
        depths = [sum(map(is_layer, self.between(v))) for v in join.values]
        # The branch is the arm with more layers; of equals, the one with more steps.
        lengths = [len(self.between(v)) for v in join.values]
        order = sorted(range(len(depths)), key=lambda i: (depths[i], lengths[i]))
        self.shortcut, self.branch = join.values[order[0]], join.values[order[-1]]
        self.roles = {v: "branch" if v == self.branch else "shortcut" for v in join.values}

    def between(self, value: int) -> tuple[Node, ...]:
        """Operations on an arm."""
        return self.flow.nodes_between(self.starts[value], value)

    def _axes(self) -> tuple[int, ...]:
        first = self.shapes[0]
        if any(len(s) != len(first) for s in self.shapes):
            return ()
        along = self.along % len(first) if self.along is not None and first else None
        return tuple(
            i
            for i in range(len(first))
            if i != along
            and len({s[i] for s in self.shapes} - ({1} if not self.concat else set())) > 1
        )

    @property
    def ways(self) -> tuple[Way, ...]:
        """Both arms step by step, each with the step after which it no longer meets."""
        return tuple(sorted(map(self._way, self.join.values), key=lambda w: w.role))

    def _way(self, value: int) -> Way:
        """One arm step by step."""
        other = self.branch if value == self.shortcut else self.shortcut
        steps = way(self.flow, self.roles[value], self.starts[value], value)
        parts = self._parts(self._sizes(steps, value), self.flow.value(other).shape)
        return Way(steps.role, steps.start, steps.steps, parts)

    def _parts(self, sizes: Sequence[Sizes | None], target: tuple[int, ...]) -> int | None:
        """Index of the first step from which on the arm differs from where it should arrive.

        Where channels alone differ it is the layer that set them: those before may be of any width.
        """
        parts = None
        end, wanted = sizes[-1], tuple(target[a] for a in self.axes)
        for index in reversed(range(len(sizes) - 1)):
            here = sizes[index + 1]
            if parts is not None and self.axes == (1,) and here != end:
                break
            if here == wanted:
                break
            parts = index
        while parts is not None and parts + 2 < len(sizes) and sizes[parts] == sizes[parts + 1]:
            parts += 1
        return parts

    def _sizes(self, way_: Way, value: int) -> list[Sizes | None]:
        """The sizes, at the start and at each step, of what become the axes that differ.

        A permutation moves the axes. None where the rank is another.
        """
        shapes = [way_.start, *(step.shape for step in way_.steps)]
        rank, axes = len(way_.end), list(self.axes)
        nodes = steps_of(self.flow, self.starts[value], value)
        found: list[Sizes | None] = []
        for index in reversed(range(len(shapes))):
            here = shapes[index]
            found.append(tuple(here[a] for a in axes) if len(here) == rank else None)
            if index and name(nodes[index - 1]) in SWAPS and len(here) == rank:
                moved = order(nodes[index - 1], rank)
                axes = [moved[a] for a in axes]
        return found[::-1]

    @property
    def message(self) -> str:
        """The shapes, the axes, and the step where the arms part."""
        word = {True: "concatenate", False: "add"}[self.concat]
        if name(self.join.node) in PRODUCTS:
            word = "multiply"
        branch, shortcut = (self.flow.value(v).shape for v in (self.branch, self.shortcut))
        text = f"cannot {word} branch {shape(branch)} and shortcut {shape(shortcut)}: "
        if not self.axes:
            return text + f"ranks {len(branch)} and {len(shortcut)} differ"
        numbers = ", ".join(f"{branch[a]} against {shortcut[a]} on axis {a}" for a in self.axes)
        text += numbers
        if self.split is None:
            starts = (self.flow.value(self.starts[v]).shape for v in (self.branch, self.shortcut))
            return text + "; they come from the inputs {} and {}".format(*map(shape, starts))
        for found in map(self._way, (self.branch, self.shortcut)):
            if found.parts is not None:
                step = found.steps[found.parts]
                before = found.steps[found.parts - 1].shape if found.parts else found.start
                if before == step.shape:
                    continue  # the arm differs from its start on
                place = f" {step.module!r}" if step.module else ""
                text += (
                    f"; the {found.role} parts at step {found.parts + 1}, {step.op}{place}: "
                    f"{shape(before)} to {shape(step.shape)}"
                )
        return text


def mismatch(run: Pass) -> Mismatch | None:
    """The join at which a pass failed; None when it did not, or not for its arms' shapes."""
    failure = run.graph.failure
    if failure is None or failure.node is None:
        return None
    node: Node = run.graph.nodes[failure.node]
    if name(node) not in ADDS | CONCATS | PRODUCTS:
        return None
    flow: Flow = run.flow
    join = join_of(flow, node)
    found = Mismatch(run, join) if join is not None else _apart(run, node)
    if found is None:
        return None
    ranks = {len(s) for s in found.shapes}
    return found if found.axes or len(ranks) > 1 else None


def _apart(run: Pass, node: Node) -> Mismatch | None:
    """Arms that come from two inputs of the model, at least one of them through layers."""
    flow = run.flow
    values = tuple(dict.fromkeys(node.inputs))
    starts = {v: i for v in values for i in run.graph.inputs if flow.depends(v, i)}
    if len(values) < 2 or len(starts) < len(values):
        return None
    found = Mismatch(run, Join(node, values, min(starts.values())), starts)
    return found if any(is_layer(n) for v in values for n in found.between(v)) else None
