"""Put a model back as it was: attributes, containers, modes, hooks, classes, random state."""

from __future__ import annotations

import operator
import random
import sys
import types
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

__all__ = ["Snapshot", "random_state"]

_ATOMS = frozenset({int, float, bool, str, type(None), tuple})
_TABLES = frozenset({dict, OrderedDict})
_MAPPINGS = (dict, OrderedDict, defaultdict)
_SEQUENCES = (list, deque)
_PLAIN = (
    *(int, float, complex, bool, str, bytes, type(None), tuple, frozenset, range, slice, type),
    *(torch.Tensor, torch.dtype, torch.device, torch.Size, torch.Generator, types.ModuleType),
    *(types.FunctionType, types.BuiltinFunctionType, types.MethodType),
)
_DEPTH = 3  # containers and objects inside a module's attributes that are followed
_SCRIPT = torch.jit.ScriptModule


class _Plain(dict[type, bool]):
    """Whether objects of a type are left alone; asked once, some of torch's types are slow."""

    def __missing__(self, kind: type) -> bool:
        self[kind] = found = issubclass(kind, _PLAIN)
        return found


class Snapshot:
    """The state of every module, and of the containers and plain objects in its attributes.

    Tensors are kept by identity: the tracer never lets a forward write to their memory.
    """

    def __init__(self, modules: Iterable[nn.Module]) -> None:
        self.modules = list(modules)
        self._objects: list[tuple[Any, type, dict[str, Any]]] = []
        self._mappings: list[tuple[dict[Any, Any], dict[Any, Any]]] = []
        self._empty: list[dict[Any, Any]] = []
        self._sequences: list[tuple[Any, list[Any]]] = []
        self._held: list[tuple[dict[str, Any], str, torch.Tensor]] = []
        self._sets: list[tuple[set[Any], set[Any]]] = []
        self._plain = _Plain()
        self._seen = {id(module) for module in self.modules}
        for module in self.modules:
            self._object(module, _DEPTH)
        # TorchScript keeps the mode in C++, outside `__dict__`.
        self._modes = [(m, m.training) for m in self.modules if isinstance(m, _SCRIPT)]

    def swap(
        self,
        parameter: Callable[[torch.Tensor], torch.Tensor],
        buffer: Callable[[torch.Tensor], torch.Tensor],
    ) -> None:
        """Replace the parameters and buffers, wherever an attribute holds them, in place."""
        swapped: dict[int, torch.Tensor] = {}
        for module in self.modules:
            if isinstance(module, _SCRIPT):  # its tensors live in C++: swapped as they are met
                continue
            for table, make in ((module._parameters, parameter), (module._buffers, buffer)):
                for name, tensor in table.items():
                    if tensor is not None:
                        swapped[id(tensor)] = other = make(tensor)
                        table[name] = other  # type: ignore[assignment]
        for mapping, saved in self._mappings:
            for key, item in saved.items():
                if isinstance(item, torch.Tensor) and id(item) in swapped:
                    mapping[key] = swapped[id(item)]
        for sequence, items in self._sequences:
            for index, item in enumerate(items):
                if isinstance(item, torch.Tensor) and id(item) in swapped:
                    sequence[index] = swapped[id(item)]
        for attributes, key, item in self._held:
            if id(item) in swapped:
                attributes[key] = swapped[id(item)]

    def restore(self) -> None:
        """Put everything back; what did not change is not touched."""
        for module, mode in self._modes:
            if module.training is not mode:
                module.training = mode
        for target, kind, attributes in self._objects:
            if type(target) is not kind:
                target.__class__ = kind
            _refill(target.__dict__, attributes)
        for mapping, saved in self._mappings:
            _refill(mapping, saved)
        for mapping in self._empty:
            if mapping:
                mapping.clear()
        for sequence, items in self._sequences:
            if len(sequence) != len(items) or any(
                a is not b for a, b in zip(sequence, items, strict=True)
            ):
                sequence.clear()
                sequence.extend(items)
        for group, members in self._sets:
            if group != members:
                group.clear()
                group.update(members)

    def _object(self, target: Any, depth: int) -> None:
        attributes = dict(target.__dict__)
        self._objects.append((target, type(target), attributes))
        for name, item in attributes.items():
            kind = type(item)
            if kind in _ATOMS:
                continue
            if kind in _TABLES and not item:  # most are tables of hooks, and empty
                self._empty.append(item)
            elif isinstance(item, torch.Tensor):
                self._held.append((target.__dict__, name, item))
            elif not self._plain[kind]:
                self._visit(item, depth)

    def _visit(self, item: Any, depth: int) -> None:
        if depth == 0 or id(item) in self._seen:
            return
        kind = type(item)
        if kind in _MAPPINGS:
            self._seen.add(id(item))
            self._mappings.append((item, dict(item)))
            children: Any = item.values()
        elif kind in _SEQUENCES:
            self._seen.add(id(item))
            self._sequences.append((item, list(item)))
            children = item
        elif kind is set:
            self._sets.append((item, set(item)))
            return
        elif isinstance(item, nn.Module):  # kept out of the module tree, by a list say
            self._seen.add(id(item))
            self.modules.append(item)
            self._object(item, depth)
            return
        elif hasattr(item, "__dict__") and not kind.__module__.startswith(("torch.", "builtins")):
            self._seen.add(id(item))
            self._object(item, depth - 1)
            return
        else:
            return
        for child in children:
            if not self._plain[type(child)]:
                self._visit(child, depth - 1)


def _refill(mapping: dict[Any, Any], saved: dict[Any, Any]) -> None:
    if (
        len(mapping) == len(saved)
        and all(map(operator.is_, mapping.values(), saved.values()))
        and all(map(operator.is_, mapping, saved))
    ):
        return
    mapping.clear()
    mapping.update(saved)


@contextmanager
def random_state() -> Iterator[None]:
    """Give back the random state of torch, its devices, Python and NumPy as they were."""
    devices = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    states = torch.get_rng_state(), torch.cuda.get_rng_state_all() if devices else []
    python = random.getstate()
    numpy = sys.modules.get("numpy")
    array = numpy.random.get_state() if numpy is not None else None
    dtype = torch.get_default_dtype()
    try:
        yield
    finally:
        torch.set_rng_state(states[0])
        if devices:
            torch.cuda.set_rng_state_all(states[1])
        random.setstate(python)
        if numpy is not None:
            numpy.random.set_state(array)
        if torch.get_default_dtype() is not dtype:
            torch.set_default_dtype(dtype)
