"""Record one forward pass, operation by operation, below autograd."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from torchskip.trace.kernels import Kernels
from torchskip.trace.locate import Calls
from torchskip.trace.memory import extent
from torchskip.trace.redirect import Places, Redirect
from torchskip.trace.schema import Plan, plain, plan
from torchskip.trace.standin import StandIns
from torchskip.trace.tape import Draft, Tape, constant
from torchskip.trace.tree import leaves
from torchskip.trace.values import Values
from torchskip.trace.verdict import verdict

__all__ = ["Recorder"]

_COPY = torch.ops.aten.copy_.default


class Recorder(TorchDispatchMode):
    """Sees every operation of this thread and writes down those that depend on the input."""

    def __init__(
        self, calls: Calls, stand_ins: StandIns, names: dict[int, tuple[str, ...]]
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.calls = calls
        self.tape = Tape()
        self.failed: tuple[BaseException, Draft] | None = None
        self.verdict: str | None = None  # what the failed operation says on real tensors
        self.paused = 0  # inside something recorded as one node
        self.rung = stand_ins.rung
        self.values = Values(self.tape, calls, names)
        self._redirect = Redirect(stand_ins, self.values)
        self._plans: dict[Any, Plan] = {}
        self._kernels = Kernels(stand_ins.rung)

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # else every operation pays for a wrapper that keeps compilers out

    def begin(self, tensor: torch.Tensor, name: str) -> None:
        """Make `tensor` a model input."""
        self.tape.inputs.append(self.values.enter(tensor, name))

    def end(self, result: Any) -> None:
        """Make the tensors of `result` the model's outputs."""
        for name, tensor in leaves(result):
            value = self.values.of(tensor)
            if value is not None:
                self.tape.outputs.append(value)
                self.tape.output_names.append(name)

    def forget(self) -> None:
        """Leave no trace on tensors that outlive the pass."""
        self.values.forget()
        self._redirect.forget()

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if func.namespace == "prim":  # a fake tensor is asked for its device
            return func(*args, **kwargs)
        scheme = self._plans.get(func)
        if scheme is None:
            scheme = self._plans[func] = plan(func)
        if scheme.composite:
            with self:
                split = func.decompose(*args, **kwargs)
            if split is not NotImplemented:
                return split
        tensors = _tensors(scheme, args, kwargs)
        if self.paused or (func is _COPY and _onto_itself(tensors)):  # as `y[:, :2] += z` ends
            args, kwargs = self._redirect.arguments(scheme, tensors, args, kwargs, ())
            result = self._kernels.run(func, scheme, args, kwargs)
            self._constant(tensors, result)
            return result
        held, inputs = self._read(scheme, tensors)
        draft = None
        if inputs or any(id(t) in held for place, t in tensors if place in scheme.writes):
            draft = self._draft(scheme, tensors, inputs, held, args, kwargs)
        args, kwargs = self._redirect.arguments(scheme, tensors, args, kwargs, held)
        try:
            result = self._kernels.run(func, scheme, args, kwargs)
        except Exception as error:
            if draft is not None:
                self.failed = error, draft
                self.verdict = None if self.rung == "real" else verdict(func, args, kwargs)
            raise
        if draft is None:
            self._constant(tensors, result)
        else:
            self._results(scheme, draft, tensors, held, result)
        return result

    def as_one(
        self, draft: Draft, tensors: Places, parameters: Places, run: Callable[[], Any]
    ) -> Any:
        """Run something whose operations stay hidden behind one node."""
        held = [(place, tensor, self.values.of(tensor)) for place, tensor in tensors]
        draft.inputs = [(place, value) for place, _, value in held if value is not None]
        draft.grad = torch.is_grad_enabled()
        constants = [(place, tensor) for place, tensor, value in held if value is None]
        constants += parameters
        draft.constants = [constant(p, t, self.values.origin(t)) for p, t in constants]
        draft.learns = any(tensor.requires_grad for _, tensor in constants)
        self.paused += 1
        try:
            result = run()
        except Exception as error:
            if draft.inputs:
                self.failed, self.verdict = (error, draft), None
            raise
        finally:
            self.paused -= 1
        if draft.inputs:
            node = self.tape.node(draft)
            for _, tensor in leaves(result):
                self.values.born(tensor, node)
        return result

    def _read(self, scheme: Plan, tensors: Places) -> tuple[dict[int, int], list[tuple[str, int]]]:
        """Return the values by tensor, and those that the operation reads with their places."""
        held: dict[int, int] = {}
        inputs = []
        for place, tensor in tensors:
            unread = place in scheme.unread
            value = self.values.before(tensor) if unread else self.values.of(tensor)
            if value is not None:
                held[id(tensor)] = value
                if scheme.reads and not unread:
                    inputs.append((place, value))
        return held, inputs

    def _draft(
        self,
        scheme: Plan,
        tensors: Places,
        inputs: list[tuple[str, int]],
        held: dict[int, int],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Draft:
        draft = Draft(scheme.op, inputs, *self.calls.now())
        draft.grad = torch.is_grad_enabled()
        draft.inplace = bool(scheme.writes)
        draft.view = scheme.view
        constants = [
            (place, t) for place, t in tensors if id(t) not in held and place not in scheme.unread
        ]
        draft.constants = [constant(place, t, self.values.origin(t)) for place, t in constants]
        draft.learns = any(t.requires_grad for _, t in constants)
        given = dict(zip(scheme.names, args, strict=False)) | kwargs
        busy = {place.partition("[")[0] for place, _ in tensors}
        draft.arguments = tuple(
            [
                (name, plain(given[name])) if name in given else (name, default)
                for name, default in scheme.defaults
                if name not in busy
            ]
        )
        return draft

    def _constant(self, tensors: Places, result: Any) -> None:
        """Hand the names of parameters on to what is computed from them."""
        names: tuple[str, ...] = ()
        for _, tensor in tensors:
            origin = self.values.origin(tensor)
            if origin and origin != names:
                names = tuple(dict.fromkeys(names + origin))
        for tensor in _flat(result):
            if not tensor.is_meta and not any(_shares(tensor, t) for _, t in tensors):
                self.values.memories.made(tensor)
            self.values.derive(tensor, names)

    def _results(
        self,
        scheme: Plan,
        draft: Draft,
        tensors: Places,
        held: dict[int, int],
        result: Any,
    ) -> None:
        """Give new versions to what was written and values to what came out."""
        node = self.tape.node(draft)
        if scheme.writes:
            written = [t for place, t in tensors if place.partition("[")[0] in scheme.writes]
            for key, tensor in {id(t): t for t in written}.items():
                self.values.written(tensor, node, held.get(key))
        if not draft.inputs:
            return
        places = dict(tensors)
        items = result if len(scheme.results) > 1 else (result,)
        for item, same, viewed in zip(items, scheme.results, scheme.views, strict=False):
            if same is not None:
                continue
            base = places.get(viewed) if viewed else None
            for tensor in _flat(item):
                if base is not None and id(base) in held:
                    self.values.viewed(tensor, node, base, held[id(base)])
                else:
                    self.values.born(tensor, node)


def _onto_itself(tensors: Places) -> bool:
    (_, target), (_, origin) = tensors
    return target is origin or (
        target.layout is origin.layout is torch.strided
        and target.dtype is origin.dtype
        and _shares(target, origin)
        and extent(target) == extent(origin)
    )


def _shares(a: torch.Tensor, b: torch.Tensor) -> bool:
    if a.layout is not torch.strided or b.layout is not torch.strided:
        return a is b
    return bool(a.untyped_storage()._cdata == b.untyped_storage()._cdata)


def _flat(result: Any) -> Iterable[torch.Tensor]:
    if isinstance(result, torch.Tensor):
        return (result,)
    if isinstance(result, (list, tuple)):
        return [t for item in result for t in _flat(item)]
    return ()


def _tensors(scheme: Plan, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Places:
    """Return every tensor argument with its place, in the order of the schema."""
    found: Places = []
    for i, name in scheme.tensors:
        item = args[i] if i < len(args) else kwargs.get(name)
        if isinstance(item, torch.Tensor):
            found.append((name, item))
        elif isinstance(item, (list, tuple)):
            found.extend(
                [(f"{name}[{i}]", t) for i, t in enumerate(item) if isinstance(t, torch.Tensor)]
            )
    return found
