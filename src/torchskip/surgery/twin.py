"""A copy of a model that can be changed without touching the model."""

from __future__ import annotations

import warnings

import torch
from torch import nn

from torchskip.errors import SurgeryError
from torchskip.graph import Graph
from torchskip.nn.duplicate import duplicate
from torchskip.surgery.cuts import live_nodes
from torchskip.trace.tracer import unwrapped

__all__ = ["copied", "dead_state", "refuse_others", "retire"]


def copied(model: nn.Module) -> nn.Module:
    """Return a deep copy of `model`, without parallel wrappers and compilers.

    Raises:
        SurgeryError: it cannot be copied, or is no module.

    """
    refuse_others(model)
    try:
        with warnings.catch_warnings(), torch.inference_mode(False):
            warnings.simplefilter("ignore")
            return duplicate(unwrapped(model))
    except Exception as error:
        raise SurgeryError(
            f"{type(model).__name__} cannot be copied: {error}\n"
            "  mend: keep tensors with a history and open files out of the model's attributes"
        ) from error


def refuse_others(model: object) -> None:
    """Refuse what is no module.

    Raises:
        SurgeryError: it is none.

    """
    if not isinstance(model, nn.Module):
        raise SurgeryError(
            f"surgery needs a torch.nn.Module, got {type(model).__name__}\n"
            "  mend: give the model itself, then its example inputs"
        )


def dead_state(before: Graph, after: Graph) -> tuple[str, ...]:
    """Return the parameters and buffers that the output depended on before and no longer does.

    A buffer that no operation reads (a counter) goes with the others of its module.
    """
    alive, still = live_nodes(before), live_nodes(after)
    used = {p.name: not alive.isdisjoint(p.readers) for p in before.parameters}
    uses = {p.name: not still.isdisjoint(p.readers) for p in after.parameters}
    dead = {name for name, was in used.items() if was and not uses.get(name, True)}
    owners = {name.rpartition(".")[0] for name in dead}
    for owner in owners:
        own = [name for name in used if name.rpartition(".")[0] == owner]
        if not any(uses.get(name) for name in own):
            dead.update(own)
    return tuple(name for name in used if name in dead)


def retire(model: nn.Module, names: tuple[str, ...]) -> None:
    """Take parameters and buffers out of `model.parameters()` and `model.state_dict()`.

    They stay as buffers that are not saved, because the forward pass still reads them.
    """
    held: dict[int, torch.Tensor] = {}
    for name in names:
        path, _, leaf = name.rpartition(".")
        module = model.get_submodule(path)
        if leaf in module._parameters:
            parameter = module._parameters[leaf]
            if parameter is not None:
                tensor = held.setdefault(id(parameter), parameter.detach())
                del module._parameters[leaf]
                module.register_buffer(leaf, tensor, persistent=False)
        elif leaf in module._buffers:
            module._non_persistent_buffers_set.add(leaf)
