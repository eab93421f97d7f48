"""Whole findings, word for word."""

import pytest
import torch
import torch.nn.functional as F
from corpus.inplace import ReluFirst
from corpus.joins import Tutorial
from corpus.reported.fourth_images import UnstridedShortcut
from corpus.reported.fourth_levels import ClipStride, CornerCrop, SwappedPad, ZeroCrop
from corpus.reported.fourth_series import GruState, StageTwice
from net import Net, c2, seq
from torch import nn

from torchskip.lint.check import check
from torchskip.lint.finding import Edit, Mend

X4 = (2, 4, 8, 8)


def only(code, model, *shapes, **kwargs):
    torch.manual_seed(0)
    report = check(model, *(torch.zeros(s) for s in shapes), select=[code], **kwargs)
    (finding,) = report.findings
    return finding


def test_the_tutorial():
    finding = only("TS101", Tutorial(False), (1, 3, 32, 32), verify_mends=True)
    assert finding.message == (
        "cannot add branch (1, 3, 11, 11) and shortcut (1, 3, 32, 32): 11 against 32 on axis 2, "
        "11 against 32 on axis 3; the branch parts at step 1, convolution 'conv_layer1': "
        "(1, 3, 32, 32) to (1, 6, 18, 18)"
    )
    branch, shortcut = finding.arms
    assert [(s.op, s.module, s.shape) for s in branch.steps] == [
        ("convolution", "conv_layer1", (1, 6, 18, 18)),
        ("relu", "relu", (1, 6, 18, 18)),
        ("convolution", "conv_layer2", (1, 3, 11, 11)),
        ("relu", "relu2", (1, 3, 11, 11)),
    ]
    assert (branch.role, branch.parts, shortcut.role, shortcut.steps) == (
        "branch",
        0,
        "shortcut",
        (),
    )
    assert [(m.text, m.verified) for m in finding.mends] == [
        ("set 'conv_layer1': stride=1, padding=0 and 'conv_layer2': stride=1, padding=1", True),
        (
            "write `Skip(self.conv_layer1, self.relu, self.conv_layer2, self.relu2, "
            "shortcut='auto')`: the derived shortcut brings (1, 3, 32, 32) to the branch's "
            "(1, 3, 11, 11)",
            True,
        ),
        (
            "write `Skip(self.conv_layer1, self.relu, self.conv_layer2, self.relu2, "
            "keep='input')`: the branch is brought back, pixel-aligned, and the result keeps "
            "(1, 3, 32, 32)",
            True,
        ),
    ]
    assert finding.source.text == "return input + x"
    assert finding.mends[0].edits[0] == Edit("conv_layer1", "stride", (1, 1))


def test_forty_of_the_tutorials_cells_see_only_padding():
    finding = only("TS206", Tutorial(False), (1, 3, 32, 32))
    assert finding.message == (
        "40 of the 121 cells of (1, 3, 11, 11) see only padding: 'conv_layer1' pads by 2 and its "
        "kernel reaches 1"
    )


def test_an_overwritten_shortcut():
    finding = only("TS104", seq(c2(), ReluFirst(True)), (2, 4, 8, 8), verify_mends=True)
    assert (finding.module, finding.message) == (
        "1.conv.0",
        "relu in '1.conv.0' overwrites the shortcut (2, 4, 8, 8) before it is joined: the add "
        "gets the result of relu instead of its input",
    )
    assert finding.join.text == "out += x"
    assert finding.mends == (
        Mend(
            "set `inplace=False` on '1.conv.0', or call `torchskip.mend(model)`",
            (Edit("1.conv.0", "inplace", False),),
            verified=True,
        ),
    )


def test_equal_lines_are_one_finding():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.a = c2()

        def forward(self, x):
            x = self.a(x)
            return x + x

    finding = only("TS106", seq(Twice(), Twice(), Twice()), (2, 4, 8, 8))
    assert (finding.module, finding.also) == ("0", ("1", "2"))
    assert finding.message == (
        "a value is added to itself: both operands are the same (2, 4, 8, 8), the result is 2x "
        "it and no branch takes part"
    )


