"""`trace`: one forward pass of a model as a graph, whatever the model does."""

from __future__ import annotations

import inspect
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import replace
from typing import Any, Literal

import torch
from torch import nn
from torch.nn.parameter import UninitializedTensorMixin

from torchskip.graph import Failure, Graph, Module, Parameter, Source
from torchskip.trace.locate import Calls, failing_spot, source, user_code
from torchskip.trace.record import AutocastMet, Recorder
from torchskip.trace.restore import Snapshot, random_state
from torchskip.trace.schema import plain
from torchskip.trace.standin import Rung, StandIns
from torchskip.trace.tape import Tape, dtype_name
from torchskip.trace.tree import leaves, rebuild

__all__ = ["trace"]

# `nn.Module.__call__` and the model's tables are swapped while a pass runs.
_LOCK = threading.RLock()


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
    model = _unwrapped(model)
    with _LOCK:
        if device != "auto":
            return _attempt(model, example, kwargs, training, device)
        return _ladder(model, example, kwargs, training)


def _ladder(
    model: nn.Module, example: tuple[Any, ...], kwargs: dict[str, Any], training: bool | None
) -> Graph:
    """Try the cheap rungs first; a failure counts when it is the model's and not the rung's."""
    attempts: list[Failure] = []
    for rung in ("meta", "fake", "real"):
        graph = _attempt(model, example, kwargs, training, rung)
        if graph.failure is not None and _about_autograd(graph.failure):
            again = _without_gradients(model, example, kwargs, training, rung)
            graph = graph if again is None else replace(again, attempts=(graph.failure,))
        if graph.failure is None:
            return replace(graph, attempts=(*attempts, *graph.attempts))
        if attempts and _same(attempts[-1], graph.failure):
            break
        attempts.append(graph.failure)
        if rung == "fake" and _on_meta(model):
            break
    return replace(graph, attempts=tuple(attempts[:-1]))


def _without_gradients(
    model: nn.Module,
    example: tuple[Any, ...],
    kwargs: dict[str, Any],
    training: bool | None,
    rung: Rung,
) -> Graph | None:
    """Run with a plain input, then with autograd off: some models are for inference alone."""
    for grad in (True, False):
        graph = _attempt(model, example, kwargs, training, rung, gradient=False, grad=grad)
        if graph.failure is None or not _about_autograd(graph.failure):
            return graph
    return None


def _about_autograd(failure: Failure) -> bool:
    words = ("requires grad", "requires_grad", "is a view and is being modified inplace")
    return any(word in failure.message for word in words)


def _same(before: Failure, now: Failure) -> bool:
    """Whether two rungs failed alike, and not for want of values or kernels."""
    lacking = (
        "NotImplementedError",
        "DataDependentOutputException",
        "UnsupportedOperatorException",
    )
    return (
        (before.error, before.message) == (now.error, now.message)
        and now.error not in lacking
        and "meta" not in now.message.lower()
        and "fake" not in now.message.lower()
    )


def _on_meta(model: nn.Module) -> bool:
    return any(p.is_meta for p in model.parameters())


def _attempt(
    model: nn.Module,
    example: tuple[Any, ...],
    kwargs: dict[str, Any],
    training: bool | None,
    rung: Rung,
    *,
    gradient: bool = True,
    grad: bool = True,
) -> Graph:
    calls = Calls(model)
    stand_ins = StandIns(rung)
    failure: tuple[BaseException, str] | None = None
    with random_state():
        snapshot = Snapshot(model)
        names = {
            id(t): name.replace("_orig_mod.", "")
            for name, t in reversed([*_named(model)])  # the first name of a shared one wins
        }
        try:
            if training is not None:
                model.train(training)
            modes = [module.training for module in snapshot.modules]
            snapshot.swap(stand_ins.parameter, stand_ins.buffer)
            for name, tensor in _named(model):
                names.setdefault(id(tensor), name.replace("_orig_mod.", ""))
            recorder = Recorder(calls, stand_ins, names)
            place = _home(snapshot) if rung == "real" else None
            inputs, arguments = rebuild(
                (example, kwargs),
                lambda t: stand_ins.example(t, gradient and rung != "real", place),
            )
            for name, tensor in _named_inputs(model, inputs, arguments):
                recorder.begin(tensor, name)
            with _surroundings(grad), calls.following(recorder.opaque):
                try:
                    with stand_ins.mode or nullcontext(), recorder.recording():
                        result = model(*inputs, **arguments)
                        recorder.end(result)
                except AutocastMet:
                    message = "autocast does nothing on meta tensors"
                    failure = NotImplementedError(message), ""
                except Exception as error:
                    failed = calls.failed
                    path = failed[1].path if failed and failed[0] is error else ""
                    failure = error, path
        finally:
            snapshot.restore()
    recorder.tape.prune()
    broken = None if failure is None else _failure(*failure, recorder, rung)
    tape = recorder.tape
    return Graph(
        model=type(model).__name__,
        nodes=tape.frozen_nodes(),
        values=tape.frozen_values(),
        inputs=tuple(tape.inputs),
        outputs=tuple(tape.outputs),
        modules=_modules(model, calls, dict(zip(map(id, snapshot.modules), modes, strict=True))),
        parameters=_parameters(model, tape),
        failure=broken,
        training=modes[0],
        device=rung,
        output_names=tuple(tape.output_names),
        grad=grad,
    )


