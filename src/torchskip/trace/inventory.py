"""The model's modules and parameters, with how the pass used them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from torchskip.graph import Module, Parameter, Source
from torchskip.trace.locate import Calls, user_code
from torchskip.trace.schema import plain
from torchskip.trace.tape import Tape, dtype_name

__all__ = ["modules", "named", "parameters"]

_SETTINGS = (bool, int, float, str, type(None))


def named(model: nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield every parameter and buffer under each of its names, compilers' wrappers left out."""
    for found in (model.named_parameters, model.named_buffers):
        for name, tensor in found(remove_duplicate=False):
            yield name.replace("_orig_mod.", ""), tensor


def modules(calls: Calls, modes: dict[int, bool]) -> tuple[Module, ...]:
    """Return the modules in the order of registration."""
    found = []
    for _, module in calls.modules:
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
        [
            (name, plain(item))
            for name, item in module.__dict__.items()
            if name[0] != "_" and name != "training" and _is_setting(item)
        ]
    )


def _is_setting(item: Any) -> bool:
    if isinstance(item, (list, tuple)):
        return len(item) <= 8 and all(map(_is_setting, item))
    return isinstance(item, _SETTINGS)


def parameters(tensors: list[tuple[str, torch.Tensor]], tape: Tape) -> tuple[Parameter, ...]:
    """Return the parameters, then the buffers, with the nodes that read them."""
    readers: dict[str, list[int]] = {}
    for draft in tape.nodes:
        for constant in draft.constants:
            for name in constant.names:
                nodes = readers.setdefault(name, [])
                if not nodes or nodes[-1] != draft.index:
                    nodes.append(draft.index)
    first: dict[int, str] = {}
    found = []
    for name, tensor in tensors:
        first.setdefault(id(tensor), name)
        lazy = is_lazy(tensor)
        found.append(
            Parameter(
                name=name,
                shape=() if lazy else tuple(tensor.shape),
                dtype=dtype_name(tensor.dtype),
                buffer=type(tensor) is not nn.Parameter and not isinstance(tensor, nn.Parameter),
                readers=tuple(readers.get(first[id(tensor)], ())),
                requires_grad=tensor.requires_grad,
            )
        )
    return tuple(found)
