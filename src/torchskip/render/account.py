"""One skip told in words: what every rendering says of it, said once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torchskip.graph import Arm, Graph, Kind, Node, SkipPath
from torchskip.render.outline import Outline, Step
from torchskip.render.words import count, operation, pixels, place, plain, shape

__all__ = ["FEW", "Account", "ArmAccount", "End", "accounts", "tails"]

FEW = 3  # arms that are told step by step; of more, only what each brings to the join


@dataclass(frozen=True, slots=True)
class End:
    """Where a skip begins or ends: module and operation, source line, shape."""

    name: str
    place: str
    shape: str


@dataclass(frozen=True, slots=True)
class ArmAccount:
    """One arm: its steps, none for an identity; `home` is the join's module."""

    role: str
    steps: tuple[Step, ...]
    home: str
    shape: str
    layers: int
    detached: bool

    def named(self, step: Step) -> str:
        """Return the step's name, seen from the join's module."""
        name = step.module if step.type else f"{step.module}.{step.label}".lstrip(".")
        return plain(name.removeprefix(f"{self.home}.") if self.home else name)

    @property
    def chain(self) -> str:
        """The steps joined by arrows, with a shape wherever it changes."""
        if not self.steps:
            return f"identity {self.shape}"
        words: list[str] = []
        before: tuple[int, ...] = ()
        for step in self.steps:
            name = self.named(step)
            words.append(f"{name} {shape(step.shape)}" if step.shape != before else name)
            before = step.shape
        return " → ".join(words)


@dataclass(frozen=True, slots=True)
class Account:
    """One skip: `marks` are what is wrong with it (fails, dead, detached), mostly nothing."""

    number: int
    kind: Kind
    merge: str
    split: End
    join: End
    arms: tuple[ArmAccount, ...]
    bypassed: int
    alignment: str
    marks: tuple[str, ...]
    notes: tuple[str, ...]
    home: str  # the join's module: the steps of the arms are named from there

    @property
    def remarks(self) -> tuple[str, ...]:
        """What a reader should notice: an alignment error and the finder's notes."""
        return (*((self.alignment,) if self.alignment not in ("", "aligned") else ()), *self.notes)

    @property
    def title(self) -> str:
        """The skip in one line."""
        facts = [f"bypasses {count(self.bypassed, 'layer')}", self.alignment, *self.marks]
        return (
            f"{self.number} {self.kind} ({self.merge}): {self.split.name} → {self.join.name}, "
            f"{self.join.shape}, {', '.join(fact for fact in facts if fact)}"
        )


def tails(arms: Sequence[ArmAccount]) -> list[Step | None]:
    """Return the step that tells what each arm brings: the last before what all arms end with.

    Of ``conv1 → bn1 → relu`` and ``conv2 → bn2 → relu`` these are ``bn1`` and ``bn2``; None
    stands for an identity.
    """
    long = [arm for arm in arms if arm.steps]
    shared = 1
    while len(long) > 1 and all(len(arm.steps) > shared for arm in long):
        if len({arm.named(arm.steps[-shared]) for arm in long}) > 1:
            break
        shared += 1
    return [arm.steps[-shared] if arm.steps else None for arm in arms]


def accounts(graph: Graph, skips: Sequence[SkipPath], chain: Outline) -> tuple[Account, ...]:
    """Tell every skip of the graph, numbered from 1 in the given order."""
    return tuple(_account(graph, skip, chain, i) for i, skip in enumerate(skips, start=1))


def _account(graph: Graph, skip: SkipPath, chain: Outline, number: int) -> Account:
    join = graph.nodes[skip.join]
    failed = graph.failure is not None and graph.failure.node == skip.join
    ordered = sorted(skip.arms, key=lambda arm: arm.role != "branch")
    arms = tuple(_arm(graph, arm, chain, join.module) for arm in ordered)
    marks = []
    if failed:
        marks.append("fails")
    elif not skip.live:
        marks.append("dead")
    if any(arm.detached for arm in skip.arms):
        marks.append("detached")
    sizes = graph.values[join.outputs[0]].shape if join.outputs else ()
    return Account(
        number=number,
        kind=skip.kind,
        merge=plain(skip.merge),
        split=_split(graph, skip.split),
        join=End(
            name=_where(graph, join, operation(join.op)),
            place=place(join.source),
            shape=" against ".join(arm.shape for arm in arms) if failed else shape(sizes),
        ),
        arms=arms,
        bypassed=max((arm.layers for arm in skip.arms if arm.role == "branch"), default=0),
        alignment=pixels(skip.alignment),
        marks=tuple(marks),
        notes=tuple(plain(note) for note in skip.notes if not (failed and note == "failed")),
        home=plain(join.module),
    )


def _split(graph: Graph, index: int) -> End:
    value = graph.values[index]
    if value.producer is None:
        name = plain(value.name) if value.name else "input"
        return End(name, "", shape(value.shape))
    node = graph.nodes[value.producer]
    leaf = any(module.path == node.module and module.leaf for module in graph.modules)
    return End(
        _where(graph, node, "" if leaf else operation(node.op)),
        place(node.source),
        shape(value.shape),
    )


def _where(graph: Graph, node: Node, name: str) -> str:
    """Return module and operation; the how-manieth call where a block is called again."""
    words = [plain(node.module) if node.module else plain(graph.model), name]
    if node.call and name:
        words.append(f"(call {node.call + 1})")
    return " ".join(filter(None, words))


def _arm(graph: Graph, arm: Arm, chain: Outline, home: str) -> ArmAccount:
    sizes = graph.values[arm.values[-1]].shape if arm.values else ()
    return ArmAccount(
        arm.role, chain.along(arm.nodes), home, shape(sizes), arm.layers, arm.detached
    )