def _unwrapped(model: nn.Module) -> nn.Module:
    """Return the model inside parallel wrappers and `torch.compile`."""
    wrappers = (nn.DataParallel, nn.parallel.DistributedDataParallel)
    while True:
        if isinstance(model, wrappers):
            model = model.module
        elif "_orig_mod" in model._modules:
            model = model._modules["_orig_mod"]  # type: ignore[assignment]
        else:
            return model


@contextmanager
def _surroundings(grad: bool) -> Iterator[None]:
    """Make the pass independent of the caller's modes, and of kernels that hide operations."""
    fastpath = torch.backends.mha.get_fastpath_enabled()
    with ExitStack() as stack:
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.set_grad_enabled(grad))
        if "torch._dynamo" in sys.modules:  # else nothing is compiled, and it is slow to import
            stack.enter_context(torch.compiler.set_stance("force_eager"))
        torch.backends.mha.set_fastpath_enabled(False)
        try:
            yield
        finally:
            torch.backends.mha.set_fastpath_enabled(fastpath)


def _named(model: nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    yield from model.named_parameters(remove_duplicate=False)
    yield from model.named_buffers(remove_duplicate=False)


def _home(snapshot: Snapshot) -> torch.device | None:
    for module in snapshot.modules:
        for tensor in (*module.parameters(recurse=False), *module.buffers(recurse=False)):
            return tensor.device
    return None


def _named_inputs(
    model: nn.Module, example: tuple[Any, ...], kwargs: dict[str, Any]
) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield the tensors of the example, named after the arguments of forward."""
    try:
        bound = inspect.signature(model.forward).bind(*example, **kwargs).arguments
    except (TypeError, ValueError):
        bound = {f"[{i}]": item for i, item in enumerate(example)} | kwargs
    for name, item in bound.items():
        yield from leaves(item, name)


def _failure(error: BaseException, path: str, recorder: Recorder, rung: Rung) -> Failure:
    """Describe `error`; when an operation raised it, that becomes the tape's last node."""
    inside = False
    chain: BaseException | None = error
    while recorder.failed is not None and chain is not None and not inside:
        inside = chain is recorder.failed[0]
        chain = chain.__cause__ or chain.__context__
    if inside and recorder.failed is not None:
        recorder.tape.node(recorder.failed[1])
    recorder.tape.prune()
    return Failure(
        error=type(error).__name__,
        message=str(error),
        module=path,
        source=source(failing_spot(error.__traceback__)),
        node=len(recorder.tape.nodes) - 1 if inside else None,
        device=rung,
    )


def _modules(model: nn.Module, calls: Calls, modes: dict[int, bool]) -> tuple[Module, ...]:
    found = []
    for _, module in model.named_modules():
        found.append(
            Module(
                path=calls.paths[id(module)],
                type=type(module).__name__,
                calls=calls.counts.get(id(module), 0),
                leaf=not module._modules,
                source=_definition(module),
                training=modes[id(module)],
                attributes=_attributes(module),
            )
        )
    return tuple(found)


def _definition(module: nn.Module) -> Source | None:
    code = getattr(getattr(type(module), "forward", None), "__code__", None)
    if code is None or not user_code(code):
        return None
    return Source(code.co_filename, code.co_firstlineno, code.co_qualname)


def _attributes(module: nn.Module) -> tuple[tuple[str, object], ...]:
    return tuple(
        (name, plain(item))
        for name, item in module.__dict__.items()
        if name[0] != "_" and name != "training" and _is_setting(item)
    )


def _is_setting(item: Any) -> bool:
    if isinstance(item, (list, tuple)):
        return len(item) <= 8 and all(map(_is_setting, item))
    return item is None or isinstance(item, (bool, int, float, str))


def _parameters(model: nn.Module, tape: Tape) -> tuple[Parameter, ...]:
    readers: dict[str, list[int]] = {}
    for draft in tape.nodes:
        for _, _, _, names in draft.constants:
            for name in names:
                nodes = readers.setdefault(name, [])
                if not nodes or nodes[-1] != draft.index:
                    nodes.append(draft.index)
    first: dict[int, str] = {}
    found = []
    for name, tensor in _named(model):
        name = name.replace("_orig_mod.", "")
        first.setdefault(id(tensor), name)
        lazy = isinstance(tensor, UninitializedTensorMixin)
        found.append(
            Parameter(
                name=name,
                shape=() if lazy else tuple(tensor.shape),
                dtype=dtype_name(tensor.dtype),
                buffer=not isinstance(tensor, nn.Parameter),
                readers=tuple(readers.get(first[id(tensor)], ())),
                requires_grad=tensor.requires_grad,
            )
        )
    return tuple(found)
