"""Skip does what `x + f(x)` does, and says so when it cannot."""

import copy
import pickle

import pytest
import torch
from torch import nn

from torchskip.errors import ArgumentError, BranchInputError, GeometryError, MergeShapeError
from torchskip.nn import DropPath, Gate, LayerScale, Skip


def conv_block(c=4, norm=True):
    layers = [nn.Conv2d(c, c, 3, padding=1)] + ([nn.BatchNorm2d(c)] if norm else [])
    return nn.Sequential(*layers, nn.ReLU(inplace=True))


def test_equal_shapes_are_x_plus_f_of_x_bit_for_bit():
    skip = Skip(conv_block())
    hand = copy.deepcopy(skip.branch)
    assert isinstance(skip.shortcut, nn.Identity)
    a = torch.randn(2, 4, 9, 7, requires_grad=True)
    b = a.detach().clone().requires_grad_()
    ours, theirs = skip(a), b + hand(b)
    assert torch.equal(ours, theirs)
    g = torch.randn_like(ours)
    ours.backward(g)
    theirs.backward(g)
    assert torch.equal(a.grad, b.grad)
    for p, q in zip(skip.parameters(), hand.parameters(), strict=True):
        assert torch.equal(p.grad, q.grad)


@pytest.mark.parametrize("merge", ["add", "concat", "gate", "multiply", torch.sub, torch.maximum])
@pytest.mark.parametrize("keep", ["branch", "input"])
def test_gradcheck(merge, keep):
    if (merge, keep) == ("concat", "input"):
        pytest.skip("refused: see the messages")
    torch.manual_seed(0)
    branch = nn.Sequential(nn.Conv2d(2, 3, 3, stride=2, padding=1), nn.Tanh())
    skip = Skip(branch, merge=merge, keep=keep, scale="layerscale").double()
    nn.init.normal_(skip.scale.gamma)
    x = torch.randn(2, 2, 5, 4, dtype=torch.double, requires_grad=True)
    assert torch.autograd.gradcheck(skip, (x,))


@pytest.mark.parametrize("d", [1, 2, 3])
def test_merges_compute_their_equations(d):
    conv = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}[d]
    x = torch.randn(2, 4, *(6, 5, 7)[:d])
    f = conv(4, 4, 3, padding=1)
    y = f(x)
    assert torch.equal(Skip(f)(x), x + y)
    assert torch.equal(Skip(f, merge="multiply")(x), x * y)
    assert torch.equal(Skip(f, merge="concat")(x), torch.cat((x, y), 1))
    assert torch.equal(Skip(f, merge=torch.maximum)(x), torch.maximum(x, y))
    gated = Skip(f, merge="gate")
    t = torch.sigmoid(gated.merge.transform(x))
    torch.testing.assert_close(gated(x), t * y + (1 - t) * x)
    assert torch.sigmoid(torch.tensor(-2.0)) * 0.5 < t.mean() < 0.3  # starts near its shortcut


def test_concat_needs_no_projection():
    skip = Skip(nn.Conv2d(4, 7, 3, stride=2, padding=1), merge="concat")
    assert isinstance(skip.shortcut, nn.AvgPool2d)
    assert skip(torch.rand(1, 4, 9, 9)).shape == (1, 11, 5, 5)


