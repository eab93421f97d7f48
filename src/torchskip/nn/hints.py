"""What a branch's layers tell of the input that it takes: channels and number of spatial axes."""

import re
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import UninitializedTensorMixin  # type: ignore[attr-defined]

__all__ = ["Refuser", "channels_of", "ranks_of"]

# Attributes of torch's layers that hold their number of input channels.
_NAMES = ("in_channels", "num_features", "num_channels", "in_features")


def channels_of(branch: nn.Module) -> list[int]:
    """Numbers of input channels that the branch's layers and weights suggest, first layer first.

    >>> channels_of(nn.Sequential(nn.Conv2d(3, 8, 1), nn.BatchNorm2d(8)))
    [3, 8]
    """
    found: list[int] = []
    for module in branch.modules():
        for name in _NAMES:
            value = getattr(module, name, None)
            if isinstance(value, int) and value > 0:
                found.append(value)
        shape = getattr(module, "normalized_shape", None)
        if isinstance(shape, tuple | list) and shape and isinstance(shape[0], int):
            found.extend((shape[0], shape[-1]))
    for tensor in branch.parameters():
        if not isinstance(tensor, UninitializedTensorMixin):
            found.extend(int(n) for n in (*tensor.shape[1:2], *tensor.shape[:1]))
    return list(dict.fromkeys(n for n in found if n > 0))


def ranks_of(branch: nn.Module) -> list[int]:
    """Numbers of spatial axes, the likeliest first.

    A branch of linear layers takes features ``(..., C)`` and has none, unless its forward asks
    for images.

    >>> ranks_of(nn.Conv1d(3, 8, 1)), ranks_of(nn.Linear(3, 8)), ranks_of(nn.ReLU())
    ([1], [0, 2, 1, 3], [2, 1, 3])
    """
    found: list[int] = []
    dense = False
    for module in branch.modules():
        name = type(module).__name__
        dense = dense or _is_dense(module)
        if type(module).__module__.startswith("torch.nn") and (
            told := re.search(r"([123])d$", name)
        ):
            found.append(int(told[1]))
    for tensor in branch.parameters():
        if not isinstance(tensor, UninitializedTensorMixin) and 3 <= tensor.dim() <= 5:
            found.append(tensor.dim() - 2)
            dense = False
    # A normalisation named 1d also stands behind linear layers; one named 2d or 3d does not.
    first = [0] if dense and not {2, 3} & {*found} else []
    return [*first, *(found[:1] or (2, 1, 3))]


def _is_dense(module: nn.Module) -> bool:
    shape = getattr(module, "normalized_shape", None)
    return isinstance(module, nn.Linear) or (isinstance(shape, tuple | list) and len(shape) == 1)


class Refuser:
    """Remembers the last layer that a pass entered: the one that refused, if the pass failed."""

    def __init__(self, twin: nn.Module) -> None:
        self._paths = {module: path for path, module in twin.named_modules()}
        self._module: nn.Module | None = None
        self._shape: tuple[int, ...] = ()
        for module in self._paths:
            # Scripted modules refuse hooks.
            if not any(module.children()) and not isinstance(module, torch.jit.ScriptModule):
                module.register_forward_pre_hook(self._enter)

    def _enter(self, module: nn.Module, args: tuple[Any, ...]) -> None:
        if args and isinstance(args[0], Tensor):
            self._module, self._shape = module, tuple(args[0].shape)

    def _takes(self) -> tuple[int, int]:
        """Channels that the layer takes and is given; equal where it does not tell."""
        values = (getattr(self._module, name, None) for name in _NAMES)
        takes = next((n for n in values if isinstance(n, int) and n > 0), 0)
        axis = -1 if isinstance(self._module, nn.Linear) else 1
        given = self._shape[axis] if len(self._shape) > 1 else 0
        return (takes, given) if takes and given else (0, 0)

    def asks(self, channels: int) -> int | None:
        """Input channels of the branch that would give the layer what it takes.

        A layer that takes 64 channels and is given 256 where the branch is given 64 (behind a
        ``PixelUnshuffle(2)``) asks for a branch input of 16.
        """
        if isinstance(self._module, nn.PixelShuffle):
            return channels * self._module.upscale_factor**2
        takes, given = self._takes()
        if takes == given:
            return None
        asked, rest = divmod(channels * takes, given)
        return asked if rest == 0 else None

    def explain(self) -> str | None:
        """Why the layer refused, where the number of channels is the reason."""
        takes, given = self._takes()
        if takes == given or self._module is None:
            return None
        path = self._paths[self._module]
        layer = f"{path} ({type(self._module).__name__})" if path else type(self._module).__name__
        return f"{layer} takes {takes} channels and is given {given}"
