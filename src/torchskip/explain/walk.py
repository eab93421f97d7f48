"""The walk through a forward pass: every step, its shape, and what it does in plain words."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from torchskip.explain.words import SILENT, SPLITS, count, describe, op_name, spatial
from torchskip.graph import Failure, Graph, Node, SkipPath

__all__ = ["Step", "walk"]

Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a forward pass: a leaf module's call, or an operation between modules."""

    name: str
    type: str
    inputs: tuple[Shape, ...]
    outputs: tuple[Shape, ...]
    sentence: str
    line: int | None = None
    failed: bool = False


def walk(graph: Graph, skips: Iterable[SkipPath] = ()) -> tuple[Step, ...]:
    """Turn a traced graph into steps in the order of execution.

    A leaf module's call is one step, also when it runs several operations; so is each operation
    outside of leaf modules. Steps that only rename a value (detach, alias) are left out.
    """
    joins = {skip.join: skip for skip in skips}
    leaves = {module.path for module in graph.modules if module.leaf and module.path}
    steps: list[Step] = []
    run: list[Node] = []

    def flush() -> None:
        if run:
            steps.append(_step(graph, tuple(run), joins, leaf=run[0].module in leaves))
            run.clear()

    for node in graph.nodes:
        same = run and (run[0].module, run[0].call) == (node.module, node.call)
        if not (same and node.module in leaves):
            flush()
        if op_name(node) not in SILENT:
            run.append(node)
    flush()
    if graph.failure is not None and graph.failure.node is None:
        steps.append(_stop(graph.failure))
    return tuple(steps)


def _stop(failure: Failure) -> Step:
    """The step at which the model itself raised, outside of any operation."""
    line = failure.source.line if failure.source else None
    first, *_ = failure.message.splitlines() or [""]
    sentence = f"stops with {failure.error}: {first}"
    return Step(failure.module or "forward", "", (), (), sentence, line, failed=True)


def _step(graph: Graph, nodes: tuple[Node, ...], joins: dict[int, SkipPath], leaf: bool) -> Step:
    made = {value for node in nodes for value in node.outputs}
    entering = dict.fromkeys(v for node in nodes for v in node.inputs if v not in made)
    inputs = tuple(graph.values[v].shape for v in entering)
    last = nodes[-1]
    # Of an operation's several results (max and indices, norm and its statistics), the first is
    # what the layer gives; a split gives all.
    given = last.outputs if op_name(last) in SPLITS else last.outputs[:1]
    outputs = tuple(graph.values[v].shape for v in given)
    failed = graph.failure is not None and graph.failure.node == last.index
    main = last
    if failed and graph.failure is not None:
        sentence = f"fails: {graph.failure.message}"
        if last.index in joins:
            sentence = _failed_join(graph, joins[last.index])
    else:
        told = ((node, words) for node in nodes if (words := describe(graph, node)))
        main, sentence = next(told, (last, _whole(nodes, inputs, outputs)))
        if main.index in joins:
            sentence = _join(graph, joins[main.index])
    return Step(
        name=last.module if leaf else op_name(main),
        type=last.module_type if leaf else (f"in {last.module}" if last.module else "in forward"),
        inputs=inputs,
        outputs=outputs,
        sentence=sentence,
        line=last.source.line if last.source else None,
        failed=failed,
    )


def _whole(nodes: tuple[Node, ...], inputs: tuple[Shape, ...], outputs: tuple[Shape, ...]) -> str:
    """What several operations without words of their own do together, judged by the shapes."""
    names = ", ".join(dict.fromkeys(op_name(node).rstrip("_") for node in nodes))
    before, after = inputs[0] if inputs else (), outputs[0] if outputs else ()
    if len(before) == len(after) > 2 and before[2:] != after[2:]:
        return f"resizes the map from {spatial(before)} to {spatial(after)} ({names})"
    return f"computes {names}"


def _join(graph: Graph, skip: SkipPath) -> str:
    split = graph.values[skip.split]
    maker = None if split.producer is None else graph.nodes[split.producer]
    origin = "the input" if maker is None else f"what {maker.module or op_name(maker)!r} gave"
    shortcut = next((arm for arm in skip.arms if arm.role == "shortcut"), skip.arms[0])
    bypassed = max(arm.layers for arm in skip.arms) - shortcut.layers
    way = "unchanged" if shortcut.layers == 0 else f"through {count(shortcut.layers, 'layer')}"
    past = f"past {count(bypassed, 'layer')}"
    if skip.kind == "gate":
        return f"gate: scales {origin}, by weights computed from it in the branch"
    verb = "appended to" if skip.merge in {"concat", "cat", "stack"} else "added to"
    return (
        f"the skip connection ({skip.kind}): {origin} comes here {way}, {past}, and is {verb} the "
        "branch's result, so its gradient has a way back around the branch"
    )


def _failed_join(graph: Graph, skip: SkipPath) -> str:
    shapes = {arm.role: graph.values[arm.values[-1]].shape for arm in skip.arms}
    branch, shortcut = shapes.get("branch", ()), shapes.get("shortcut", ())
    axes = [i for i, (a, b) in enumerate(zip(branch, shortcut, strict=False)) if a != b]
    differ = "axis " + str(axes[0]) if len(axes) == 1 else "axes " + ", ".join(map(str, axes))
    return (
        f"fails: the shortcut still has shape {shortcut}, the branch has become {branch}; "
        f"{differ} must agree before the two can meet"
    )