@pytest.mark.parametrize("shortcut", ["auto", "project", "pool", "pad"])
@pytest.mark.parametrize("kernel", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_every_named_shortcut_has_the_branchs_size(shortcut, kernel, stride):
    skip = Skip(nn.Conv2d(3, 5, kernel, stride, padding=kernel // 2), shortcut=shortcut)
    for n in range(max(1, kernel), 40):
        x = torch.rand(1, 3, n, n + 1)
        assert skip.shortcut(x).shape == skip.branch(x).shape


def test_option_a_is_the_papers():
    skip = Skip(nn.Conv2d(3, 5, 3, stride=2, padding=1), shortcut="pad")
    x = torch.rand(1, 3, 8, 8)
    y = skip.shortcut(x)
    assert torch.equal(y[:, :3], x[:, :, ::2, ::2])
    assert y[:, 3:].abs().sum() == 0
    assert not list(skip.shortcut.parameters())


def test_option_b_is_the_papers():
    skip = Skip(nn.Conv2d(3, 5, 3, stride=2, padding=1), shortcut="project")
    assert isinstance(skip.shortcut, nn.Conv2d)
    assert skip.shortcut.stride == (2, 2)


class InplaceInside(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 3, padding=1)

    def forward(self, x):
        half = x[:, :2]
        half.mul_(0.5)
        return self.conv(x)


class ThroughAView(nn.Module):
    def forward(self, x):
        nn.functional.silu(x.flatten(2), inplace=True)
        return x


class ReLUOnlyInTraining(nn.Module):
    def forward(self, x):
        return x.relu_() if self.training else x.relu()


@pytest.mark.parametrize(
    "branch",
    [
        nn.ReLU(inplace=True),
        nn.Sequential(nn.Identity(), nn.Sequential(nn.ReLU(inplace=True), nn.Conv2d(4, 4, 1))),
        InplaceInside(),
        nn.Dropout(inplace=True),
        ReLUOnlyInTraining(),
        ThroughAView(),
    ],
)
def test_an_inplace_start_reaches_neither_shortcut_nor_caller(branch):
    skip = Skip(branch)
    assert skip._copies
    x = torch.randn(2, 4, 6, 6)
    kept = x.clone()
    torch.manual_seed(0)
    y = skip(x)
    torch.manual_seed(0)
    assert torch.equal(x, kept)
    assert torch.equal(y, kept + branch(kept.clone()))
    leaf = kept.clone().requires_grad_()
    skip(leaf).sum().backward()  # in place on a leaf would raise


@pytest.mark.parametrize(
    "branch",
    [
        conv_block(),
        nn.Sequential(nn.BatchNorm2d(4), nn.ReLU(inplace=True)),
        nn.Sequential(nn.Conv2d(4, 4, 1), InplaceInside()),
    ],
)
def test_no_copy_where_none_is_needed(branch):
    assert not Skip(branch)._copies


def test_an_inplace_shortcut_does_not_reach_the_caller():
    skip = Skip(nn.Conv2d(4, 4, 1), shortcut=nn.ReLU(inplace=True))
    x = torch.randn(1, 4, 3, 3)
    kept = x.clone()
    y = skip(x)
    assert torch.equal(x, kept)
    assert torch.equal(y, kept.relu() + skip.branch(kept))


def test_scales():
    x, f = torch.randn(2, 4, 5, 5), nn.Conv2d(4, 4, 1)
    for name in ("rezero", "skipinit"):
        skip = Skip(f, scale=name)
        assert torch.equal(skip(x), x + 0 * f(x))
        skip(x).sum().backward()
        assert skip.scale.alpha.grad.abs() > 0
    assert torch.equal(Skip(f, scale=0.1)(x), x + f(x) * 0.1)
    layered = Skip(f, scale="layerscale")
    assert layered.scale.gamma.shape == (4, 1, 1)
    torch.testing.assert_close(layered(x), x + 1e-6 * f(x))
    assert torch.equal(Skip(f, scale=LayerScale(4, init=0.5))(x), x + f(x) * 0.5)


def test_drop_path_is_per_sample_unbiased_and_free_in_inference():
    torch.manual_seed(0)
    drop = DropPath(0.25)
    y = drop(torch.ones(20000, 3, 2))
    per_sample = y.flatten(1)
    assert (per_sample == per_sample[:, :1]).all()
    assert set(per_sample[:, 0].tolist()) == {0.0, torch.tensor(1.0).div(0.75).item()}
    assert abs(y.mean() - 1) < 0.02
    x = torch.rand(2, 3)
    assert drop.eval()(x) is x
    skip = Skip(nn.Conv2d(3, 3, 1), drop_path=0.5).eval()
    z = torch.rand(1, 3, 4, 4)
    assert torch.equal(skip(z), z + skip.branch(z))


def test_state_dict_deepcopy_and_pickle():
    torch.manual_seed(0)
    make = lambda: Skip(  # noqa: E731
        nn.Conv2d(3, 6, 3, 2, 1), nn.BatchNorm2d(6), merge="gate", scale="rezero", drop_path=0.1
    )
    a, b = make().eval(), make().eval()
    nn.init.ones_(a.scale.alpha)
    x = torch.rand(2, 3, 9, 8)
    b.load_state_dict(a.state_dict())
    for other in (b, copy.deepcopy(a), pickle.loads(pickle.dumps(a))):  # noqa: S301
        assert torch.equal(a(x), other(x))
    assert "branch.0.weight" in a.state_dict()


def test_unequal_shapes_never_broadcast():
    class Squeeze(nn.Module):
        def forward(self, x):
            return x.mean((2, 3), keepdim=True)

    for merge in ("add", "multiply", torch.add, torch.mul):
        model = nn.Sequential(nn.Conv2d(3, 8, 1), Skip(Squeeze(), merge=merge, shortcut="identity"))
        with pytest.raises(MergeShapeError) as caught:
            model(torch.rand(2, 3, 5, 5))
        assert caught.value.axes == (2, 3)
        assert caught.value.branch == (2, 8, 1, 1)
        assert "in '1' (Skip)" in str(caught.value)


def test_the_message_names_the_place_the_shapes_and_the_mend():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            block = Skip(nn.Conv2d(64, 128, 3, 2, 1), nn.BatchNorm2d(128), shortcut="identity")
            self.layer2 = nn.Sequential(block)

        def forward(self, x):
            return self.layer2(x)

    with pytest.raises(MergeShapeError) as caught:
        Net()(torch.rand(8, 64, 32, 32))
    assert str(caught.value) == (
        "cannot add branch and shortcut in 'layer2.0' (Skip)\n"
        "  branch    (8, 128, 16, 16)\n"
        "  shortcut  (8, 64, 32, 32)    axes 1, 2, 3 differ\n"
        '  mend: shortcut="auto" derives a pooled 1x1 projection (stride 2)'
    )
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)  # noqa: S301


X = torch.rand(1, 3, 8, 8)
MESSAGES = [
    (
        lambda: Skip(),
        ArgumentError,
        "the branch is empty: a Skip goes around something\n"
        "  mend: give its layers, as in Skip(nn.Conv2d(64, 64, 3, padding=1))",
    ),
    (
        lambda: Skip([nn.ReLU()]),
        ArgumentError,
        "part 0 of the branch is a list, not an nn.Module\n"
        "  mend: pass layers one by one: Skip(conv, norm); unpack lists, Skip(*layers)",
    ),
    (
        lambda: Skip(nn.ReLU(), merge="sum"),
        ArgumentError,
        "merge='sum' is unknown\n"
        '  mend: one of "add", "concat", "multiply", "gate", or a callable of (shortcut, branch)',
    ),
    (
        lambda: Skip(nn.ReLU(), shortcut="max"),
        ArgumentError,
        "shortcut='max' is unknown\n"
        '  mend: one of "auto", "identity", "project", "pool", "pad", or an nn.Module',
    ),
    (
        lambda: Skip(nn.ReLU(), keep="output"),
        ArgumentError,
        'keep=\'output\' is unknown\n  mend: one of "branch", "input"',
    ),
    (
        lambda: Skip(nn.ReLU(), scale=float("nan")),
        ArgumentError,
        "scale is nan, which would make every output nan\n"
        "  mend: give a finite number, or one of 'rezero', 'skipinit', 'layerscale'",
    ),
    (
        lambda: Skip(nn.ReLU(), drop_path=1.0),
        ArgumentError,
        "drop_path is 1.0, which is no probability of dropping a branch\n"
        "  mend: give 0 <= drop_path < 1; at 1 the branch would never be trained",
    ),
    (
        lambda: Skip(nn.ReLU(), drop_path=float("nan")),
        ArgumentError,
        "drop_path is nan, which is no probability of dropping a branch\n"
        "  mend: give 0 <= drop_path < 1; at 1 the branch would never be trained",
    ),
    (
        lambda: Skip(nn.ReLU(), in_channels=0),
        ArgumentError,
        "in_channels is 0\n  mend: give the number of input channels, 1 or more",
    ),
    (
        lambda: Skip(nn.Conv2d(3, 3, 1), keep="input", merge="concat"),
        ArgumentError,
        'keep="input" and merge="concat" exclude each other: a concatenation has more channels '
        'than the input\n  mend: use merge="add", or keep="branch"',
    ),
    (
        lambda: Skip(nn.Conv2d(3, 3, 1), keep="input", shortcut="pool"),
        ArgumentError,
        'keep="input" and shortcut="pool" exclude each other: the input already has the '
        'result\'s shape\n  mend: leave shortcut="auto"',
    ),
    (
        lambda: Skip(nn.Conv2d(6, 3, 3, 2), shortcut="pad"),
        ArgumentError,
        'shortcut="pad" appends channels of zeros and cannot go from 6 to 3 channels\n'
        '  mend: shortcut="auto" or "project" learns a 1x1 convolution',
    ),
    (
        lambda: Skip(nn.ConvTranspose2d(3, 3, 2, 2), shortcut="pool"),
        GeometryError,
        'shortcut="pool" needs windows that fit the branch\'s pixels, but its strides are '
        "1/2, 1/2 and its centres -1/4, -1/4 pixels\n"
        '  mend: shortcut="auto" interpolates',
    ),
    (
        lambda: Skip(nn.ReLU(), scale="layerscale"),
        GeometryError,
        'scale="layerscale" needs the branch\'s number of channels, which its layers do not tell\n'
        "  mend: pass in_channels=...",
    ),
    (
        lambda: Skip(nn.Conv2d(4, 4, 3, padding=1))(X),
        BranchInputError,
        "the branch of the outermost module (Skip) cannot take its input\n"
        "  input     (1, 3, 8, 8)\n"
        "  expected  (batch, 4, ...), got 3 channels\n"
        "  mend: give 4 channels, or build the branch for 3",
    ),
    (
        lambda: nn.Sequential(Skip(nn.Conv2d(3, 3, 5, padding=0), nn.MaxPool2d(5)))(X),
        BranchInputError,
        "the branch of '0' (Skip) cannot take its input\n"
        "  input     (1, 3, 8, 8)\n"
        "  expected  at least 9 pixels\n"
        "  mend: give a larger image, or add padding or remove a stride in the branch",
    ),
]


@pytest.mark.parametrize(("act", "kind", "message"), MESSAGES)
def test_messages(act, kind, message):
    with pytest.raises(kind) as caught:
        act()
    assert str(caught.value) == message


def test_in_channels_settles_layers_that_take_any_number():
    assert Skip(nn.ReLU(), scale="layerscale", in_channels=5).scale.gamma.shape == (5, 1, 1)
    assert isinstance(Skip(nn.ReLU(), merge="gate", in_channels=5).merge, Gate)


def test_a_strangers_error_stays_as_it_is():
    class Broken(nn.Module):
        def forward(self, x):
            if x.shape[-1] == 8 and not x.is_meta:
                raise RuntimeError("mine")
            return x

    with pytest.raises(RuntimeError, match=r"^mine$"):
        Skip(Broken())(X)
