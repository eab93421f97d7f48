"""Lesion study: what a trained network loses when one block is dropped (Veit et al. 2016)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

import torch
from torch import Tensor, nn

from torchskip.errors import ArgumentError
from torchskip.measure.arms import at_joins, skips_of
from torchskip.nn import Skip

__all__ = ["dropped", "lesions"]

Result = TypeVar("Result")


def lesions(
    model: nn.Module,
    evaluate: Callable[[nn.Module], Result],
    paths: Sequence[str] | None = None,
) -> dict[str, Result]:
    """Return `evaluate(model)` with nothing dropped (key `""`), then with each of `paths` alone.

    `paths` name blocks: a `Skip` is reduced to its shortcut (its branch gives zeros), any other
    module to its input. Without `paths`, every `Skip`. Veit et al. 2016, section 4.1: a residual
    network hardly notices a lost block, a plain one breaks. The model comes back as it was.

    Raises:
        ArgumentError: there is no `Skip`, no such module, or one that changes the shape of its
            input and therefore cannot be bypassed.

    >>> from torchskip.models.cifar import resnet
    >>> sorted(lesions(resnet(8), lambda net: net.training))
    ['', 'stages.0.0.unit', 'stages.1.0.unit', 'stages.2.0.unit']

    """
    found = {"": evaluate(model)}
    for path in skips_of(model) if paths is None else paths:
        with dropped(model, path):
            found[path] = evaluate(model)
    return found


@contextmanager
def dropped(model: nn.Module, path: str) -> Iterator[None]:
    """Drop the block at `path` while the context lasts."""
    try:
        module = model.get_submodule(path)
    except AttributeError as error:
        raise ArgumentError(f"{type(model).__name__} has no module {path!r}: {error}") from error
    if isinstance(module, Skip):

        def silence(where: str, shortcut: Tensor, branch: Tensor) -> tuple[Tensor, Tensor]:
            return shortcut, torch.zeros_like(branch) if where == path else branch

        with at_joins(model, silence):
            yield
        return

    def bypass(_module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        if inputs[0].shape != output.shape:
            raise ArgumentError(
                f"{path!r} cannot be bypassed: it turns {tuple(inputs[0].shape)} into "
                f"{tuple(output.shape)}\n  mend: choose blocks that keep the shape"
            )
        return inputs[0]

    hook = module.register_forward_hook(bypass)
    try:
        yield
    finally:
        hook.remove()
