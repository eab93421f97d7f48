"""`trace`: one forward pass of a model as a graph, whatever the model does."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Any, Literal

import torch
from torch import nn

from torchskip.graph import Failure, Graph
from torchskip.trace.attempt import Attempt
from torchskip.trace.record import Recorder
from torchskip.trace.standin import RUNGS, Rung

__all__ = ["trace", "unwrapped", "witnessed"]

# `nn.Module.__call__` and the model's tables are swapped while a pass runs.
_LOCK = threading.RLock()
# What meta and fake tensors cannot do, whatever the model: these say nothing about it.
_LACKING = (
    "NotImplementedError",
    "DataDependentOutputException",
    "DynamicOutputShapeException",
    "UnsupportedOperatorException",
)


def trace(
    model: nn.Module,
    *example: Any,
    training: bool | None = None,
    device: Literal["auto", "meta", "fake", "real"] = "auto",
    **kwargs: Any,
) -> Graph:
    """Run ``model(*example, **kwargs)`` without data and return what it did as a `Graph`.

    Shapes come from meta tensors: no memory, no arithmetic. A model that reads values
    (``.item()``, data-dependent control flow) runs on fake tensors and then for real;
    `Graph.device` says which. The model's own mode is used unless `training` is given. The
    model comes back as it was: parameters, buffers, hooks, modes, attributes, random state.

    Never raises for an error of the model's forward: the graph then holds what ran before it
    and says so in `Graph.failure`.

    >>> import torch
    >>> from torch import nn
    >>> graph = trace(nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU()), torch.zeros(1, 3, 8, 8))
    >>> [(node.op, node.module) for node in graph.nodes]
    [('aten.convolution.default', '0'), ('aten.relu.default', '1')]
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"trace needs a torch.nn.Module, got {type(model).__name__}")
    attempt = Attempt(unwrapped(model), example, kwargs, training)
    with _LOCK:
        if device != "auto":
            return _either_way(attempt, device)
        return _ladder(attempt)


def witnessed(
    model: nn.Module,
    example: tuple[Any, ...],
    kwargs: dict[str, Any],
    witness: Callable[[Recorder], AbstractContextManager[Any]] = nullcontext,
    training: bool | None = None,
    start: Rung = "meta",
) -> Graph:
    """Trace with ``witness(recorder)`` entered around every pass; the last pass is the graph's.

    A graph says what ran; a witness also sees who asked for it, such as the call in Python.
    `start` is the first device to try: the one that another pass of the model came to, say.
    """
    attempt = Attempt(unwrapped(model), example, kwargs, training)
    attempt.witness = witness
    with _LOCK:
        return _ladder(attempt, start)


def _ladder(attempt: Attempt, start: Rung = "meta") -> Graph:
    """Try the cheap rungs first; a failure counts when it is the model's and not the rung's."""
    failures: list[Failure] = []
    first = graph = Graph("", (), (), (), ())
    attempt.careful = True
    rungs = list(RUNGS[RUNGS.index(start) :])
    if torch.is_autocast_enabled("cpu") or torch.is_autocast_enabled("cuda"):
        rungs = [rung for rung in rungs if rung != "meta"]
    for rung in rungs:
        if rung == "real" and attempt.without_data:
            break
        graph = _either_way(attempt, rung)
        failure = graph.failure
        graph = replace(graph, attempts=(*failures, *graph.attempts))
        if failure is None or attempt.confirmed:
            break
        if failures and _same(failures[-1], failure):
            return first
        first = first if failures else graph
        failures.append(failure)
    return graph


def _either_way(attempt: Attempt, rung: Rung) -> Graph:
    """Run with gradients, then with a plain input, then without: some models only infer."""
    graph = attempt.run(rung)
    if graph.failure is None or not _about_autograd(graph.failure):
        return graph
    for grad in (True, False):
        again = attempt.run(rung, gradient=False, grad=grad)
        if again.failure is None or not _about_autograd(again.failure):
            return replace(again, attempts=(graph.failure,))
    return graph


def _about_autograd(failure: Failure) -> bool:
    words = ("requires grad", "requires_grad", "is a view and i")  # "is being modified", "its base"
    return any(word in failure.message for word in words)


def _same(before: Failure, now: Failure) -> bool:
    """Whether two rungs failed alike, and not for want of values or kernels."""
    return (
        (before.error, before.message) == (now.error, now.message)
        and now.error not in _LACKING
        and "meta" not in now.message.lower()
        and "fake" not in now.message.lower()
    )


def unwrapped(model: nn.Module) -> nn.Module:
    """Return the model inside parallel wrappers and `torch.compile`."""
    wrappers = (nn.DataParallel, nn.parallel.DistributedDataParallel)
    while True:
        if isinstance(model, wrappers):
            model = model.module
        elif "_orig_mod" in model._modules:
            model = model._modules["_orig_mod"]  # type: ignore[assignment]
        else:
            return model
