"""A residual stream that is cast to float32 on purpose, up to the model's output."""

import pytest
import torch
from torch import nn

from torchskip.lint.check import check


class Block(nn.Module):
    """Mamba's, with `residual_in_fp32`; or the branch is the one that is left wide."""

    def __init__(self, wide):
        super().__init__()
        self.norm, self.mixer, self.wide = nn.LayerNorm(8), nn.Linear(8, 8), wide

    def forward(self, x):
        residual = x
        x = self.mixer(self.norm(x.to(self.norm.weight.dtype)))
        if self.wide == "shortcut":
            residual = residual.float()
        else:
            x = x.float().softmax(-1)
        return residual + x


class Stack(nn.Module):
    def __init__(self, wide, tail):
        super().__init__()
        self.blocks, self.tail = nn.ModuleList(Block(wide) for _ in range(2)), tail

    def forward(self, x):
        for block in self.blocks:
            x = block(x)
        return self.tail(x)


@pytest.mark.parametrize(
    ("wide", "tail", "found"),
    [
        ("shortcut", nn.Identity, False),
        ("shortcut", lambda: nn.Linear(8, 8), True),
        ("branch", nn.Identity, True),
    ],
)
def test_a_shortcut_in_float32(wide, tail, found):
    model = Stack(wide, tail())
    assert bool(check(model, torch.zeros(2, 5, 8), select=["TS110"]).findings) == found
