"""Biases for each block are parts of one prediction, and no shortcut of one another."""

import torch
from torch import nn

from torchskip.lint.check import check


class Vocoder(nn.Module):
    """Convolutions with biases that a predictor gives for each frame (UnivNet)."""

    def __init__(self, parts):
        super().__init__()
        self.predictor = nn.Conv1d(4, 3 * 8, 3, padding=1)
        self.convs = nn.ModuleList(nn.Conv2d(8, 8, (3, 1), padding=(1, 0)) for _ in range(3))
        self.parts = parts

    def forward(self, mel):
        batch, _, frames = mel.shape
        biases = self.parts(self.predictor(mel).view(batch, 3, 8, frames))
        x = mel.new_zeros(batch, 8, frames, 4)
        for conv, bias in zip(self.convs, biases, strict=True):
            x = conv(x).relu() + bias.view(batch, 8, frames, 1)
        return x


class Pooled(nn.Module):
    """A shortcut that is one number for each channel."""

    def __init__(self):
        super().__init__()
        self.stem, self.conv = nn.Conv2d(4, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1)

    def forward(self, x):
        x = self.stem(x)
        return x.mean((2, 3), keepdim=True) + self.conv(x)


def told(model, *shape):
    return check(model, torch.zeros(shape), select=["TS103"]).findings


def test_a_bias_of_another_block_is_no_shortcut():
    assert not told(Vocoder(lambda b: [b[:, i] for i in range(3)]), 2, 4, 6)
    assert not told(Vocoder(lambda b: b.unbind(1)), 2, 4, 6)


def test_a_mean_is_a_shortcut():
    assert told(Pooled(), 2, 4, 8, 8)
