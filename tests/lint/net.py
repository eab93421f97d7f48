"""A module made of parts and one function: wirings in a line."""

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn


class Net(nn.Module):
    """Runs ``function(self, *inputs)``; keyword arguments become submodules."""

    def __init__(self, function: Callable[..., Any], **parts: nn.Module) -> None:
        super().__init__()
        for name, part in parts.items():
            setattr(self, name, part)
        self.function = function

    def forward(self, *inputs: Tensor) -> Any:
        return self.function(self, *inputs)


def c1(a: int = 4, b: int = 4, k: int = 3, **kwargs: Any) -> nn.Conv1d:
    return nn.Conv1d(a, b, k, padding=k // 2, **kwargs)


def c2(a: int = 4, b: int = 4, k: int = 3, **kwargs: Any) -> nn.Conv2d:
    return nn.Conv2d(a, b, k, padding=k // 2, **kwargs)


def c3(a: int = 4, b: int = 4, k: int = 3, **kwargs: Any) -> nn.Conv3d:
    return nn.Conv3d(a, b, k, padding=k // 2, **kwargs)


def seq(*parts: nn.Module) -> nn.Sequential:
    return nn.Sequential(*parts)


def nested(block: nn.Module) -> nn.Module:
    """The block two containers deep, behind a stem."""
    return seq(seq(c2()), nn.ModuleDict({"stage": seq(block)})["stage"], seq(c2()))
