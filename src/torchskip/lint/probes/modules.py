"""What is registered twice, and what is not registered at all."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Any

import torch
from torch import nn
from torch.nn.modules.module import register_module_forward_pre_hook

from torchskip.lint.facts import Loose, Stray
from torchskip.lint.probes.inputs import random_like
from torchskip.lint.probes.real import RAISED, borrowed, has_numbers
from torchskip.trace.tree import leaves

__all__ = ["kept_outside", "loose", "registered", "strays"]


def registered(model: nn.Module) -> tuple[tuple[str, ...], ...]:
    """Names of each module that is registered more than once and holds parameters.

    Only the topmost shared module of a shared tree is named.
    """
    names: dict[int, list[str]] = {}
    holds: dict[int, bool] = {}
    for name, module in model.named_modules(remove_duplicate=False):
        names.setdefault(id(module), []).append(name)
        if id(module) not in holds:
            holds[id(module)] = any(True for _ in module.parameters())
    shared = [tuple(n) for key, n in names.items() if len(n) > 1 and holds[key]]
    inside = {name for group in shared for name in group}
    return tuple(
        group for group in shared if not all(any(_below(n, o) for o in inside) for n in group)
    )


def _below(name: str, other: str) -> bool:
    return name.startswith(other + ".")


def loose(model: nn.Module) -> tuple[Loose, ...]:
    """Floating tensors in attributes of modules, and in lists and dicts there."""
    return tuple(
        Loose(path, name, tuple(tensor.shape), tensor.requires_grad)
        for path, module in model.named_modules()
        if not type(module).__module__.startswith("torch.")
        for name, tensor in leaves(
            {key: item for key, item in vars(module).items() if not key.startswith("_")}
        )
        if tensor.is_floating_point()
    )


def strays(model: nn.Module) -> tuple[Stray, ...]:
    """Modules in plain lists, tuples and dicts of a module, such as ``blocks[0]``."""
    return tuple(
        Stray(path, name, type(item).__name__)
        for path, module in model.named_modules()
        for key, held in vars(module).items()
        if not key.startswith("_")
        for name, item in _held(key, held)
    )


def _held(name: str, held: object) -> Iterator[tuple[str, nn.Module]]:
    if isinstance(held, nn.Module):
        yield name, held
    elif isinstance(held, (list, tuple)):
        for number, item in enumerate(held):
            yield from _held(f"{name}[{number}]", item)
    elif isinstance(held, dict):
        for key, item in held.items():
            yield from _held(f"{name}[{key!r}]", item)


def kept_outside(model: nn.Module, example: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Whether a pass calls layers to train that the module tree does not hold, each time the same.

    Layers made in the forward are others in every pass; frozen ones are kept apart on purpose.
    """
    if not has_numbers(model):
        return False
    inside = set(map(id, model.modules()))
    seen: dict[int, nn.Module] = {}

    def note(module: nn.Module, inputs: Any) -> None:
        trained = any(p.requires_grad for p in module.parameters(recurse=False))
        if id(module) not in inside and trained:
            seen[id(module)] = module

    passes: list[set[int]] = []
    alive: list[nn.Module] = []  # an id names a module as long as the module lives
    with borrowed(model, training=False), torch.no_grad():
        handle = register_module_forward_pre_hook(note)
        try:
            for _ in range(2):
                seen.clear()
                model(*random_like(example), **kwargs)
                passes.append(set(seen))
                alive.extend(seen.values())
        except RAISED:  # a model that does not run for real
            return False
        finally:
            handle.remove()
    return bool(passes[0] & passes[1])


def largest(model: nn.Module, name: str) -> float | None:
    """The largest magnitude of a parameter or buffer; None where it has no numbers."""
    known = chain(model.named_parameters(), model.named_buffers())
    tensor = next((tensor for other, tensor in known if other == name), None)
    if tensor is None or tensor.is_meta or not tensor.numel() or not tensor.is_floating_point():
        return None
    return float(tensor.detach().abs().max())