def test_a_size_that_does_not_fit():
    class Small(nn.Module):
        def __init__(self):
            super().__init__()
            self.enc, self.mid, self.dec = c2(), c2(), c2(8)

        def forward(self, x):
            e = self.enc(x)
            m = F.interpolate(self.mid(F.max_pool2d(e, 2)), scale_factor=2)
            return self.dec(torch.cat([e, m], 1))

    finding = only("TS102", Small(), (2, 4, 8, 8))
    assert finding.severity == "warning"
    assert finding.message == (
        "fits (2, 4, 8, 8) and fails for (2, 4, 9, 9): cannot concatenate branch (2, 4, 8, 8) and "
        "shortcut (2, 4, 9, 9): 8 against 9 on axis 2, 8 against 9 on axis 3; the branch parts at "
        "step 1, max_pool2d: (2, 4, 9, 9) to (2, 4, 4, 4)"
    )
    assert [m.text for m in finding.mends] == [
        "resize the branch to the shortcut: `F.interpolate(x, size=skip.shape[2:])` gives (9, 9) "
        "here",
        "pad the input to multiples of 2 and crop the output back",
    ]


def test_mends_of_a_strided_branch_are_verified():
    model = seq(Net(lambda s, x: x + s.b(s.r(s.a(x))), a=c2(stride=2), r=nn.ReLU(), b=c2()))
    finding = only("TS101", model, (2, 4, 9, 9), verify_mends=True)
    assert [(m.text.partition(":")[0], m.verified) for m in finding.mends] == [
        ("set '0.a'", True),
        ("write `Skip(self.a, self.r, self.b, shortcut='auto')`", True),
        ("write `Skip(self.a, self.r, self.b, keep='input')`", True),
    ]


def test_a_mend_of_equal_lines_changes_all_of_them():
    finding = only("TS104", seq(c2(), ReluFirst(True), ReluFirst(True)), X4, verify_mends=True)
    (mend,) = finding.mends
    assert finding.also == ("2.conv.0",)
    assert [edit.module for edit in mend.edits] == ["1.conv.0", "2.conv.0"]
    assert mend.verified


def test_what_a_branch_reads_is_overwritten_by_the_skip():
    def forward(s, x):
        y = s.a(x)
        skip = y.mul_(2)
        return torch.cat([skip, s.b(y)], 1)

    finding = only("TS104", Net(forward, a=c2(), b=c2()), X4)
    assert finding.message == (
        "mul writes its result over (2, 4, 8, 8), which convolution in 'b' reads afterwards: it "
        "gets the result, and not the value before"
    )


def test_every_arm_of_a_concatenation_is_mended():
    def dilated(rate):
        return nn.Conv2d(4, 4, 3, padding=1, dilation=rate)

    pyramid = Net(
        lambda s, x: torch.cat([s.a(x), s.b(x), s.c(x)], 1), a=c2(k=1), b=dilated(2), c=dilated(3)
    )
    finding = only("TS101", pyramid, X4, verify_mends=True)
    assert [(m.text, m.verified) for m in finding.mends] == [
        ("set 'b': padding=2 and 'c': padding=3", True),
        ("resize the branch to its skip: `F.interpolate(x, size=(8, 8))`, written "
         "`size=skip.shape[2:]`", None),
    ]  # fmt: skip


def test_a_decoder_is_told_which_feature_fits():
    class Popped(nn.Module):
        def __init__(self):
            super().__init__()
            self.d1, self.d2, self.d3 = c2(stride=2), c2(stride=2), c2(stride=2)

        def forward(self, x):
            skips = [x, self.d1(x)]
            skips.append(self.d2(skips[-1]))
            y = F.interpolate(self.d3(skips[-1]), scale_factor=2)
            return y + skips.pop(0)

    finding = only("TS101", Popped(), (2, 4, 16, 16))
    assert finding.mends[0].text == (
        "join the feature of that size: convolution in 'd2' gives (2, 4, 4, 4)"
    )


def test_the_channels_are_those_of_the_layer_that_set_them():
    dense = Net(lambda s, x: s.b(torch.cat([x, s.a(x)], 1)) + x, a=c2(4, 2), b=c2(6, 2))
    assert only("TS101", dense, X4).message == (
        "cannot add branch (2, 2, 8, 8) and shortcut (2, 4, 8, 8): 2 against 4 on axis 1; the "
        "branch parts at step 3, convolution 'b': (2, 6, 8, 8) to (2, 2, 8, 8)"
    )


