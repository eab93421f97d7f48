"""Fold a graph's operations into the outline a reader knows: stages, blocks, layers.

The chain of a network is its operations in forward order. Consecutive operations of one call of
a leaf module are one `Step`; steps under one module path are one `Group`, and so on upwards.
Positions on the chain are numbers of steps: value and operation alike have one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from torchskip.graph import Graph, Module, Node, SkipPath
from torchskip.render.words import operation, plain

__all__ = ["Group", "Outline", "Step", "outline"]

LONG_RUN = 13  # this many alike siblings in a row are folded into one group
SMALL_GROUP = 24  # a group of fewer steps keeps its loose layers ungrouped


@dataclass(frozen=True, slots=True)
class Step:
    """One element of the chain: a leaf module's call or an operation outside leaf modules."""

    index: int
    label: str
    type: str
    module: str
    nodes: tuple[int, ...]
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)  # a place in the tree, equal to itself alone
class Group:
    """The steps `first` to `last` under one module path; a leaf group is a single step.

    `alike` is how many structurally equal siblings a folded run stands for; `short` is the label
    less the prefix that it shares with its neighbours ("denselayer7" among its like is "7"). A
    `gathered` group is no module: it holds neighbours.
    """

    label: str
    type: str
    module: str
    first: int
    last: int
    children: tuple[Group, ...] = ()
    alike: int = 1
    short: str = ""
    gathered: bool = False

    @property
    def size(self) -> int:
        """Number of steps."""
        return self.last - self.first + 1

    def walk(self) -> Iterator[Group]:
        """Yield this group and all below it, parents first."""
        yield self
        for child in self.children:
            yield from child.walk()


@dataclass(frozen=True, slots=True)
class Outline:
    """The steps of a graph, their tree, and the step of every node (-1: none)."""

    steps: tuple[Step, ...]
    root: Group
    step_of: tuple[int, ...]

    def after(self, graph: Graph, value: int) -> int:
        """Return the number of steps done when the value exists (0 for a model input)."""
        producer = graph.values[value].producer
        return 0 if producer is None else self.step_of[producer] + 1

    def along(self, nodes: Sequence[int]) -> tuple[Step, ...]:
        """Return the steps that the nodes belong to, each once, in the nodes' order."""
        return tuple(self.steps[i] for i in dict.fromkeys(self.step_of[node] for node in nodes))


def outline(graph: Graph, skips: Sequence[SkipPath] = ()) -> Outline:
    """Fold the graph's nodes into steps and the steps into a tree of module paths.

    A leaf module that holds both ends of a skip is not folded into one step: its skip would
    have no length.
    """
    steps: list[Step] = []
    step_of = [-1] * len(graph.nodes)
    split_open = _with_skips_inside(graph, skips)
    leaves = {module.path for module in graph.modules if module.leaf and module.path}

    def key(node: Node) -> tuple[str, int, int]:
        whole = node.module in leaves and (node.module, node.call) not in split_open
        return (node.module, node.call, -1 if whole else node.index)

    for (module, _, single), members in groupby(graph.nodes, key):
        nodes = tuple(members)
        outputs = next((node.outputs for node in reversed(nodes) if node.outputs), ())
        sizes = graph.values[outputs[0]].shape if outputs else ()
        name = operation(nodes[-1].op) if single >= 0 else plain(module.rpartition(".")[2])
        kind = "" if single >= 0 else plain(nodes[-1].module_type)
        indices = tuple(node.index for node in nodes)
        for index in indices:
            step_of[index] = len(steps)
        steps.append(Step(len(steps), name, kind, module, indices, sizes))

    modules = {module.path: module for module in graph.modules}
    paths = [_path(step) for step in steps]
    root = Group(plain(graph.model), plain(graph.model), "", 0, len(steps) - 1)
    children = _children(steps, paths, modules, 0, len(steps), "")
    if len(children) == 1 and children[0].children:
        children = children[0].children  # a wrapper around everything says nothing
    root = replace(root, children=_tidied(children, steps))
    return Outline(tuple(steps), root, tuple(step_of))


