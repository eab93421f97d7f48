"""Layers that were built for a shortcut and never run: what they say, and how bad it is."""

import torch
from net import Net, c2, seq
from torch import nn

from torchskip.lint.check import check

X = torch.zeros(2, 4, 8, 8)


def only(model):
    (finding,) = check(model, X, select=["TS108"]).findings
    return finding


def test_a_last_layer_belongs_to_the_branch():
    finding = only(Net(lambda s, x: x + s.a(x), a=c2(), proj_out=c2(k=1)))
    assert "the branch is added without it" in finding.message
    assert finding.mends[0].text.startswith("call it on the branch before the addition")


def test_a_shortcut_belongs_to_the_input():
    finding = only(Net(lambda s, x: x + s.a(x), a=c2(), shortcut_out=c2(k=1)))
    assert "its shortcut is the identity" in finding.message


class Fusion(nn.Module):
    """The first of several has nothing to add."""

    def __init__(self):
        super().__init__()
        self.residual_layer, self.out = c2(), c2()

    def forward(self, x, other=None):
        return self.out(x if other is None else x + self.residual_layer(other))


def test_a_block_of_whose_kind_others_run_it_is_a_warning():
    blocks = {"one": Fusion(), "two": Fusion()}
    finding = only(Net(lambda s, x: s.two(s.one(x), x), **blocks))
    assert finding.severity == "warning"
    assert "'residual_layer' of Fusion never runs: it has no shortcut as 'two' has" in (
        finding.message
    )


def test_a_block_of_its_own_is_an_error():
    finding = only(seq(c2(), Fusion()))
    assert finding.severity == "error"


def levels(called, *widths):
    def forward(net, x):
        fine = net.fine(x)
        deep = net.deep(torch.nn.functional.avg_pool2d(fine, 2))
        if called:
            fine, deep = net.skips[0](fine), net.skips[1](deep)
        up = torch.nn.functional.interpolate(deep, scale_factor=2)
        return net.head(torch.cat([fine, up], 1))

    skips = nn.ModuleList(c2(w, w, 1) for w in widths)
    return Net(forward, fine=c2(4, 6), deep=c2(6, 8), head=c2(14, 2), skips=skips)


def test_a_list_that_fits_the_arms_is_named():
    assert only(levels(False, 6, 8)).message == (
        "none of the 2 layers of 'skips' runs: Net joins arms of their channels as they are"
    )


def test_a_list_that_runs_or_fits_nothing_is_not():
    for model in (levels(True, 6, 8), levels(False, 6, 6), levels(False, 8)):
        assert check(model, X, select=["TS108"]).findings == ()
