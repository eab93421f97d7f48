"""One forward pass on one rung, with the model put back as it was."""

from __future__ import annotations

import gc
import inspect
import logging
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from torchskip.graph import Failure, Graph
from torchskip.trace.failing import failing_call
from torchskip.trace.inventory import modules, named, parameters
from torchskip.trace.locate import Calls, failing_spot, source
from torchskip.trace.opaque import opaque
from torchskip.trace.record import Recorder
from torchskip.trace.restore import Snapshot, random_state
from torchskip.trace.standin import Rung, StandIns
from torchskip.trace.tree import leaves, rebuild

__all__ = ["Attempt"]


class _AutocastMet(BaseException):
    """Autocast does nothing on meta tensors. No `Exception`: a forward must not catch it."""


class Attempt:
    """A model with its example, ready to run on any rung.

    `careful` gives the meta rung up where autocast would change types; `confirmed` says of
    the last failure that real tensors fail alike; `witness` makes a context to run inside.
    """

    def __init__(
        self,
        model: nn.Module,
        example: tuple[Any, ...],
        kwargs: dict[str, Any],
        training: bool | None,
    ) -> None:
        self.model = model
        self.example = example
        self.kwargs = kwargs
        self.training = training
        self.careful = False
        self.confirmed = False
        self.witness: Callable[[Recorder], AbstractContextManager[Any]] = nullcontext

    @property
    def without_data(self) -> bool:
        """Whether the model or its example holds no data: nothing can run for real."""
        given = (tensor for _, tensor in leaves((self.example, self.kwargs)))
        return any(t.is_meta for t in (*self.model.parameters(), *given))

    def run(self, rung: Rung, *, gradient: bool = True, grad: bool = True) -> Graph:
        """Run the model; `gradient` is that of the example, `grad` autograd's mode."""
        with _no_collection(rung):
            return self._graph(rung, gradient, grad)

    def _graph(self, rung: Rung, gradient: bool, grad: bool) -> Graph:
        calls = Calls(self.model)
        careful = rung == "meta" and self.careful
        with random_state(), _surroundings(grad, careful):
            snapshot = Snapshot(module for _, module in calls.modules)
            tensors = [*named(self.model)]
            try:
                if self.training is not None:
                    self.model.train(self.training)
                modes = {id(module): module.training for module in snapshot.modules}
                recorder, error = self._record(rung, calls, snapshot, tensors, gradient)
            finally:
                snapshot.restore()
        failure = None if error is None else self._failure(error, recorder, rung)
        tape = recorder.tape
        tape.prune()
        tape.reveal()
        return Graph(
            model=type(self.model).__name__,
            nodes=tape.frozen_nodes(),
            values=tape.frozen_values(),
            inputs=tuple(tape.inputs),
            outputs=tuple(tape.outputs),
            modules=modules(calls, modes),
            parameters=parameters(tensors, tape),
            failure=failure and _numbered(failure, len(tape.nodes) - 1),
            training=modes[id(self.model)],
            device=rung,
            output_names=tuple(tape.output_names),
            grad=grad,
        )

    def _record(
        self,
        rung: Rung,
        calls: Calls,
        snapshot: Snapshot,
        tensors: list[tuple[str, torch.Tensor]],
        gradient: bool,
    ) -> tuple[Recorder, BaseException | None]:
        """Put stand-ins into the model and run it under a recorder; return the run's error."""
        stand_ins = StandIns(rung)
        home = tensors[0][1].device if tensors else None
        snapshot.swap(stand_ins.parameter, stand_ins.buffer)
        recorder = Recorder(calls, stand_ins, _names(tensors, stand_ins))
        args, kwargs = rebuild(
            (self.example, self.kwargs), lambda t: stand_ins.example(t, gradient, home)
        )
        for name, tensor in _named_inputs(self.model, args, kwargs):
            recorder.begin(tensor, name)
        with opaque(recorder):
            try:
                with stand_ins.mode or nullcontext(), recorder, self.witness(recorder):
                    recorder.end(self.model(*args, **kwargs))
            except (Exception, SystemExit, _AutocastMet) as caught:
                return recorder, caught
            finally:
                recorder.forget()
        return recorder, None

    def _failure(self, error: BaseException, recorder: Recorder, rung: Rung) -> Failure:
        """Describe `error`; when an operation raised it, that becomes the tape's last node."""
        inside, message = False, str(error)
        chain: BaseException | None = error
        while recorder.failed is not None and chain is not None and not inside:
            inside = chain is recorder.failed[0]
            chain = chain.__cause__ or chain.__context__
        self.confirmed = rung == "real"
        draft = failing_call(error, recorder.values, recorder.calls)
        if inside and recorder.failed is not None:
            draft = recorder.failed[1]
            if recorder.verdict is not None:
                self.confirmed, message = True, recorder.verdict
        if draft is not None:
            recorder.tape.node(draft)
        failed = recorder.calls.failed
        return Failure(
            error=type(error).__name__,
            message=message,
            module=failed[1].path if failed and failed[0] is error else "",
            source=source(failing_spot(error.__traceback__)),
            node=None if draft is None else -1,
            device=rung,
        )


def _numbered(failure: Failure, last: int) -> Failure:
    return failure if failure.node is None else replace(failure, node=last)


def _names(
    tensors: list[tuple[str, torch.Tensor]], stand_ins: StandIns
) -> dict[int, tuple[str, ...]]:
    """Return the names by identity, stand-ins included; the first name of a shared one wins."""
    names: dict[int, tuple[str, ...]] = {}
    for name, tensor in tensors:
        only = names.setdefault(id(tensor), (name,))
        other = stand_ins.known(tensor)
        if other is not None:
            names.setdefault(id(other), only)
    return names


@contextmanager
def _surroundings(grad: bool, careful: bool) -> Iterator[None]:
    """Make the pass independent of the caller's modes, and of kernels that hide operations."""
    fastpath = torch.backends.mha.get_fastpath_enabled()
    with ExitStack() as stack:
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.set_grad_enabled(grad))
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")  # where warnings are errors, the model's are none
        if "torch._dynamo" in sys.modules:  # else nothing is compiled, and it is slow to import
            stack.enter_context(torch.compiler.set_stance("force_eager"))
        stack.callback(torch.backends.mha.set_fastpath_enabled, fastpath)
        torch.backends.mha.set_fastpath_enabled(False)
        logger = logging.getLogger("torch._subclasses.fake_tensor")  # logs what it raises
        stack.callback(setattr, logger, "disabled", logger.disabled)
        logger.disabled = True
        if careful:
            enter = torch.autocast.__enter__
            stack.callback(setattr, torch.autocast, "__enter__", enter)
            torch.autocast.__enter__ = _met  # type: ignore[method-assign]
        yield


@contextmanager
def _no_collection(rung: Rung) -> Iterator[None]:
    """Keep the garbage collector away where nothing is large.

    It would walk a growing graph; and all of its tensors, were it let in before they are gone.
    """
    on = gc.isenabled() and rung != "real"
    if on:
        gc.disable()
    try:
        yield
    finally:
        if on:
            gc.enable()


def _met(region: torch.autocast) -> None:
    raise _AutocastMet("autocast does nothing on meta tensors")


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
