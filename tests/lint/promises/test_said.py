"""What classes and flags say of a shortcut, and the blocks that do not follow."""

import torch
from net import c2, seq
from torch import nn

from torchskip.lint.evidence import Evidence
from torchskip.lint.promises.said import ignored, passed_over, unlike_their_class

X = torch.zeros(2, 4, 8, 8)


def blocks(model):
    return Evidence(model, (X,), {}).blocks


class ResBlock(nn.Module):
    def __init__(self, skip=True, **flags):
        super().__init__()
        self.a, self.b, self.kept = c2(), c2(), skip
        self.__dict__.update(flags)

    def forward(self, x):
        h = self.b(torch.relu(self.a(x)))
        return x + h if self.kept else h


class Stage(nn.Module):
    """A flag of its own, and blocks of which each has one too."""

    def __init__(self, *flags, skip=False):
        super().__init__()
        self.use_residual = True
        self.blocks = seq(*(ResBlock(skip, residual=flag) for flag in flags))

    def forward(self, x):
        return self.blocks(x)


class Plain(nn.Module):
    def __init__(self, **flags):
        super().__init__()
        self.a = seq(c2(), nn.ReLU())
        self.__dict__.update(flags)

    def forward(self, x):
        return self.a(x)


def test_a_residual_block_that_joins_nothing_is_unlike_its_class():
    found = unlike_their_class(blocks(seq(ResBlock(False), ResBlock(), Plain())))
    assert [b.path for b in found] == ["0"]


def test_a_flag_that_is_off_excuses_it():
    assert not list(unlike_their_class(blocks(seq(ResBlock(False, has_skip=False)))))


def test_a_shortcut_around_it_excuses_it():
    class Around(nn.Module):
        def __init__(self):
            super().__init__()
            self.block = ResBlock(False)

        def forward(self, x):
            return x + self.block(x)

    assert not list(unlike_their_class(blocks(Around())))


def test_a_flag_that_is_set_above_and_off_below_is_passed_over():
    ((block, flag, off),) = passed_over(blocks(seq(Stage(False, False))))
    assert (block.path, flag) == ("0", "use_residual")
    assert [b.path for b in off] == ["0.blocks.0", "0.blocks.1"]


def test_a_flag_that_one_block_has_or_that_a_skip_follows_is_not():
    assert not list(passed_over(blocks(Stage(False, True))))
    assert not list(passed_over(blocks(Stage(False, False, skip=True))))


def test_a_flag_that_nothing_follows_is_ignored():
    found = ignored(blocks(seq(Plain(use_res_connect=True), Plain(use_bias=True))))
    assert [(b.path, flag) for b, flag in found] == [("0", "use_res_connect")]


def test_a_flag_that_a_block_below_knows_is_not():
    assert not list(ignored(blocks(Stage(False))))
