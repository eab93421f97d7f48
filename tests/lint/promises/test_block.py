"""What a block promises, by its parts, flags and names, and what it does."""

import torch
from net import Net, c2, seq
from torch import nn

from torchskip.lint.evidence import Evidence

X = torch.zeros(2, 4, 8, 8)


def blocks(model, *example):
    return Evidence(model, example or (X,), {}).blocks


class ResidualBlock(nn.Module):
    def __init__(self, skip=True, use_bias=False):
        super().__init__()
        self.use_skip, self.use_bias = skip, use_bias
        self.conv, self.shortcut = c2(), c2(k=1)

    def forward(self, x):
        return x + self.conv(x) if self.use_skip else self.conv(x)


class ByHand(nn.Module):
    def __init__(self):
        super().__init__()
        self.block, self.spare = ResidualBlock(), c2()

    def forward(self, x):
        return self.block.conv(x)


def test_flags_and_classes_promise_a_shortcut():
    found = blocks(seq(ResidualBlock(), ResidualBlock(skip=False), c2()))
    assert [found[p].wants for p in "012"] == [("use_skip",), (), ()]
    assert [found[p].refuses for p in "012"] == [(), ("use_skip",), ()]
    assert [found[p].says_residual for p in "012"] == [True, True, False]


def test_what_nothing_goes_around_is_bare():
    found = blocks(seq(ResidualBlock(), ResidualBlock(skip=False), c2(4, 8)))
    assert [found[p].bare for p in "012"] == [False, True, False]
    assert [len(found[p].joins) for p in "012"] == [1, 0, 0]
    assert found["2"].ends == ((2, 4, 8, 8), (2, 8, 8, 8))


def test_a_skip_lies_in_every_block_above_its_join():
    found = blocks(seq(seq(ResidualBlock())))
    assert [len(found[p].skips) for p in ("", "0", "0.0")] == [1, 1, 1]
    assert [len(found[p].joins) for p in ("", "0", "0.0")] == [0, 0, 1]


def test_parts_that_never_run_are_idle_where_their_block_is_called():
    found = blocks(seq(ResidualBlock()))
    assert [p.path for p in found["0"].idle] == ["0.shortcut"]
    assert found["0"].unread == {"0.shortcut.weight", "0.shortcut.bias"}
    assert found["0.shortcut"].idle == ()


def test_a_list_runs_by_what_is_in_it():
    def run(net, x):
        return net.convs[0](x)

    found = blocks(Net(run, convs=nn.ModuleList([c2(), c2()]), rest=nn.ModuleList([c2()])))
    assert (found["convs"].called, found["convs"].runs) == (False, True)
    assert [p.path for p in found[""].idle] == ["rest"]


def test_a_part_that_training_alone_calls_is_not_idle():
    def run(net, x):
        return net.a(x) + net.aux(x) if net.training else net.a(x)

    assert blocks(Net(run, a=c2(), aux=c2()))[""].idle == ()


def test_a_part_without_parameters_is_not_idle():
    assert blocks(Net(lambda net, x: net.a(x), a=c2(), act=nn.ReLU()))[""].idle == ()


def test_layers_called_from_outside_are_their_block_run_by_hand():
    found = blocks(ByHand())
    assert found["block"].by_hand.layers == 1
    assert found[""].by_hand is None
    assert blocks(seq(ResidualBlock()))["0"].by_hand is None


def test_equal_blocks_have_equal_sizes():
    found = blocks(seq(ResidualBlock(), ResidualBlock(), seq(c2(4, 8))))
    assert found["0"].sizes == found["1"].sizes != found["2"].sizes
    assert found["2"].weights == ((8, 4, 3, 3),)