@pytest.mark.parametrize(
    ("arm", "text"),
    [
        (nn.Flatten(), "reshape the branch: `.view_as(x)` makes (2, 256) (2, 4, 8, 8)"),
        (nn.Flatten(0), "reshape the branch: `.view_as(x)` makes (512,) (2, 4, 8, 8)"),
        (
            nn.Sequential(nn.AdaptiveAvgPool2d((8, 7)), nn.Flatten(2)),
            "keep the axis that one arm lost: `keepdim=True`, `unsqueeze`, no `flatten`",
        ),
    ],
)
def test_another_rank_is_mended_by_its_axes(arm, text):
    finding = only("TS101", Net(lambda s, x: x + s.arm(s.a(x)), a=c2(), arm=arm), X4)
    assert [mend.text for mend in finding.mends] == [text]


def test_swapped_axes_are_swapped_back():
    turned = Net(lambda s, x: x + s.a(x).transpose(2, 3), a=c2())
    assert only("TS101", turned, (2, 4, 8, 6)).mends[0].text == (
        "swap the branch's axes: `.transpose(2, 3)`"
    )


@pytest.mark.parametrize(
    ("layer", "given", "text"),
    [
        (c2(8), X4, "build '1' with in_channels=4, not 8"),
        (nn.ConvTranspose2d(8, 4, 2, 2), X4, "build '1' with in_channels=4, not 8"),
        (nn.Conv2d(8, 8, 3, groups=2), X4, "build '1' with in_channels=4, not 8"),
        (nn.Linear(6, 3), X4, "build '1' with in_features=8, not 6"),
    ],
)
def test_a_layer_of_another_width(layer, given, text):
    assert [mend.text for mend in only("TS100", seq(c2(), layer), given).mends] == [text]


def test_dropout_in_place_is_called_dropout():
    dropping = Net(lambda s, x: x + s.a(F.dropout(x, 0.5, s.training, True)), a=c2())
    finding = only("TS104", seq(c2(), dropping), X4)
    assert finding.message == (
        "dropout in '1' overwrites the shortcut (2, 4, 8, 8) before it is joined in training: the "
        "add gets the result of dropout instead of its input"
    )
    assert (
        finding.mends[0].text
        == "write dropout out of place: no `inplace=True`, no trailing underscore"
    )


@pytest.mark.parametrize(
    ("model", "size", "setting"),
    [
        (UnstridedShortcut(False), (2, 1, 8, 8, 8), "set 'shortcut.0': stride=2"),
        (ClipStride(False), (2, 4, 4, 8, 8), "set 'down': stride=(1, 2, 2)"),
    ],
)
def test_a_projection_takes_the_branchs_stride(model, size, setting):
    mend = only("TS101", model, size, verify_mends=True).mends[0]
    assert mend.text == setting
    assert mend.verified


def test_a_projection_keeps_its_stride_where_the_arms_would_meet_at_this_size_alone():
    shortcut = nn.Conv2d(4, 4, 1)
    model = Net(lambda m, x: F.avg_pool2d(m.c(x), 2) + m.s(x), c=c2(), s=shortcut)
    assert all("stride" not in m.text for m in only("TS101", model, X4).mends)


def test_a_slice_that_keeps_nothing():
    (mend,) = only("TS101", ZeroCrop(False), (2, 4, 16, 16)).mends
    assert mend.text == "a slice `[d:-d]` keeps nothing for d = 0: write `[d : size - d]`"


def test_a_recurrent_state_is_no_branch_to_wrap():
    (mend,) = only("TS101", GruState(False), (2, 8, 4)).mends
    assert mend.text == "join the sequence, or the last layer's state: `h[-1].unsqueeze(1)`"


def test_an_arm_cut_at_its_corner():
    (mend,) = only("TS303", CornerCrop(False), (2, 4, 16, 16)).mends
    assert mend.text == "cut both sides alike: from `(size - kept) // 2` on"


def test_pads_of_the_wrong_axis():
    mend = only("TS102", SwappedPad(False), (2, 4, 16, 16)).mends[0]
    assert mend.text == "`F.pad` takes the last axis first: `[left, right, top, bottom]`"


def test_a_stage_that_runs_twice_is_named_where_it_is_called():
    source = only("TS203", StageTwice(False), (2, 4, 16, 16)).source
    assert source is not None
    assert source.function == "StageTwice.forward"
