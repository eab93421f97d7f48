"""What mends of failing forwards propose: the change that the repositories made."""

import torch
import torch.nn.functional as F
from net import Net, c1, c2, seq
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


def laterals(*layers, stem=4):
    def forward(s, x):
        features = [s.stem(x)]
        for layer in s.down:
            features.append(layer(features[-1]))
        ways = [layer(f) for layer, f in zip(s.laterals, features, strict=True)]
        top = ways[-1]
        for way in ways[-2::-1]:
            top = way + F.interpolate(top, scale_factor=2)
        return top

    down = nn.ModuleList(c2(stem * 2**i, stem * 2 ** (i + 1), stride=2) for i in range(2))
    return Net(forward, stem=c2(3, stem), down=down, laterals=nn.ModuleList(layers))


def test_a_list_that_was_built_from_the_other_end_is_turned_around():
    told = "go through 'laterals' from its other end, or through the features: 'laterals.2' takes 4"
    build = ".0' with in_channels=4, not 16"
    for make in (lambda a: c2(a, 4, 1), lambda a: seq(c2(a, 4, 1), nn.ReLU())):
        net = laterals(*map(make, (16, 8, 4)))
        first, last = mends("TS100", net, (2, 3, 16, 16))
        assert (first, last.endswith(build)) == (told, True)


def test_a_list_of_other_widths_is_not_turned_around():
    net = laterals(*(c2(a, 4, 1) for a in (16, 8, 8)))
    assert mends("TS100", net, (2, 3, 16, 16)) == ["build 'laterals.0' with in_channels=4, not 16"]


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


class Down(nn.Module):
    """A U-Net whose list holds each feature before or after it is pooled."""

    def __init__(self, late):
        super().__init__()
        self.enc = nn.ModuleList((c2(3, 4), c2(4, 8)))
        self.low, self.dec = c2(8, 8), nn.ModuleList((c2(16, 4), c2(8, 4)))
        self.late = late

    def forward(self, x):
        kept = []
        for layer in self.enc:
            x = layer(x)
            if not self.late:
                kept.append(x)
            x = F.max_pool2d(x, 2)
            if self.late:
                kept.append(x)
        x = self.low(x)
        for layer in self.dec:
            x = layer(torch.cat([F.interpolate(x, scale_factor=2), kept.pop()], 1))
        return x


def test_a_list_of_pooled_features_gets_the_feature_from_before_the_pool():
    assert mends("TS101", Down(late=True), (2, 3, 16, 16))[0] == (
        "join the feature of that size: convolution in 'enc.1' gives (2, 8, 8, 8)"
    )
    assert not check(Down(late=False), torch.zeros(2, 3, 16, 16), select=["TS101"]).findings


# ---- TS101: channels


def test_the_last_layer_may_have_the_shortcuts_width():
    branch = {"a": c2(4, 8), "b": c2(8, 8), "n": nn.BatchNorm2d(8)}
    net = Net(lambda s, x: s.n(s.b(F.relu(s.a(x)))) + x, **branch)
    *_, last = mends("TS101", net, (2, 4, 8, 8))
    assert last == "build 'b' with 4 outputs, not 8, and 'n' for them"
    *_, last = mends("TS101", Net(lambda s, x: s.a(x) + x, a=c2(4, 8)), (2, 4, 8, 8))
    assert last == "build 'a' with 4 outputs, not 8"


def test_a_concatenation_sets_the_width_itself():
    net = Net(lambda s, x: torch.cat([s.a(x), x], 1) + x, a=c2())
    assert not any("build" in text for text in mends("TS101", net, (2, 4, 8, 8)))


# ---- TS101: axes that are permuted on the way


def channels_last(scale):
    def forward(s, x):
        y = s.mlp(s.conv(x).permute(0, 2, 3, 1))
        return (y if scale is None else y * s.scale).permute(0, 3, 1, 2) + x

    net = Net(forward, conv=c2(4, 6), mlp=seq(nn.Linear(6, 12), nn.GELU(), nn.Linear(12, 6)))
    net.scale = scale
    return net


def test_a_permuted_branch_parts_where_its_width_was_set():
    for scale in (None, nn.Parameter(torch.ones(6))):
        image = torch.zeros(2, 4, 8, 8)
        (finding,) = check(channels_last(scale), image, select=["TS101"]).findings
        assert "linear 'mlp.2': (2, 8, 8, 12) to (2, 8, 8, 6)" in (finding.message)
        narrow = [] if scale is not None else ["build 'mlp.2' with 4 outputs, not 6"]
        assert [m.text for m in finding.mends] == [
            "project the shortcut: `nn.Conv2d(4, 6, 1)`",
            *narrow,
        ]


def test_a_branch_that_ends_transposed_parts_at_its_own_axis():
    net = Net(lambda s, x: x + s.b(s.a(x.mT)).mT, a=c1(9, 9), b=c1(9, 7))
    (finding,) = check(net, torch.zeros(2, 4, 9), select=["TS101"]).findings
    assert "the branch parts at step 3, convolution 'b': (2, 9, 4) to (2, 7, 4)" in finding.message
