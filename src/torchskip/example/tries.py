"""Inputs that a model was tried with, and what its failures say: the model or the input."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from textwrap import shorten

from torch import nn

from torchskip.errors import SpecError
from torchskip.example.given import Example
from torchskip.graph import Graph, Node
from torchskip.trace import trace

__all__ = ["Try", "UnknownInput", "own_fault", "tried", "unknown"]

# Errors of Python code that no other input would have avoided.
_OWN = frozenset({"NameError", "UnboundLocalError"})
# And those that say nothing of the input either: something is not here.
_ABSENT = frozenset({"ModuleNotFoundError", "ImportError", "NotImplementedError", "SystemExit"})
_BUILDS = ("CUDA", "C++ ops")  # what torch and torchvision say that they were built without
_CHANNELS = {"convolution": 1, "_convolution": 1, "addmm": -1, "mm": -1, "linear": -1}
_NORMS = frozenset({"native_batch_norm", "batch_norm", "native_group_norm", "group_norm"})
_JOINS = frozenset({"add", "add_", "sub", "sub_", "mul", "mul_", "cat", "concat", "stack"})


class UnknownInput(SpecError):  # noqa: N818
    """A model ran with none of the inputs tried; with ``nearest`` it came farthest."""

    def __init__(self, tries: Sequence[Try]) -> None:
        super().__init__(unknown(tries))
        self.nearest = max(tries, key=lambda one: len(one.graph.nodes))


@dataclass(frozen=True, slots=True, eq=False)
class Try:
    """One pass without data of a model on an example."""

    example: Example
    graph: Graph

    @property
    def runs(self) -> bool:
        """Whether the model takes the example."""
        return self.graph.failure is None

    @property
    def refused_by(self) -> str:
        """The module that raised."""
        return "" if self.graph.failure is None else self.graph.failure.module

    @property
    def place(self) -> tuple[object, ...] | None:
        """Where a layer or a join refused what earlier layers made of one input alone.

        With the channels that it was given. None where the input itself may be the reason: no
        layer had taken it, several were guessed, or nothing but code refused it.
        """
        failure, graph = self.graph.failure, self.graph
        if failure is None:
            return None
        if failure.node is None:
            own = failure.error in _OWN or "object has no attribute" in failure.message
            tensors = "'Tensor'" in failure.message or "'NoneType'" in failure.message
            return (failure.error, failure.message) if own and not tensors else None
        node = graph.nodes[failure.node]
        roots, layers = _behind(graph, node)
        op = node.op.split(".")[1 if node.op.startswith("aten.") else -1]
        if layers == 0 or len(roots) != 1 or _taken_as_list(graph):
            return None
        if op in _JOINS and len(node.inputs) > 1:
            return (node.module, op, node.source)
        axis = 1 if op in _NORMS else _CHANNELS.get(op)
        given = graph.values[node.inputs[0]].shape
        if axis is None or len(given) < 2:
            return None
        return (node.module, op, node.source, given[axis])


def tried(model: nn.Module, example: Example) -> Try:
    """Run a model on an example without data, in evaluation: one batch has no statistics.

    A model that reads values is run with them.
    """
    graph = trace(model, *example.tensors, training=False, device="meta")
    failure = graph.failure
    if failure is not None and ("NotImpl" in failure.error or "meta" in failure.message.lower()):
        graph = trace(model, *example.filled().tensors, training=False)
    return Try(example, graph)


def own_fault(tries: Sequence[Try]) -> Try | None:
    """The first try of those that show the model's own fault; None where the input may be it.

    Wherever a layer had taken the input, the same place refuses the same channels: another
    size would not have helped. One try alone says nothing of sizes, and does not count.
    """
    taken = [one for one in tries if one.place is not None]
    elsewhere = [one for one in tries if one.place is None and _deep(one)]
    if len(taken) < 2 or elsewhere or len({one.place for one in taken}) > 1:
        return None
    return taken[0]


def unknown(tries: Sequence[Try]) -> str:
    """Say that no input was found, what was tried, and what refused it."""
    first = tries[0]
    failure = first.graph.failure
    said = "" if failure is None else failure.message.strip().partition("\n")[0]
    said = shorten(said, 300, placeholder=" ...")
    if failure is not None and (
        failure.error in _ABSENT or any(words in failure.message for words in _BUILDS)
    ):
        return f"it cannot be run here: {failure.error}: {said}"
    where = f" in {first.refused_by!r}" if first.refused_by else ""
    others = f", and {len(tries) - 1} others fail too" if len(tries) > 1 else ""
    return (
        f"its input is unknown: {first.example.shapes} ({first.example.reason}) fails{where}: "
        f"{failure.error if failure else ''}: {said}{others}; mend: --input 1,3,32,32 (two: "
        "'1,3,32,32 1,10'); a dictionary or a list in Python, as torchskip.check(model, batch)"
    )


def _taken_as_list(graph: Graph) -> bool:
    """Whether forward takes the input's first axis apart, as it would a list of tensors."""
    return any(
        (node.op.startswith("aten.select.") and node.argument("dim", 0) == 0)
        or (node.op.startswith("aten.unbind.") and node.argument("dim", 0) == 0)
        for node in graph.nodes
        if set(node.inputs) & set(graph.inputs)
    )


def _deep(one: Try) -> bool:
    """Whether a try failed in an operation behind a layer."""
    failure = one.graph.failure
    if failure is None or failure.node is None:
        return False
    return _behind(one.graph, one.graph.nodes[failure.node])[1] > 0


def _behind(graph: Graph, node: Node) -> tuple[set[int], int]:
    """The graph's inputs that an operation reads, and how many layers lie between."""
    makers = {value: n for n in graph.nodes for value in n.outputs}
    roots: set[int] = set()
    layers = 0
    seen: set[int] = set()
    open_ = list(node.inputs)
    while open_:
        value = open_.pop()
        if value in seen:
            continue
        seen.add(value)
        maker = makers.get(value)
        if maker is None:
            roots.add(value)
            continue
        layers += any(c.names for c in maker.constants)
        open_ += maker.inputs
    return roots, layers
