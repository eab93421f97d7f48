"""Coins that leave a branch out for the whole batch."""

import random
from pathlib import Path

import pytest
import torch
from net import c1, c2, nested, seq
from torch import nn

from torchskip.lint.check import check


class Coin(nn.Module):
    def __init__(self, layer, rate=0.2):
        super().__init__()
        self.layer, self.rate = layer, rate


class First(Coin):
    def forward(self, x):
        if self.training and torch.rand(1) < self.rate:
            return x
        return x + self.layer(x)


class Named(Coin):
    def forward(self, x):
        toss = random.random()  # noqa: S311
        if self.training:
            skipped = toss < self.rate
            if skipped:
                return x
        y = self.layer(x)
        y += x
        return y


class Reversed(Coin):
    def forward(self, x):
        if self.training:
            if torch.bernoulli(torch.tensor(1 - self.rate)):
                return torch.relu(x + self.layer(x))
            return x
        return torch.relu(x + self.layer(x))


class Scaled(Coin):
    def forward(self, x):
        if self.training:
            if torch.rand(()) < self.rate:
                return x
            return x + self.layer(x)
        return x + (1 - self.rate) * self.layer(x)


class Divided(Coin):
    def forward(self, x):
        if self.training and torch.rand(()) < self.rate:
            return x
        y = self.layer(x)
        if self.training:
            y = y.div(1 - self.rate)
        return x + y


class Quotient(Coin):
    def forward(self, x):
        if self.training and torch.rand(()) < self.rate:
            return x
        y = self.layer(x)
        return x + (y / (1 - self.rate) if self.training else y)


class Elsewhere(Coin):
    """Divides its input: no scale of the branch."""

    def forward(self, x):
        if self.training and torch.rand(()) < self.rate:
            return x
        return x + self.layer(x / 2)


class Survived(nn.Module):
    """Scales by its chance in evaluation, which is one in the first block."""

    def __init__(self, layer, prob):
        super().__init__()
        self.layer, self.prob = layer, torch.tensor([prob])

    def forward(self, x):
        if self.training and not torch.bernoulli(self.prob):
            return x
        y = self.layer(x)
        if not self.training:
            y = y * self.prob.item()
        return x + y


class Weighed(nn.Module):
    """A layer that knows the mode itself."""

    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, x):
        return self.layer(x) * (1 if self.training else 0.8)


class Noisy(Coin):
    """The coin is about noise; the input goes on under no coin."""

    def forward(self, x):
        if self.training and torch.rand(()) < self.rate:
            x = x + torch.randn_like(x)
        return x + self.layer(x)


class Cropped(Coin):
    """Without a coin: small maps go on as they are."""

    def forward(self, x):
        if self.training and x.shape[-1] < 3:
            return x
        return x + self.layer(x)


class Plain(Coin):
    """Drops a layer that nothing goes around."""

    def forward(self, x):
        if self.training and torch.rand(()) < self.rate:
            return x
        return self.layer(x)


def findings(model, *shape):
    torch.manual_seed(0)
    return check(model, torch.zeros(shape or (2, 4, 8, 8)), select=["TS111"]).findings


@pytest.mark.parametrize(
    ("model", "shape"),
    [
        (seq(c2(), First(c2()), c2()), (2, 4, 8, 8)),
        (seq(c1(4, 8), Named(c1(8, 8)), c1(8, 4)), (2, 4, 8)),
        (nested(seq(c2(), Reversed(c2()))), ()),
        (seq(nn.Linear(4, 6), First(nn.Linear(6, 6), 0.5)), (2, 5, 4)),
        (seq(c2(), Elsewhere(c2(), 0.01)), (2, 4, 8, 8)),
    ],
)
def test_a_coin_for_the_batch_asks_evaluation_to_scale(model, shape):
    (finding,) = findings(model, *shape)
    assert finding.severity == "warning"
    assert "a coin leaves the branch out for the whole batch" in finding.message
    lines = Path(finding.source.file).read_text().splitlines()
    assert lines[finding.source.line - 1].strip() == "return x"


@pytest.mark.parametrize("kind", [Scaled, Divided, Quotient, Noisy, Cropped, Plain])
def test_coins_that_are_scaled_or_drop_no_branch_are_left_alone(kind):
    assert not findings(seq(c2(), kind(c2()), c2()))


def test_a_branch_that_scales_itself_in_evaluation_is_left_alone():
    assert not findings(seq(c2(), First(Weighed(c2())), c2()))


def test_a_chance_of_one_scales_too():
    assert not findings(seq(c2(), Survived(c2(), 1.0), Survived(c2(), 0.8)))


def test_a_chance_of_zero_is_no_coin():
    assert not findings(seq(c2(), First(c2(), 0.0), c2()))


def test_every_block_is_told():
    (finding,) = findings(seq(First(c2()), First(c2()), c2()))
    assert (finding.module, finding.also) == ("0", ("1",))