def _with_skips_inside(graph: Graph, skips: Sequence[SkipPath]) -> set[tuple[str, int]]:
    calls = set()
    for skip in skips:
        join = graph.nodes[skip.join]
        within = (graph.nodes[node] for arm in skip.arms for node in arm.nodes)
        if all((node.module, node.call) == (join.module, join.call) for node in within):
            calls.add((join.module, join.call))
    return calls


def _path(step: Step) -> tuple[str, ...]:
    parts = tuple(step.module.split(".")) if step.module else ()
    return parts if step.type else (*parts, "")  # an operation hangs below its module


def _children(
    steps: Sequence[Step],
    paths: Sequence[tuple[str, ...]],
    modules: dict[str, Module],
    first: int,
    stop: int,
    prefix: str,
) -> tuple[Group, ...]:
    depth = prefix.count(".") + 1 if prefix else 0
    groups = []
    for name, members in groupby(range(first, stop), lambda i: paths[i][depth]):
        indices = list(members)
        begin, end = indices[0], indices[-1]
        module = f"{prefix}.{name}" if prefix else name
        if all(len(paths[i]) == depth + 1 for i in indices):
            groups += [_leaf(steps[i]) for i in indices]
            continue
        below: tuple[Group, ...] = ()
        for whole, part in groupby(indices, lambda i: len(paths[i]) == depth + 1):
            if whole:  # a module called as a leaf here and as a container there
                below += tuple(_leaf(steps[i]) for i in part)
            else:
                inner = list(part)
                below += _children(steps, paths, modules, inner[0], inner[-1] + 1, module)
        told = modules.get(module)
        kind = plain(told.type) if told else ""
        if len(below) == 1 and (below[0].children or (told is not None and not told.calls)):
            # What holds one group, or a list that is never called itself, says nothing.
            label = f"{plain(name)}.{below[0].label}"
            groups.append(replace(below[0], label=label, module=plain(module)))
        else:
            groups.append(Group(plain(name), kind, plain(module), begin, end, below))
    return tuple(groups)


def _leaf(step: Step) -> Group:
    return Group(step.label, step.type, plain(step.module), step.index, step.index)


def _tidied(children: tuple[Group, ...], steps: Sequence[Step]) -> tuple[Group, ...]:
    """Gather loose layers between groups, and long runs of alike groups, each into a group."""
    size = sum(child.size for child in children)
    if size >= SMALL_GROUP and any(child.children for child in children):
        gathered: list[Group] = []
        for loose, members in groupby(children, lambda child: not child.children):
            run = tuple(replace(child, short=child.label) for child in members)
            gathered += [_span(run)] if loose and len(run) > 1 else run
        children = tuple(gathered)
    children = tuple(
        replace(child, children=_tidied(child.children, steps)) if child.children else child
        for child in children
    )
    folded: list[Group] = []
    for _, members in groupby(children, lambda child: signature(child, steps)):
        run = tuple(members)
        long = LONG_RUN <= len(run) < len(children) and run[0].children
        folded += [replace(_span(run), alike=len(run))] if long else run
    shortened: list[Group] = []
    for stem, members in groupby(folded, lambda child: _stem(child.label)):
        like = list(members)
        for child in like:
            short = child.label.removeprefix(stem) if len(like) > 2 else child.label
            shortened.append(replace(child, short=short))
    return tuple(shortened)


def _stem(label: str) -> str:
    """Return the label up to its number, or nothing when it does not end in one."""
    stem = label.rstrip("0123456789")
    return stem if stem != label else ""


def _span(run: tuple[Group, ...]) -> Group:
    label = f"{run[0].label}–{run[-1].label}"
    parent = run[0].module.rpartition(".")[0]
    return Group(label, "", parent, run[0].first, run[-1].last, run, gathered=True)


def signature(group: Group, steps: Sequence[Step], shapes: bool = True) -> tuple[object, ...]:
    """Return what makes two groups structurally equal: types, order and output shapes."""
    return (
        group.type,
        *(
            (step.type or step.label, step.shape if shapes else ())
            for step in steps[group.first : group.last + 1]
        ),
    )
