"""The shortcut is overwritten in place between split and join.

## What it does
Runs the model with every in-place operation made out of place and compares: where the join would
then receive the value from *before* the operation, and the outputs change, the shortcut is
overwritten. This sees in-place modules, functions and methods, inside custom layers and through
views.

## Why is this bad
`nn.ReLU(inplace=True)` as the first layer of a branch writes into the block's input. The shortcut
is the same tensor, so the block adds `relu(x)` instead of `x`: negative values never pass, and the
caller's tensor is changed too.

## Example

    self.branch = nn.Sequential(nn.ReLU(inplace=True), nn.Conv2d(8, 8, 3, padding=1))
    ...
    return x + self.branch(x)

## Use instead

    self.branch = nn.Sequential(nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1))

`torchskip.mend(model)` returns a copy with the operation out of place.

## References
rosinality/vq-vae-2-pytorch#60; iduta/iresnet pull request 2; osmr/imgclsmob#13.
"""

from __future__ import annotations

from collections.abc import Iterator

from torchskip.graph import Node, Source
from torchskip.lint.evidence import Evidence, Pass
from torchskip.lint.finding import Edit, Finding, Mend
from torchskip.lint.flow import Flow
from torchskip.lint.ops import ADDS, CONCATS, PRODUCTS, describe, name
from torchskip.lint.rule import Rule
from torchskip.lint.words import called, shape

RULE = Rule("TS104", "shortcut-overwritten", "error", __doc__)
_JOINS = ADDS | CONCATS | PRODUCTS


def check(evidence: Evidence) -> Iterator[Finding]:
    """In-place operations whose former value would reach a join, were it still there."""
    run = evidence.eval
    writers = [n for n in run.graph.nodes if n.inplace and n.outputs and _shared(run, n)]
    if not writers:
        return
    free = evidence.outplace
    if free is None:
        return
    twins = _twins(run, free)
    for writer in writers:
        twin = twins.get(writer.index)
        if twin is None or twin.inplace or not twin.inputs or not twin.outputs:
            continue
        join = _late_join(free.flow, twin)
        if join is None or evidence.outplace_difference == 0.0:
            continue
        old = free.flow.value(twin.inputs[0])
        module = evidence.modules.get(writer.module)
        fixes: tuple[Edit, ...] = ()
        if module is not None and dict(module.attributes).get("inplace") is True:
            fixes = (Edit(writer.module, "inplace", False),)
        text = (
            f"set `inplace=False` on {writer.module!r}, or call `torchskip.mend(model)`"
            if fixes
            else f"write {describe(writer)} out of place"
        )
        yield RULE.at(
            writer,
            f"{called(writer)} overwrites the shortcut {shape(old.shape)} before it is joined: "
            f"the {describe(join)} gets the result of {describe(writer)} instead of its input",
            join=_line(twins, run, join),
            mends=(Mend(text, edits=fixes),),
        )


def _shared(run: Pass, node: Node) -> bool:
    """Whether what the operation wrote is read more than once afterwards, by any name."""
    memory = run.flow.value(node.outputs[0]).memory
    readers = {
        r
        for v in run.graph.values
        if v.memory == memory
        for r in run.flow.readers[v.index]
        if r > node.index and run.graph.nodes[r].op != "torchskip.alias"
    }
    return len(readers) > 1


def _twins(run: Pass, free: Pass) -> dict[int, Node]:
    """For each node of the pass, the same operation of the pass out of place."""
    found: dict[tuple[object, ...], list[Node]] = {}
    for node in free.graph.nodes:
        found.setdefault(_mark(node), []).append(node)
    twins: dict[int, Node] = {}
    taken: dict[tuple[object, ...], int] = {}
    for node in run.graph.nodes:
        mark = _mark(node)
        turn = taken.get(mark, 0)
        taken[mark] = turn + 1
        others = found.get(mark, [])
        if turn < len(others):
            twins[node.index] = others[turn]
    return twins


def _line(twins: dict[int, Node], run: Pass, join: Node) -> Source | None:
    """The user's line of a join of the other pass."""
    for index, twin in twins.items():
        if twin.index == join.index:
            return run.graph.nodes[index].source
    return None


def _mark(node: Node) -> tuple[object, ...]:
    return (name(node), node.module, node.call)


def _late_join(flow: Flow, twin: Node) -> Node | None:
    """The first join of the operation's result with what its former value still reaches."""
    graph = flow.graph
    memory = flow.value(twin.inputs[0]).memory
    made = set(twin.outputs)
    former: set[int] = set()
    aliases = {v.index for v in graph.values if v.memory == memory}
    for node in graph.nodes[twin.index + 1 :]:
        from_result = {v for v in node.inputs if v in made}
        from_former = {v for v in node.inputs if v in former or v in aliases} - from_result
        if from_result and from_former and name(node) in _JOINS:
            return node
        if from_result:
            made.update(node.outputs)
        elif from_former:
            former.update(node.outputs)
    return None
