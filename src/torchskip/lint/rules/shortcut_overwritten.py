"""The shortcut is overwritten in place between split and join.

## What it does
Runs the model with every in-place operation made out of place and compares: where the join would
then receive the value from *before* the operation, and the outputs change, the shortcut is
overwritten. This sees in-place modules, functions and methods, inside custom layers and through
views, in evaluation and in training; a module that writes into its input by index or mask, or over
all of it, is run on a copy. A module that writes to its input and returns another tensor
is reported where its caller joins that input afterwards, and so is a tensor that is written under
one name and joined under another: `shortcut = x` copies nothing.

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
rosinality/vq-vae-2-pytorch#60; iduta/iresnet pull request 2; osmr/imgclsmob#13;
GeeeekExplorer/nano-vllm#170; JierunChen/FasterNet, the `clone` of `forward_slicing`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from torchskip.graph import Node, Source
from torchskip.lint.evidence import Evidence, Pass
from torchskip.lint.finding import Edit, Finding, Mend
from torchskip.lint.flow import Flow
from torchskip.lint.foreign import INTO, foreign
from torchskip.lint.freed import JOINS, former, late_join, twins_of
from torchskip.lint.ops import SIGNS, describe, name
from torchskip.lint.regions import below
from torchskip.lint.rule import Rule
from torchskip.lint.words import called, shape, unfolded

RULE = Rule("TS104", "shortcut-overwritten", "error", __doc__)


def check(evidence: Evidence) -> Iterator[Finding]:
    """In-place operations whose former value would reach a join, were it still there."""
    run = evidence.eval
    writers = _writers(run)
    found = {_place(w) for w in writers}
    # Dropout writes in training alone.
    late = [w for w in _writers(evidence.train) if _place(w) not in found]
    named: set[tuple[object, ...]] = set()
    for finding, writer in (
        *_overwrites(evidence, run, writers, lambda: evidence.outplace),
        *_overwrites(evidence, evidence.train, late, lambda: evidence.outplace_training),
    ):
        named.add(_place(writer))
        yield finding
    for writer in writers:
        if _place(writer) not in named:
            yield from _callers(evidence, writer)
    if writers:
        yield from _renamed(evidence, writers, named)


def _renamed(
    evidence: Evidence, writers: list[Node], named: set[tuple[object, ...]]
) -> Iterator[Finding]:
    """Tensors written under one name and joined under another, which they had before."""
    for found in evidence.renamed:
        here = [w for w in writers if w.source and _line_of(w.source) == _line_of(found.write)]
        if not here or any(_place(w) in named for w in here):
            continue
        text = f"copy before writing: `{found.through} = {found.name}.clone()`"
        yield RULE.at(
            here[0],
            f"{_called(here[0])} writes in place to {found.through!r}, and {found.name!r}, which "
            "is joined afterwards, is the same memory: the shortcut is overwritten",
            join=found.join,
            mends=(Mend(text),),
        )


def _line_of(source: Source) -> tuple[str, int]:
    return source.file, source.line


def _writers(run: Pass) -> list[Node]:
    return [n for n in run.graph.nodes if n.inplace and n.outputs and _shared(run, n)]


def _place(node: Node) -> tuple[object, ...]:
    return (node.module, node.source, name(node))


def _overwrites(
    evidence: Evidence, run: Pass, writers: list[Node], outplace: Callable[[], Pass | None]
) -> Iterator[tuple[Finding, Node]]:
    """Writers whose former value meets their result when nothing is written in place."""
    free = outplace() if writers else None
    if free is None:
        return
    twins = twins_of(run, free)
    apart = {node.index for node in foreign(run)}
    for writer in writers:
        twin = twins.get(writer.index)
        old = None if twin is None else former(free.flow, twin, writer.index in apart)
        if twin is None or old is None:
            continue
        join = late_join(free.flow, twin, old)
        if join is None or (run is evidence.eval and evidence.numbers.outplace_difference == 0.0):
            continue
        when = "" if run is evidence.eval else " in training"
        yield (
            RULE.at(
                writer,
                f"{_called(writer)} {_effect(free.flow, twin, old, join, writer, when)}",
                join=_line(twins, run, join),
                mends=(_out_of_place(evidence, writer),),
            ),
            writer,
        )


def _effect(flow: Flow, twin: Node, value: int, join: Node, writer: Node, when: str) -> str:
    """What the operation overwrites: the shortcut, or what a branch beside its result reads."""
    old = flow.value(value)
    if all(flow.value(v).memory != old.memory for v in join.inputs):
        held = {v.index for v in flow.graph.values if v.memory == old.memory}
        later = flow.graph.nodes[twin.index + 1 :]
        reader = next((n for n in later if not held.isdisjoint(n.inputs)), None)
        if reader is not None and not set(twin.outputs).isdisjoint(join.inputs):
            return (
                f"writes its result over {shape(old.shape)}, which {called(reader)} reads "
                f"afterwards{when}: it gets the result, and not the value before"
            )
    return (
        f"overwrites the shortcut {shape(old.shape)} before it is joined{when}: "
        f"{_gets(join, writer)}"
    )


def _gets(join: Node, writer: Node) -> str:
    if name(writer) in INTO:
        return f"the {describe(join)} gets what was written over it"
    if describe(join) == _word(writer):
        return f"the next {describe(join)} that reads it gets this one's result in its place"
    return f"the {describe(join)} gets the result of {_word(writer)} instead of its input"


def _out_of_place(evidence: Evidence, writer: Node) -> Mend:
    """How the user writes the operation without overwriting its input."""
    kind = name(writer)
    module = evidence.modules.get(writer.module)
    if module is not None and dict(module.attributes).get("inplace") is True:
        where = repr(writer.module) if writer.module else f"the {module.type}"
        return Mend(
            f"set `inplace=False` on {where}, or call `torchskip.mend(model)`",
            edits=(Edit(writer.module, "inplace", False),),
        )
    if plain := unfolded(writer.source):
        return Mend(f"write `{plain}`, which makes a new tensor")
    if kind in INTO:
        where = f" in {writer.module!r}" if writer.module else ""
        return Mend(f"copy before writing{where}: `x = x.clone()`, or compute a new tensor")
    if kind in SIGNS and _word(writer) == describe(writer):
        return Mend(f"write `x = x {SIGNS[kind]} ...`, which makes a new tensor, not in place")
    return Mend(f"write {_word(writer)} out of place: no `inplace=True`, no trailing underscore")


def _word(writer: Node) -> str:
    """The operation as the user wrote it: a dropout multiplies by a mask."""
    text = writer.module_type + (writer.source.text if writer.source else "")
    return "dropout" if name(writer) == "mul" and "dropout" in text.lower() else describe(writer)


def _called(writer: Node) -> str:
    return _word(writer) + (f" in {writer.module!r}" if writer.module else "")


def _callers(evidence: Evidence, writer: Node) -> Iterator[Finding]:
    """A module that writes to a tensor of its caller, returns another, and the caller joins it."""
    run = evidence.eval
    flow = run.flow
    written = flow.value(writer.outputs[0])
    former = written.base if written.previous is None else written.previous
    maker = flow.producer(_whole(flow, former)) if former is not None else None
    for node in run.graph.nodes[writer.index + 1 :]:
        memories = {flow.value(v).memory for v in node.inputs}
        if name(node) not in JOINS or len(memories) < 2 or written.memory not in memories:
            continue
        owner = _called_below(run, node.module, writer.module)
        if owner is None or maker is None or below(maker.module, owner):
            continue
        if _returns(run, owner, writer.call) - {written.memory}:
            yield RULE.at(
                writer,
                f"{_called(writer)} writes to the input of {owner!r}, {shape(written.shape)}, "
                f"which the caller still holds: the {describe(node)} behind it gets the "
                "overwritten value",
                join=node.source,
                mends=(_out_of_place(evidence, writer),),
            )
            return


def _whole(flow: Flow, value: int) -> int:
    """The tensor that a value is a view of, or the value itself."""
    while (base := flow.value(value).base) is not None:
        value = base
    return value


def _returns(run: Pass, owner: str, call: int) -> set[int]:
    """Memories of the values made in a module that something outside it reads."""
    graph, flow = run.graph, run.flow
    return {
        flow.value(v).memory
        for node in graph.nodes
        if below(node.module, owner) and node.call == call
        for v in node.outputs
        if any(not below(graph.nodes[r].module, owner) for r in flow.readers[v])
    }


def _called_below(run: Pass, path: str, other: str) -> str | None:
    """The outermost module between the path and the other one, or that one, that was called.

    A list of modules never is, nor a module of which another method than its forward runs.
    """
    called = {m.path for m in run.graph.modules if m.calls}
    if other == path or not below(other, path):
        return None
    names = other.split(".")
    outer = [".".join(names[: i + 1]) for i in range(len(names))]
    return next((p for p in outer if below(p, path) and p != path and p in called), None)


def _shared(run: Pass, node: Node) -> bool:
    """Whether what the operation wrote is read more than once afterwards, by any name."""
    memory = run.flow.value(node.outputs[0]).memory
    held = {v.index for v in run.graph.values if v.memory == memory}
    readers = [
        [v for v in reader.inputs if v in held]
        for reader in run.graph.nodes[node.index + 1 :]
        if reader.op != "torchskip.alias" and not held.isdisjoint(reader.inputs)
    ]
    twice = any(len(values) > len(set(values)) for values in readers)  # by a sum of both names
    return len(readers) > 1 or twice


def _line(twins: dict[int, Node], run: Pass, join: Node) -> Source | None:
    """The user's line of a join of the other pass."""
    for index, twin in twins.items():
        if twin.index == join.index:
            return run.graph.nodes[index].source
    return None
