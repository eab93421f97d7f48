"""Modules that write into a tensor of their caller's by index, by mask, or over all of it."""

from __future__ import annotations

from collections.abc import Iterator

from torchskip.graph import Node
from torchskip.lint.ops import name
from torchskip.lint.passes import Pass
from torchskip.lint.regions import below

__all__ = ["INTO", "foreign"]

# They have no twin that computes the same in a new tensor from the old one alone.
INTO = frozenset(
    [
        "copy",
        "fill",
        "index_add",
        "index_copy",
        "index_fill",
        "index_put",
        "masked_fill",
        "masked_scatter",
        "scatter",
        "scatter_add",
    ]
)


def foreign(run: Pass) -> Iterator[Node]:
    """Every such write of a module to memory that was not made in it."""
    made: dict[int, int | None] = {}  # who made a memory, by its first value
    for value in run.graph.values:
        made.setdefault(value.memory, value.producer)
    for node in run.graph.nodes:
        if not node.inplace or not node.outputs or not node.module or name(node) not in INTO:
            continue
        maker = made[run.flow.value(node.outputs[0]).memory]
        if maker is None or not below(run.graph.nodes[maker].module, node.module):
            yield node
