"""What goes in and out of a model's modules, as values of its graph."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from torchskip.errors import SurgeryError
from torchskip.graph import Graph
from torchskip.surgery.witness import explain
from torchskip.trace.record import Recorder
from torchskip.trace.tracer import witnessed
from torchskip.trace.tree import leaves

__all__ = ["Borders", "follow"]


@dataclass(slots=True)
class Borders:
    """A graph and the modules by the value that goes in and that comes out, innermost first."""

    graph: Graph
    first: dict[int, list[str]]
    last: dict[int, list[str]]

    def ends(self, path: str) -> tuple[int | None, int | None]:
        """Return what goes into a module and what comes out."""
        inputs = [v for v, paths in self.first.items() if path in paths]
        outputs = [v for v, paths in self.last.items() if path in paths]
        return inputs[0] if inputs else None, outputs[0] if outputs else None

    def around(self, start: int, end: int, nodes: list[int]) -> tuple[str, str] | None:
        """Return the innermost modules that take `start` and give `end`, if there are such."""
        first = _innermost(self.first.get(start, []), self.graph.nodes[nodes[0]].module)
        last = _innermost(self.last.get(end, []), self.graph.nodes[nodes[-1]].module)
        return None if first is None or last is None else (first, last)


@dataclass(slots=True)
class _Noted:
    """What hooks saw go in and out of the modules, as entries of the tape."""

    recorder: Recorder
    first: list[tuple[str, Any]] = field(default_factory=list)
    last: list[tuple[str, Any]] = field(default_factory=list)


def follow(twin: nn.Module, example: tuple[Any, ...], kwargs: dict[str, Any]) -> Borders:
    """Trace `twin` and note what its modules take and give, where each runs once.

    Raises:
        SurgeryError: the forward pass raises.

    """
    noted: list[_Noted] = []

    def entry(value: Any) -> Any:
        tensor = next((t for _, t in leaves(value)), None)
        held = None if tensor is None else noted[-1].recorder.values.before(tensor)
        return None if held is None else noted[-1].recorder.tape.entries[held]

    def enters(path: str, _module: nn.Module, args: Any, kwargs: Any) -> None:
        given = [t for t in (*args, *kwargs.values()) if isinstance(t, Tensor)]
        noted[-1].first.append((path, entry(given[0]) if given else None))

    def leaves_it(path: str, _module: nn.Module, _args: Any, output: Any) -> None:
        noted[-1].last.append((path, entry(output) if isinstance(output, Tensor) else None))

    @contextmanager
    def witness(recorder: Recorder) -> Iterator[None]:
        noted.append(_Noted(recorder))
        yield

    with ExitStack() as undo:
        for path, module in twin.named_modules():
            if isinstance(module, torch.jit.ScriptModule):
                continue
            pre = module.register_forward_pre_hook(partial(enters, path), with_kwargs=True)
            post = module.register_forward_hook(partial(leaves_it, path))
            undo.callback(pre.remove)
            undo.callback(post.remove)
        graph = witnessed(twin, example, kwargs, witness, training=False)
    if graph.failure is not None:
        raise SurgeryError(explain(graph, graph.failure))
    once = {m.path for m in graph.modules if m.calls == 1}
    numbers = {id(e): v for v, e in enumerate(noted[-1].recorder.tape.entries)}
    borders = Borders(graph, defaultdict(list), defaultdict(list))
    for path, seen in reversed(noted[-1].first):
        if path in once and seen is not None and id(seen) in numbers:
            borders.first[numbers[id(seen)]].append(path)
    for path, seen in noted[-1].last:
        holds = isinstance(twin.get_submodule(path), nn.Sequential | nn.ModuleList | nn.ModuleDict)
        if path in once and seen is not None and id(seen) in numbers and not holds:
            borders.last[numbers[id(seen)]].append(path)
    return borders


def _innermost(paths: list[str], module: str) -> str | None:
    """Return the longest of `paths` that is `module` or holds it."""
    around = [p for p in paths if f"{module}.".startswith(f"{p}." if p else "")]
    return max(around, key=len, default=None)
