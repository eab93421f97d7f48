"""A first block that alone normalises what it is given normalises the embedding."""

import pytest
import torch
from torch import nn

from torchskip.lint.check import check


class Block(nn.Module):
    def __init__(self, entry):
        super().__init__()
        self.norm, self.norm2 = nn.LayerNorm(8), nn.LayerNorm(8)
        self.attn, self.mlp = nn.Linear(8, 8), nn.Linear(8, 8)
        if entry:
            self.entry = nn.LayerNorm(8)

    def forward(self, x):
        if hasattr(self, "entry"):
            x = self.entry(x)
        x = x + self.attn(self.norm(x))
        return x + self.mlp(self.norm2(x))


class Post(Block):
    """No norm of the branch's own."""

    def forward(self, x):
        x = self.norm(x)
        return x + self.mlp(x)


def stack(*blocks):
    return nn.Sequential(nn.Linear(4, 8), *blocks, nn.LayerNorm(8), nn.Linear(8, 3))


def named(model):
    report = check(model, torch.zeros(2, 6, 4), select=["TS202"])
    return [m for f in report.findings for m in (f.module, *f.also)]


@pytest.mark.parametrize(
    ("entries", "names"),
    [
        ((True, False, False), []),
        ((True, True, False), ["1.entry", "2.entry"]),
        ((False, True, False), ["2.entry"]),
        ((True,), ["1.entry"]),
    ],
)
def test_the_first_of_its_like_may_normalise(entries, names):
    assert named(stack(*map(Block, entries))) == names


def test_every_block_may_not():
    assert named(stack(Post(False), Post(False))) == ["1.norm", "2.norm"]
