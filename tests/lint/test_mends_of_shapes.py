"""What mends of failing forwards propose: the change that the repositories made."""

import torch
import torch.nn.functional as F
from net import Net, c2, seq
from torch import nn

from torchskip.lint.check import check


def mends(code, model, *sizes):
    (finding,) = check(model, *(torch.zeros(s) for s in sizes), select=[code]).findings
    return [m.text for m in finding.mends]


# ---- TS100: the layer that was passed over, the feature that was left out


def passes_over(s, x):
    h = x
    for i, layer in enumerate(s.layers):
        h = torch.cat([h, x], -1) if i == 2 else layer(h)
    return h


def test_a_layer_of_the_list_that_was_passed_over_is_named():
    sizes = ((3, 6), (6, 6), (9, 6), (6, 6))
    layers = nn.ModuleList(nn.Linear(*s) for s in sizes)
    assert mends("TS100", Net(passes_over, layers=layers), (5, 3)) == [
        "call 'layers.2' first: it takes 9 to 6 and has not run",
        "build 'layers.3' with in_features=9, not 6",
    ]


def test_a_layer_of_another_width_is_not_named():
    sizes = ((3, 6), (6, 6), (8, 6), (6, 6))
    layers = nn.ModuleList(nn.Linear(*s) for s in sizes)
    (only,) = mends("TS100", Net(passes_over, layers=layers), (5, 3))
    assert only.startswith("build 'layers.3'")


def unet(expects):
    def forward(s, x):
        fine = s.enc(x)
        deep = s.deep(F.max_pool2d(fine, 2))
        return s.dec(s.up(deep))

    up = nn.ConvTranspose2d(8, 4, 2, 2)
    return Net(forward, enc=c2(3, 6), deep=c2(6, 8), up=up, dec=c2(expects, 4))


def test_the_feature_that_was_not_concatenated_is_named():
    assert mends("TS100", unet(10), (2, 3, 8, 8)) == [
        "concatenate the feature of its level first: convolution in 'enc' gives (2, 6, 8, 8), and "
        "'dec' takes 4 + 6",
        "build 'dec' with in_channels=4, not 10",
    ]


def test_no_feature_of_another_width_is_named():
    assert mends("TS100", unet(9), (2, 3, 8, 8)) == ["build 'dec' with in_channels=4, not 9"]


# ---- TS101: the pool's stride, the resize's size, the features' projection


def test_a_pool_on_the_shortcut_takes_the_branchs_stride():
    block = Net(
        lambda s, x: s.a(x) + s.pool(x), a=c2(stride=4), pool=nn.AvgPool2d(2, None, 0, True)
    )
    assert mends("TS101", seq(c2(), block), (1, 4, 16, 16))[0] == (
        "set '1.pool': kernel_size=4, stride=4"
    )


def test_a_resize_gets_the_size_of_what_it_joins():
    def levels(s, x):
        fine = s.a(x)
        deep = s.b(fine)
        return F.interpolate(fine, x.shape[2:]) + F.interpolate(deep, scale_factor=4)

    net = Net(levels, a=c2(stride=2), b=c2(stride=2))
    assert mends("TS101", net, (1, 4, 9, 9)) == [
        "give the resize of the branch its size, no factor: `F.interpolate(x, size=(9, 9))`, "
        "written `size=other.shape[2:]`"
    ]


def test_features_are_projected():
    net = Net(lambda s, x: x + s.a(x), a=nn.Linear(5, 3))
    assert mends("TS101", net, (4, 5)) == ["project the shortcut: `nn.Linear(5, 3)`"]
    (first, *_) = mends("TS101", Net(lambda s, x: x + s.a(x), a=nn.Conv1d(4, 4, 3)), (2, 4, 9))
    assert "nn.Linear" not in first
