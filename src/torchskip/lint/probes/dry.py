"""A pass on meta tensors that records nothing: cheap, and only good to say "this runs"."""

from __future__ import annotations

import warnings
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from torchskip.lint.probes.outplace import OutOfPlace
from torchskip.trace.restore import Snapshot, random_state
from torchskip.trace.tree import rebuild

__all__ = ["reads_overwritten", "runs"]


def runs(
    model: nn.Module, example: tuple[Any, ...], kwargs: dict[str, Any], training: bool = False
) -> bool:
    """Whether the model runs on meta tensors; False also where only a trace can tell."""
    return _run(model, example, kwargs, training, None)


def reads_overwritten(model: nn.Module, example: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Whether anything reads a tensor after an in-place operation on it, by its former name.

    True also where a dry pass cannot tell.
    """
    mode = OutOfPlace()
    return not _run(model, example, kwargs, False, mode) or mode.late


def _run(
    model: nn.Module,
    example: tuple[Any, ...],
    kwargs: dict[str, Any],
    training: bool,
    mode: OutOfPlace | None,
) -> bool:
    with random_state(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        snapshot = Snapshot(model.modules())
        try:
            model.train(training)
            swapped: dict[int, Tensor] = {}
            snapshot.swap(
                lambda p: swapped.setdefault(
                    id(p), nn.Parameter(p.detach().to("meta"), requires_grad=p.requires_grad)
                ),
                lambda b: swapped.setdefault(id(b), b.detach().to("meta")),
            )
            given, named = rebuild((example, kwargs), _meta)
            with torch.device("meta"), torch.enable_grad(), mode or nullcontext():
                model(*given, **named)
        except Exception:  # its kind does not matter here: a trace will name it
            return False
        finally:
            snapshot.restore()
    return True


def _meta(tensor: Tensor) -> Tensor:
    other = tensor.detach().to("meta")
    # Not a leaf, so that the model may write to it in place.
    return other.requires_grad_() * 1 if other.is_floating_point() else other
