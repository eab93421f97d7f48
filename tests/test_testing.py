"""`assert_skips` fails a test with the findings' words."""

import pytest
import torch
from torch import nn

from torchskip import Skip
from torchskip.testing import assert_skips

X = torch.zeros(1, 3, 8, 8)


class Twice(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, padding=1)

    def forward(self, x):
        x = self.conv(x)
        return x + x


def test_a_sound_model_passes():
    model = nn.Sequential(Skip(nn.Conv2d(3, 3, 3, padding=1)))
    assert len(assert_skips(model, X, at_least=1).skips) == 1


def test_a_fault_fails_with_its_words():
    with pytest.raises(AssertionError) as caught:
        assert_skips(Twice(), X)
    assert str(caught.value).startswith(
        "skip connections of Twice are faulty\nerror TS106 added-twice\n"
    )


def test_a_lost_skip_fails():
    with pytest.raises(
        AssertionError, match=r"^Conv2d has 0 skip connections, at least 2 expected$"
    ):
        assert_skips(nn.Conv2d(3, 3, 1), X, at_least=2)


def test_ignored():
    assert_skips(Twice(), X, ignore=["TS106"])
