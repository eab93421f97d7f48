"""Who asked for the nodes of a graph: the call of a torch function in a module's forward."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn
from torch.overrides import TorchFunctionMode

from torchskip.errors import SurgeryError
from torchskip.graph import Failure, Graph, Node
from torchskip.surgery.place import Spot, operands, place
from torchskip.trace.record import Recorder
from torchskip.trace.tape import Draft
from torchskip.trace.tracer import witnessed

__all__ = ["Asked", "Site", "Witnessed", "explain", "watch"]


@dataclass(frozen=True, slots=True)
class Site:
    """One call of a torch function: in a module's forward, the `visit`-th time at its spot.

    `call` counts the module's calls in one pass, as `Node.call` does.
    """

    module: str
    call: int
    function: str
    spot: Spot
    visit: int


@dataclass(frozen=True, slots=True)
class Asked:
    """A site and the values that the call's tensors held before and after it.

    `inside` names what re-runs or hides its backward, if anything (`Place.inside`).
    """

    site: Site
    before: tuple[int | None, ...]
    after: tuple[int | None, ...]
    inside: str


@dataclass(frozen=True, slots=True)
class Witnessed:
    """A graph, and for each of its nodes who asked for it.

    `visits` counts the torch calls by module, call, function and spot.
    """

    graph: Graph
    by_node: dict[int, Asked]
    visits: dict[tuple[str, int, str, Spot], int]

    def operand(self, node: Node, value: int) -> tuple[Asked, tuple[int, ...]]:
        """Return the call behind `node` and which of its tensors hold `value`.

        Raises:
            SurgeryError: nobody in Python asked, or not with that value.

        """
        asked = self.by_node.get(node.index)
        where = describe(node)
        if asked is None:
            raise SurgeryError(
                f"{where} cannot be cut: it runs in TorchScript or inside another torch "
                "function\n  mend: write it in a module's forward, in Python"
            )
        if asked.inside:
            raise SurgeryError(
                f"{where} cannot be cut: it runs in {asked.inside}\n"
                "  mend: give the block a module of its own, or leave this skip out with which=..."
            )
        held = {value}
        base = self.graph.values[value].base
        while base is not None:  # torch itself views what `y[0] = x` assigns
            held.add(base)
            base = self.graph.values[base].base
        pairs = list(zip(asked.before, asked.after, strict=True))
        exact = tuple(i for i, pair in enumerate(pairs) if value in pair)
        found = exact or tuple(i for i, (first, _) in enumerate(pairs) if first in held)
        if not found:
            raise SurgeryError(
                f"{where} cannot be cut: its operand is made inside {asked.site.function}\n"
                "  mend: leave this skip out with which=..."
            )
        return asked, found


class _Witness(TorchFunctionMode):
    """Notes every call of a torch function next to the recorder that sees the operations."""

    def __init__(self, recorder: Recorder) -> None:
        super().__init__()
        self._recorder = recorder
        self._notes: list[tuple[Site, list[Draft], list[Any], list[Any], str]] = []
        self.visits: Counter[tuple[str, int, str, Spot]] = Counter()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        at = place()
        if at is None:
            return func(*args, **kwargs)
        values, nodes = self._recorder.values, self._recorder.tape.nodes
        caller = self._recorder.calls.stack[-1]
        name = getattr(func, "__name__", "")
        key = caller.path, caller.number, name, at.spot
        site = Site(*key, visit=self.visits[key])
        self.visits[key] += 1
        tensors = operands(args, kwargs)
        before, first = [values.before(t) for t in tensors], len(nodes)
        result = func(*args, **kwargs)
        if len(nodes) > first:
            after = [values.before(t) for t in tensors]
            self._notes.append(
                (site, nodes[first:], self._kept(before), self._kept(after), at.inside)
            )
        return result

    def _kept(self, values: list[int | None]) -> list[Any]:
        """Return the tape's entries, which keep their identity where numbers are given anew."""
        return [None if v is None else self._recorder.tape.entries[v] for v in values]

    def asked(self) -> dict[int, Asked]:
        """Return who asked for each node of the finished tape."""
        numbers = {id(entry): v for v, entry in enumerate(self._recorder.tape.entries)}
        found: dict[int, Asked] = {}
        for site, drafts, before, after, inside in self._notes:
            first = tuple(numbers.get(id(entry)) for entry in before)
            last = tuple(numbers.get(id(entry)) for entry in after)
            asked = Asked(site, first, last, inside)
            found.update((draft.index, asked) for draft in drafts if draft.index >= 0)
        return found


def watch(
    model: nn.Module, example: Sequence[Any], kwargs: dict[str, Any], training: bool
) -> Witnessed:
    """Trace `model` and remember who asked for every node.

    Raises:
        SurgeryError: the forward pass raises.

    """
    last: list[_Witness] = []

    def witness(recorder: Recorder) -> _Witness:
        last.append(_Witness(recorder))
        return last[-1]

    graph = witnessed(model, tuple(example), kwargs, witness, training)
    if graph.failure is not None:
        raise SurgeryError(explain(graph, graph.failure))
    return Witnessed(graph, last[-1].asked(), dict(last[-1].visits))


def explain(graph: Graph, failure: Failure) -> str:
    """Say why a pass of `graph` failed and where."""
    where = f" in '{failure.module}'" if failure.module else ""
    source = failure.source
    at = f"\n  at {source.file}:{source.line}  {source.text}" if source is not None else ""
    return (
        f"{graph.model} does not run on the example{where}\n"
        f"  {failure.error}: {failure.message}{at}\n"
        "  mend: give an example that the model accepts; surgery follows one forward pass"
    )


def describe(node: Node) -> str:
    """Say where `node` is: module and source line."""
    source = node.source
    text = f" `{source.text}`" if source is not None and source.text else ""
    return f"the join{text}" + (f" in '{node.module}'" if node.module else "")
