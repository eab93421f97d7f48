"""The two arms of every `Skip` in a model, at the moment when they meet."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

from torch import Tensor, nn

from torchskip.errors import ArgumentError
from torchskip.nn import Skip

__all__ = ["Visit", "at_joins", "skips_of"]

Visit = Callable[[str, Tensor, Tensor], tuple[Tensor, Tensor]]
"""Called with a skip's path, its shortcut's value and its branch's; returns what to merge."""


def skips_of(model: nn.Module) -> dict[str, Skip]:
    """Return every `Skip` in `model` by its path.

    Raises:
        ArgumentError: there is none.

    """
    found = {path: module for path, module in model.named_modules() if isinstance(module, Skip)}
    if not found:
        raise ArgumentError(
            f"{type(model).__name__} has no torchskip.nn.Skip, whose arms could be measured\n"
            "  mend: build its blocks with Skip, as torchskip.models.cifar.resnet20 does"
        )
    return found


@contextmanager
def at_joins(model: nn.Module, visit: Visit) -> Iterator[None]:
    """Let `visit` see, and replace, both arms of every skip while the model runs."""
    with ExitStack() as undo:
        for path, skip in skips_of(model).items():
            undo.callback(_watch(path, skip, visit))
        yield


def _watch(path: str, skip: Skip, visit: Visit) -> Callable[[], Any]:
    merge = skip.merge
    if isinstance(merge, nn.Module):
        return merge.register_forward_pre_hook(lambda _m, arms: visit(path, *arms)).remove

    def watched(shortcut: Tensor, branch: Tensor) -> Tensor:
        return merge(*visit(path, shortcut, branch))

    skip.merge = watched
    return partial(setattr, skip, "merge", merge)
