"""Record one forward pass, operation by operation, below autograd."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from torchskip.trace.locate import Calls, here, inside_function
from torchskip.trace.memory import Memories, Memory, extent
from torchskip.trace.schema import Plan, plain, plan
from torchskip.trace.shapes import RULES
from torchskip.trace.standin import StandIns
from torchskip.trace.tape import Draft, Tape
from torchskip.trace.tree import leaves
from torchskip.trace.verdict import verdict

__all__ = ["Recorder"]

_ATTENTION: dict[str, object] = {
    "query": None,
    "key": None,
    "value": None,
    "attn_mask": None,
    "dropout_p": 0.0,
    "is_causal": False,
    "scale": None,
    "enable_gqa": False,
}
_COPY = torch.ops.aten.copy_.default
# They decompose into hundreds of operations or hide their arms in one kernel: one node each.
_OPAQUE = (nn.RNNBase, nn.RNNCellBase, nn.MultiheadAttention)


class _Track:
    """What a tensor holds: a value, its memory, and how much had been written there by then."""

    __slots__ = ("memory", "owner", "value", "version")

    def __init__(self, owner: torch.Tensor, value: int, memory: Memory) -> None:
        self.owner = id(owner)
        self.value = value
        self.memory = memory
        self.version = len(memory.writes)


class Recorder(TorchDispatchMode):
    """Sees every operation of this thread and tells which depend on the model's input.

    A tensor's value is kept on the tensor itself (`_torchskip`), which lives and dies with
    it: a `_Track` for a value, a tuple of parameter names for a constant.
    """

    def __init__(self, calls: Calls, stand_ins: StandIns, names: dict[int, str]) -> None:
        super().__init__()
        self.calls = calls
        self.stand_ins = stand_ins
        self.tape = Tape()
        self.failed: tuple[BaseException, Draft] | None = None
        self.memories = Memories()
        self._names = names  # of parameters and buffers, by the tensor's identity
        self._plans: dict[Any, Plan] = {}
        self._marked: list[torch.Tensor] = []
        self._shadows: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}
        self._real = stand_ins.rung == "real"
        self._paused = 0
        self._hidden = False  # inside a custom autograd function
        self._rules = RULES if stand_ins.rung == "meta" else {}
        self.verdict: str | None = None  # what the failed operation says on real tensors

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # else every operation pays for a wrapper that keeps compilers out

    # ---- the model's ends

    def begin(self, tensor: torch.Tensor, name: str) -> int:
        """Make `tensor` a model input."""
        held = getattr(tensor, "_torchskip", None)
        if type(held) is _Track:  # the same tensor given twice is one value
            return held.value
        self.memories.made(tensor)
        memory = self.memories.of(tensor)
        value = self.tape.value(tensor, None, memory.index, name=name)
        memory.writes.append((value, extent(tensor)))
        self._hold(tensor, value, memory)
        self.tape.inputs.append(value)
        return value

    def end(self, result: Any) -> None:
        """Make the tensors of `result` the model's outputs."""
        for name, tensor in leaves(result):
            value = self._value(tensor)
            if value is not None:
                self.tape.outputs.append(value)
                self.tape.output_names.append(name)

    def forget(self) -> None:
        """Take the marks off tensors that outlive the pass."""
        for tensor in self._marked:
            tensor.__dict__.pop("_torchskip", None)

    # ---- operations

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
        if self._paused:
            args, kwargs = self._stand_in(scheme, tensors, args, kwargs, frozenset())
            result = func(*args, **kwargs)
            self._constant(tensors, result)
            return result
        self._hidden = not torch.is_grad_enabled() and inside_function()

        written = (
            {id(t): place for place, t in tensors if place in scheme.writes}
            if scheme.writes
            else {}
        )
        held: dict[int, int] = {}  # value by tensor
        for place, tensor in tensors:
            if place in scheme.unread and id(tensor) not in held:
                track = getattr(tensor, "_torchskip", None)
                if type(track) is _Track and track.owner == id(tensor):
                    held[id(tensor)] = track.value
                continue
            value = self._value(tensor)
            if value is not None:
                held[id(tensor)] = value
        if func is _COPY and _onto_itself(tensors):  # what `y[:, :2] += z` ends with
            return func(*args, **kwargs)
        inputs = [
            (place, held[id(t)])
            for place, t in tensors
            if id(t) in held and place not in scheme.unread
        ]
        live = scheme.reads and bool(inputs)
        overwrites = any(key in held for key in written)
        draft = None
        if live or overwrites:
            draft = self._draft(scheme, args, kwargs, tensors, inputs if scheme.reads else [], held)
            draft.inplace = bool(written)
            draft.view = not written and any(scheme.views)
        args, kwargs = self._stand_in(scheme, tensors, args, kwargs, frozenset(held))
        rule = self._rules.get(func)
        result = NotImplemented if rule is None else rule(*args, **kwargs)
        if result is NotImplemented:
            try:
                result = func(*args, **kwargs)
            except Exception as error:
                if draft is not None:
                    self.failed = error, draft
                    self.verdict = None if self._real else verdict(func, args, kwargs)
                raise
        if draft is None:
            self._constant(tensors, result)
            return result
        self._outputs(scheme, draft, tensors, held, written, result)
        return result

    def opaque(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run `module`, as one node if it is a recurrent or an attention layer."""
        if self._paused or not isinstance(module, _OPAQUE) or not _is_torchs(module):
            return module._call_impl(*args, **kwargs)  # type: ignore[no-untyped-call]
        draft = Draft(f"module.{type(module).__name__}", [], self.calls.stack[-1], here())
        return self._as_one(
            draft,
            list(leaves(dict(zip(_arguments(type(module)), args, strict=False)) | kwargs)),
            list(module.named_parameters()),
            lambda: module._call_impl(*args, **kwargs),  # type: ignore[no-untyped-call]
        )

    def _as_one(
        self,
        draft: Draft,
        tensors: list[tuple[str, torch.Tensor]],
        parameters: list[tuple[str, nn.Parameter]],
        run: Callable[[], Any],
    ) -> Any:
        """Run something whose operations stay hidden behind one node."""
        self._hidden = not torch.is_grad_enabled() and inside_function()
        held = [(place, t, self._value(t)) for place, t in tensors]
        draft.inputs = [(place, v) for place, _, v in held if v is not None]
        draft.grad = torch.is_grad_enabled() or self._hidden
        constants = [(place, t) for place, t, v in held if v is None]
        draft.constants = [self._describe(p, t) for p, t in (*constants, *parameters)]
        self._paused += 1
        try:
            result = run()
        except Exception as error:
            if draft.inputs:
                self.failed, self.verdict = (error, draft), None
            raise
        finally:
            self._paused -= 1
        if draft.inputs:
            node = self.tape.node(draft)
            for _, tensor in leaves(result):
                self._born(tensor, node)
        return result

    @contextmanager
    def patches(self) -> Iterator[None]:
        """Stand in for modules' calls and for fused attention while inside."""
        functional = nn.functional
        fused = functional.scaled_dot_product_attention
        owner = threading.get_ident()

        def attention(*args: Any, **kwargs: Any) -> Any:
            if self._paused or threading.get_ident() != owner:
                return fused(*args, **kwargs)
            given = dict(zip(_ATTENTION, args, strict=False)) | kwargs
            draft = Draft(
                "aten.scaled_dot_product_attention.default", [], self.calls.stack[-1], here()
            )
            draft.arguments = tuple(
                (name, plain(given.get(name, default)))
                for name, default in _ATTENTION.items()
                if not isinstance(given.get(name), torch.Tensor)
            )
            return self._as_one(draft, list(leaves(given)), [], lambda: fused(*args, **kwargs))

        functional.scaled_dot_product_attention = attention
        try:
            with self.calls.following(self.opaque):
                yield
        finally:
            functional.scaled_dot_product_attention = fused

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Record what runs inside."""
        try:
            with self:
                yield
        finally:
            self.forget()

    # ---- values

    def _value(self, tensor: torch.Tensor) -> int | None:
        """Return the value that `tensor` holds now, None for a constant."""
        track = getattr(tensor, "_torchskip", None)
        if type(track) is _Track and track.owner == id(tensor):
            if track.version == len(track.memory.writes):
                if not self._hidden:
                    self.tape.read(track.value, tensor)
                return track.value
            return self._follow(tensor, track.memory, track.value, track.version)
        memory = self.memories.find(tensor)
        if memory is None:
            return None
        return self._follow(tensor, memory, None, 0)

    def _follow(
        self, tensor: torch.Tensor, memory: Memory, old: int | None, version: int
    ) -> int | None:
        """Return the value of `tensor` after its memory was written through an alias."""
        written, hidden = memory.since(version, extent(tensor))
        if not written:
            if old is not None:
                self._hold(tensor, old, memory)
                self.tape.read(old, tensor)
            return old
        origin = self.tape.producer(written[-1])
        call, spot = (origin.call, origin.spot) if origin else (self.calls.stack[-1], here())
        sources = written if hidden or old is None else [old, *written]
        draft = Draft("torchskip.alias", [(f"[{i}]", v) for i, v in enumerate(sources)], call, spot)
        draft.view = True
        draft.grad = origin.grad if origin else torch.is_grad_enabled()
        base = self.tape.base(old)
        value = self.tape.value(
            tensor, self.tape.node(draft), memory.index, base=base, previous=old
        )
        self._hold(tensor, value, memory)
        self.tape.read(value, tensor)
        return value

    def _hold(self, tensor: torch.Tensor, value: int, memory: Memory) -> None:
        if self._real or not tensor.is_meta:
            self._marked.append(tensor) if self.memories.foreign(tensor) else None
        tensor._torchskip = _Track(tensor, value, memory)  # type: ignore[attr-defined]

    def _born(self, tensor: torch.Tensor, node: int) -> None:
        """Make `tensor` a new value with memory of its own."""
        self.memories.made(tensor)
        memory = self.memories.of(tensor)
        value = self.tape.value(tensor, node, memory.index)
        memory.writes.append((value, extent(tensor)))
        self._hold(tensor, value, memory)

    # ---- one operation

    def _draft(
        self,
        scheme: Plan,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        tensors: list[tuple[str, torch.Tensor]],
        inputs: list[tuple[str, int]],
        held: dict[int, int],
    ) -> Draft:
        draft = Draft(scheme.op, inputs, self.calls.stack[-1], here())
        draft.grad = torch.is_grad_enabled() or self._hidden
        draft.constants = [
            self._describe(place, t)
            for place, t in tensors
            if id(t) not in held and place not in scheme.unread
        ]
        given = dict(zip(scheme.names, args, strict=False))
        given.update(kwargs)
        busy = {place.partition("[")[0] for place, _ in tensors}
        draft.arguments = tuple(
            (name, plain(given[name]) if name in given else default)
            for name, default in scheme.defaults
            if name not in busy
        )
        return draft

    def _describe(self, place: str, tensor: torch.Tensor) -> tuple[str, Any, Any, tuple[str, ...]]:
        return place, tuple(tensor.shape), tensor.dtype, self._origin(tensor)

    def _origin(self, tensor: torch.Tensor) -> tuple[str, ...]:
        """Return the names of the parameters and buffers that a constant derives from."""
        name = self._names.get(id(tensor))
        if name is not None:
            return (name,)
        held = getattr(tensor, "_torchskip", None)
        return held if type(held) is tuple else ()

    def _constant(self, tensors: list[tuple[str, torch.Tensor]], result: Any) -> None:
        names: tuple[str, ...] = ()
        for _, tensor in tensors:
            origin = self._origin(tensor)
            if origin and origin != names:
                names = tuple(dict.fromkeys(names + origin))
        for tensor in _flat(result):
            if not tensor.is_meta and not any(_shares(tensor, t) for _, t in tensors):
                self.memories.made(tensor)
            if names and id(tensor) not in self._names:
                tensor._torchskip = names  # type: ignore[attr-defined]

    def _outputs(
        self,
        scheme: Plan,
        draft: Draft,
        tensors: list[tuple[str, torch.Tensor]],
        held: dict[int, int],
        written: dict[int, str],
        result: Any,
    ) -> None:
        node = self.tape.node(draft)
        by_place = dict(tensors)
        done: set[int] = set()
        for _, tensor in tensors:
            if id(tensor) in written and id(tensor) not in done:
                done.add(id(tensor))
                memory = self.memories.of(tensor)
                old = held.get(id(tensor))
                value = self.tape.value(
                    tensor, node, memory.index, base=self.tape.base(old), previous=old
                )
                memory.writes.append((value, extent(tensor)))
                self._hold(tensor, value, memory)
        if not draft.inputs:
            return
        whole = result if isinstance(result, (tuple, list)) else (result,)
        for index, item in enumerate(whole if len(scheme.results) > 1 else (result,)):
            if index < len(scheme.results) and scheme.results[index] is not None:
                continue
            viewed = scheme.views[index] if index < len(scheme.views) else None
            base = by_place.get(viewed) if viewed else None
            for tensor in _flat(item):
                known = base is not None and id(base) in held
                if not known or base is None:
                    self._born(tensor, node)
                    continue
                memory = self.memories.of(base)
                self.memories.join(tensor, memory)
                value = self.tape.value(tensor, node, memory.index, base=held[id(base)])
                self._hold(tensor, value, memory)

    # ---- stand-ins

    def _stand_in(
        self,
        scheme: Plan,
        tensors: list[tuple[str, torch.Tensor]],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        held: frozenset[int],
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return the arguments as the rung needs them.

        Where one tensor is of the rung's kind or holds a value, all become so. A write to
        memory from before the pass goes to a copy, and so do the reads after it.
        """
        swaps: dict[int, torch.Tensor] = {}
        inside = self.stand_ins.inside
        if not self._real:
            kinds = [inside(t) for _, t in tensors]
            if any(kinds) or held or self.stand_ins.mode is not None:
                for (_, tensor), kind in zip(tensors, kinds, strict=True):
                    if not kind:
                        swaps[id(tensor)] = other = self.stand_ins.plain(tensor)
                        if id(tensor) in held or scheme.touched:
                            self.memories.join(other, self.memories.of(tensor))
                        origin = self._origin(tensor)
                        if origin:
                            other._torchskip = origin  # type: ignore[attr-defined]
        for place, tensor in tensors:
            if id(tensor) in swaps or tensor.is_meta or self.stand_ins.mode is not None:
                continue
            key = tensor.untyped_storage()._cdata
            if (
                place in scheme.touched
                and key not in self._shadows
                and self.memories.foreign(tensor)
            ):
                storage = tensor.untyped_storage().clone()
                holder = torch.empty(0, dtype=tensor.dtype, device=tensor.device)
                self._shadows[key] = tensor, holder.set_(storage)  # type: ignore[call-overload]
                self.memories.made(holder)
            if key in self._shadows:
                copy = torch.empty(0, dtype=tensor.dtype, device=tensor.device)
                copy.set_(  # type: ignore[call-overload]
                    self._shadows[key][1].untyped_storage(),
                    tensor.storage_offset(),
                    tensor.size(),
                    tensor.stride(),
                )
                swaps[id(tensor)] = copy
        redirect = (
            not self._real and "device" in kwargs and (held or any(inside(t) for _, t in tensors))
        )
        if not swaps and not redirect:
            return args, kwargs
        args = tuple(_swap(a, swaps) for a in args)
        kwargs = {k: _swap(a, swaps) for k, a in kwargs.items()}
        if redirect and self.stand_ins.rung == "meta" and kwargs["device"] is not None:
            kwargs["device"] = torch.device("meta")
        return args, kwargs


def _onto_itself(tensors: list[tuple[str, torch.Tensor]]) -> bool:
    (_, target), (_, origin) = tensors
    return target is origin or (
        not target.is_sparse
        and _shares(target, origin)
        and extent(target) == extent(origin)
        and target.dtype is origin.dtype
    )


def _arguments(kind: type[nn.Module]) -> tuple[str, ...]:
    code = kind.forward.__code__  # type: ignore[attr-defined]
    return tuple(code.co_varnames[1 : code.co_argcount])


def _is_torchs(module: nn.Module) -> bool:
    return type(module).forward.__module__.startswith("torch.")


def _shares(a: torch.Tensor, b: torch.Tensor) -> bool:
    return a.untyped_storage()._cdata == b.untyped_storage()._cdata


def _swap(item: Any, swaps: dict[int, torch.Tensor]) -> Any:
    if isinstance(item, torch.Tensor):
        return swaps.get(id(item), item)
    if isinstance(item, (list, tuple)):
        return [_swap(i, swaps) for i in item]
    return item


def _flat(result: Any) -> Iterable[torch.Tensor]:
    if isinstance(result, torch.Tensor):
        return (result,)
    if isinstance(result, (list, tuple)):
        return [t for item in result for t in _flat(item)]
    return ()


def _tensors(
    scheme: Plan, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> list[tuple[str, torch.Tensor]]:
    """Return every tensor argument with its place, in the order of the call."""
    found: list[tuple[str, torch.Tensor]] = []
    for name, item in (*zip(scheme.names, args, strict=False), *kwargs.items()):
        if isinstance(item, torch.Tensor):
            found.append((name, item))
        elif isinstance(item, (list, tuple)):
            found.extend(
                (f"{name}[{i}]", t) for i, t in enumerate(item) if isinstance(t, torch.Tensor)
            )
    return found
