"""What a case of the bug corpus is: one real fault, restated, with its mended twin."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

Maker = Callable[[], nn.Module]
IMAGE = ((2, 4, 16, 16),)


@dataclass(frozen=True, slots=True)
class Case:
    """A fault with the rule that must name it; `mended` must not be named by that rule.

    The mended twin must moreover raise no error at all: `clean_at_error`.
    """

    name: str
    reference: str
    rule: str
    buggy: Maker
    mended: Maker
    shapes: tuple[tuple[int, ...], ...] = IMAGE

    def example(self) -> tuple[torch.Tensor, ...]:
        return tuple(torch.zeros(shape) for shape in self.shapes)


@dataclass(frozen=True, slots=True)
class Clean:
    """A correct model that looks suspicious: no rule may call it an error."""

    name: str
    why: str
    model: Maker
    shapes: tuple[tuple[int, ...], ...] = IMAGE

    def example(self) -> tuple[torch.Tensor, ...]:
        return tuple(torch.zeros(shape) for shape in self.shapes)


def conv(a: int, b: int, kernel: int = 3, **kwargs: object) -> nn.Conv2d:
    """A convolution that keeps the size."""
    return nn.Conv2d(a, b, kernel, padding=kernel // 2, **kwargs)  # type: ignore[arg-type]


def net(*blocks: nn.Module, width: int = 4, out: int = 3) -> nn.Sequential:
    """A stem, the blocks under test, a head: the setting in which the faults were found."""
    head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, out))
    stem = nn.Sequential(conv(4, width), nn.BatchNorm2d(width))
    return nn.Sequential(stem, *blocks, head)


def maker(
    block: Callable[..., nn.Module], *args: object, times: int = 2, **kwargs: object
) -> Maker:
    """A maker of a small network with `times` copies of the block."""
    return lambda: net(*(block(*args, **kwargs) for _ in range(times)))


def pair(block: Callable[..., nn.Module], **kwargs: int) -> tuple[Maker, Maker]:
    """Makers of the fault and of its mended twin, for a block that takes which one to be."""
    return maker(block, False, **kwargs), maker(block, True, **kwargs)
