"""What single modules are: registered under several names, or random with some mean."""

from __future__ import annotations

import torch
from torch import nn

from torchskip.lint.probes.real import borrowed

__all__ = ["expectation", "registered"]


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
