"""What single modules are: registered twice or not at all, or random with some mean."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn.modules.module import register_module_forward_pre_hook

from torchskip.lint.probes.inputs import random_like
from torchskip.lint.probes.real import borrowed, has_numbers

__all__ = ["expectation", "kept_outside", "registered"]


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


def expectation(model: nn.Module, path: str, shape: tuple[int, ...]) -> float | None:
    """Mean of a leaf module's output for ones of a large batch, in training mode."""
    module = model.get_submodule(path)
    if any(True for _ in module.children()) or any(True for _ in module.parameters()):
        return None
    with borrowed(module, training=True), torch.no_grad():
        try:
            result = module(torch.ones(8192, *(1 for _ in shape[1:])))
        except Exception:  # it needs more than one tensor: nothing to say
            return None
    return float(result.mean()) if isinstance(result, torch.Tensor) else None


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
        except Exception:  # a model that does not run for real
            return False
        finally:
            handle.remove()
    return bool(passes[0] & passes[1])
