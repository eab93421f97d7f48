"""The terminal's tree: modules folded into a readable outline, every skip named under its join."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from torchskip.graph import Graph, Kind
from torchskip.render.account import FEW, Account, ArmAccount, End, accounts, tails
from torchskip.render.outline import Group, Outline, outline, signature
from torchskip.render.words import count, place, plain, shape, totals

if TYPE_CHECKING:
    from rich.console import Group as Lines
    from rich.padding import Padding
    from rich.text import Text
    from rich.tree import Tree

    from torchskip.inspection import Inspection

__all__ = ["renderable", "to_text"]

_STYLES: dict[Kind, str] = {
    "identity": "bright_blue",
    "projection": "red",
    "concat": "green",
    "dense": "magenta",
    "long": "bright_magenta",
    "gate": "yellow",
    "split-concat": "cyan",
    "pool-concat": "bright_black",
}
_LIKE = 24  # skips of alike blocks that are listed; of more, the middle is left out
_CHAIN = 9  # steps of an arm that are listed; of more, the middle is left out


def to_text(inspection: Inspection, width: int = 100) -> str:
    """Return the tree as plain text, wrapped at `width` columns, without colours.

    For a terminal, print `renderable` with rich: it knows the width and the colours there.
    """
    from rich.console import Console

    console = Console(width=width, color_system=None, force_terminal=False, legacy_windows=False)
    with console.capture() as capture:
        console.print(renderable(inspection))
    lines = capture.get().splitlines()
    return "\n".join(line.rstrip() for line in lines)


def renderable(inspection: Inspection) -> Lines:
    """Return the tree as a rich renderable."""
    from rich.console import Group as Lines
    from rich.text import Text
    from rich.tree import Tree

    graph, skips = inspection.graph, inspection.skips
    chain = outline(graph, skips)
    told = accounts(graph, skips, chain)
    tree = Tree(Text(plain(graph.model), style="bold"), guide_style="dim")
    _Writer(chain, told, [chain.step_of[skip.join] for skip in skips]).fill(tree, chain.root, 1)
    return Lines(_head(graph), tree, *_failure(graph), _sum(told))


class _Writer:
    """Writes groups into the tree; `joins` are the steps at which the told skips join."""

    def __init__(self, chain: Outline, told: Sequence[Account], joins: Sequence[int]) -> None:
        self.chain = chain
        self.at: dict[int, list[Account]] = {}
        for join, skip in zip(joins, told, strict=True):
            self.at.setdefault(join, []).append(skip)

    def skips(self, group: Group) -> list[Account]:
        """Return the skips that join in the group, in the chain's order."""
        found = (self.at.get(step, ()) for step in range(group.first, group.last + 1))
        return [skip for skips in found for skip in skips]

    def modules(self, group: Group) -> Iterator[Group]:
        """Yield the group's children, those of a gathered child that holds joins in its place."""
        for child in group.children:
            if child.gathered and self.skips(child):
                yield from self.modules(child)
            else:
                yield child

    def fill(self, tree: Tree, group: Group, depth: int) -> None:
        """Write the children of the group: groups with skips, the rest as single lines."""
        children = list(self.modules(group))
        block = depth > 1 and any(
            not child.children and child.first in self.at for child in children
        )

        def sort(child: Group) -> object:
            if not self.skips(child):
                return "rest" if not child.children else child
            return self.likeness(child) if child.children else child

        for key, members in groupby(children, sort):
            run = list(members)
            if key == "rest" or not self.skips(run[0]):
                if not block:
                    self.line(tree, run, depth)
                continue
            self.child(tree, run[0], depth)
            if len(run) > 1:
                self.likewise(tree, run, depth)

    def child(self, tree: Tree, child: Group, depth: int) -> None:
        """Write one group, or one step, that holds joins."""
        if not child.children:
            for skip in self.at[child.first]:
                tree.add(_skip(skip))
            return
        self.fill(self.line(tree, [child], depth), child, depth + 1)

    def line(self, tree: Tree, run: Sequence[Group], depth: int) -> Tree:
        """Write the first to the last of a run as one line: names, type, output shape."""
        name = run[0].label if len(run) == 1 else f"{run[0].label} … {run[-1].label}"
        kind = run[0].type if len(run) == 1 else ""
        return tree.add(self.named(name, kind, self.chain.steps[run[-1].last].shape, depth))

    def likewise(self, tree: Tree, run: Sequence[Group], depth: int) -> None:
        """Write that the others of a run are like its first, and their skips in one line each."""
        others = run[1:]
        name = others[0].label if len(others) == 1 else f"{others[0].label} … {others[-1].label}"
        label = self.named(name, "", self.chain.steps[others[-1].last].shape, depth)
        label.append(f"  {f'×{len(others)} ' if len(others) > 1 else ''}like {run[0].label}")
        branch = tree.add(label)
        skips = [skip for group in others for skip in self.skips(group)]
        hidden = range(_LIKE // 2, len(skips) - _LIKE // 2) if len(skips) > _LIKE else range(0)
        for index, skip in enumerate(skips):
            if index not in hidden:
                branch.add(_brief(skip))
            elif index == hidden[0]:
                branch.add(f"… {len(hidden)} more …")

    def named(self, name: str, kind: str, sizes: Sequence[int], depth: int) -> Text:
        """Return name and type, and the shape in a column common to all depths."""
        from rich.text import Text

        text = Text.assemble(name, (f" {kind}" if kind else "", "dim"))
        text.append(" " * max(2, 36 - 4 * depth - len(text)))
        return text.append(shape(sizes) if sizes else "", style="dim")

    def likeness(self, group: Group) -> object:
        """Return what two blocks share when one of them is enough to read."""
        kinds = tuple((s.kind, s.merge, s.marks, s.remarks) for s in self.skips(group))
        return (signature(group, self.chain.steps, shapes=False), kinds)


def _name(skip: Account) -> Text:
    from rich.text import Text

    style = _STYLES[skip.kind]
    return Text.assemble(("↷ ", style), (f"{skip.number} {skip.kind}", f"bold {style}"))


def _brief(skip: Account) -> Text:
    return _name(skip).append(f"  {skip.split.name} → {skip.join.name}")


def _skip(skip: Account) -> Lines:
    from rich.console import Group as Lines
    from rich.table import Table
    from rich.text import Text

    title = _name(skip)
    facts = [skip.merge, f"bypasses {count(skip.bypassed, 'layer')}", skip.alignment, *skip.notes]
    title.append(f"  {', '.join(fact for fact in facts if fact)}")
    for mark in skip.marks:
        title.append(f"  {mark}", style="bold red")
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    table.add_row("  split", _end(skip.split))
    table.add_row("  join", _end(skip.join))
    for name, words in _arms(skip):
        table.add_row(f"  {name}", Text(words))
    return Lines(title, table)


def _end(end: End) -> Text:
    from rich.text import Text

    return Text.assemble(end.name, f"  {end.shape}", (f"  {end.place}" if end.place else "", "dim"))


def _arms(skip: Account) -> list[tuple[str, str]]:
    if len(skip.arms) <= FEW:
        return [_arm(arm) for arm in skip.arms]
    lines = []
    for role, plural in (("branch", "branches"), ("shortcut", "shortcuts")):
        arms = [arm for arm in skip.arms if arm.role == role]
        if len(arms) == 1:
            lines.append(_arm(arms[0]))
        elif arms:
            ends = zip(arms, tails(arms), strict=True)
            names = [arm.named(step) if step else "identity" for arm, step in ends]
            lines.append((f"{len(arms)} {plural}", _shortened(", ".join(names), ", ")))
    return lines


def _arm(arm: ArmAccount) -> tuple[str, str]:
    return arm.role, _shortened(arm.chain) + (", detached" if arm.detached else "")


def _shortened(chain: str, mark: str = " → ") -> str:
    """Return the chain with its middle left out when it is long."""
    steps = chain.split(mark)
    if len(steps) <= _CHAIN:
        return chain
    return mark.join([*steps[:4], f"… {len(steps) - 7} more …", *steps[-3:]])


def _head(graph: Graph) -> Text:
    from rich.text import Text

    inputs = ", ".join(shape(graph.values[i].shape) for i in graph.inputs)
    outputs = ", ".join(shape(graph.values[i].shape) for i in graph.outputs) or "no output"
    facts = [f"{inputs} → {outputs}", count(len(graph.nodes), "operation")]
    return Text(f"{' · '.join(facts)}\n", style="dim")


def _failure(graph: Graph) -> list[Text | Padding]:
    from rich.padding import Padding
    from rich.text import Text

    failure = graph.failure
    if failure is None:
        return []
    where = plain(failure.module) or plain(graph.model)
    head = Text.assemble(
        (f"\nThe forward pass stopped in {where}", "bold red"),
        (f"  {place(failure.source)}", "dim"),
    )
    lines = [plain(line) for line in f"{failure.error}: {failure.message}".splitlines()]
    return [head, Padding(Text("\n".join(lines)), (0, 0, 0, 2))]


def _sum(told: Sequence[Account]) -> Text:
    from rich.text import Text

    text = Text("\n")
    text.append(count(len(told), "skip connection"), style="bold")
    parts = [(f"{number} {kind}", _STYLES[kind]) for kind, number in totals(told).items()]
    for index, (words, style) in enumerate(parts):
        text.append(": " if index == 0 else ", ").append(words, style=style)
    marks = Counter(mark for skip in told for mark in skip.marks)
    marks["not aligned"] = sum("off by" in skip.alignment for skip in told)
    for mark, number in marks.items():
        if number:
            text.append(f", {number} {mark}", style="bold red")
    return text
