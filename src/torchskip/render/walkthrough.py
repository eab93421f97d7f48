"""The walk through a forward pass as a table for the terminal."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from torchskip.explain import Step

if TYPE_CHECKING:
    from rich.table import Table

    from torchskip.graph import Graph

__all__ = ["to_table"]


def to_table(steps: Iterable[Step], graph: Graph) -> Table:
    """Draw the steps, one row each: what runs, the shape it gives, and the plain words."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 2, 1, 0), header_style="dim")
    table.add_column("", justify="right", style="dim")
    table.add_column("step", ratio=2, overflow="fold")
    table.add_column("gives", ratio=2, overflow="fold")
    table.add_column("in plain words", ratio=5)
    start = tuple(graph.values[value].shape for value in graph.inputs)
    table.add_row("", Text("input", "bold"), Text(_shapes(start), "cyan"), "what goes in")
    for number, step in enumerate(steps, 1):
        name = Text.assemble((step.name, "bold"), "\n", (step.type, "dim"))
        gives = Text(_shapes(step.outputs) or "—", "red bold" if step.failed else "cyan")
        words = Text(step.sentence, "red" if step.failed else "")
        table.add_row(str(number), name, gives, words)
    return table


def _shapes(shapes: Iterable[tuple[int, ...]]) -> str:
    return "\n".join("(" + ", ".join(map(str, shape)) + ")" for shape in shapes)
