"""Skips around branches without spatial axes: linear layers on features, tokens and windows."""

import pytest
import torch
from torch import nn

from torchskip.errors import BranchInputError, GeometryError, MergeShapeError
from torchskip.nn import Skip, probe


class Attention(nn.Module):
    """Takes tokens ``(N, T, C)`` alone."""

    def __init__(self, c):
        super().__init__()
        self.qkv, self.out = nn.Linear(c, 3 * c), nn.Linear(c, c)

    def forward(self, x):
        n, t, c = x.shape
        q, k, v = self.qkv(x).reshape(n, t, 3, 2, c // 2).permute(2, 0, 3, 1, 4)
        y = nn.functional.scaled_dot_product_attention(q, k, v)
        return self.out(y.transpose(1, 2).reshape(n, t, c))


class Windows(nn.Module):
    """Takes channels-last images ``(N, H, W, C)`` alone."""

    def __init__(self, c):
        super().__init__()
        self.linear = nn.Linear(c, c)

    def forward(self, x):
        _, _, _, _ = x.shape
        return self.linear(x.roll((1, 1), (1, 2)))


class MeanToken(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.linear = nn.Linear(c, c)

    def forward(self, x):
        _, _, _ = x.shape
        return self.linear(x).mean(1, keepdim=True)


X = {2: torch.randn(3, 8), 3: torch.randn(3, 5, 8), 4: torch.randn(3, 4, 6, 8)}


@pytest.mark.parametrize("rank", [2, 3, 4])
def test_equal_features_are_x_plus_f_of_x(rank):
    f = nn.Sequential(nn.LayerNorm(8), nn.Linear(8, 20), nn.GELU(), nn.Linear(20, 8))
    skip = Skip(f)
    assert type(skip.shortcut) is nn.Identity
    assert torch.equal(skip(X[rank]), X[rank] + f(X[rank]))


@pytest.mark.parametrize("rank", [2, 3, 4])
def test_merges_lie_along_the_last_axis(rank):
    x, f = X[rank], nn.Linear(8, 12)
    skip = Skip(f)
    assert torch.equal(skip(x), skip.shortcut(x) + f(x))
    assert torch.equal(Skip(f, merge="concat")(x), torch.cat((x, f(x)), -1))
    gated = Skip(f, merge="gate")
    t, kept = torch.sigmoid(gated.merge.transform(gated.shortcut(x))), gated.shortcut(x)
    torch.testing.assert_close(gated(x), t * f(x) + (1 - t) * kept)
    scaled = Skip(nn.Linear(8, 8), scale="layerscale")
    nn.init.normal_(scaled.scale.gamma)
    assert torch.equal(scaled(x), x + scaled.branch(x) * scaled.scale.gamma)
    assert scaled.scale.gamma.shape == (8,)


@pytest.mark.parametrize("shortcut", ["auto", "project", "pool", "pad"])
def test_every_named_shortcut_has_the_branchs_features(shortcut):
    skip = Skip(nn.Linear(8, 12), shortcut=shortcut)
    assert skip.shortcut(X[3]).shape == (3, 5, 12)
    assert torch.autograd.gradcheck(skip.double(), (X[2].double().requires_grad_(),))


def test_keep_input_projects_back():
    skip = Skip(nn.Linear(8, 12), nn.ReLU(), keep="input")
    assert skip(X[3]).shape == X[3].shape
    assert torch.equal(skip(X[3]), X[3] + skip.restore.project(skip.branch(X[3])))


@pytest.mark.parametrize(("branch", "rank"), [(Attention(8), 3), (Windows(8), 4)])
def test_the_rank_is_the_branchs_own(branch, rank):
    skip = Skip(branch, scale="layerscale")
    assert (skip.probe.in_channels, skip.probe.spatial) == (8, 0)
    assert skip.scale.gamma.shape == (8,)
    assert skip(X[rank]).shape == X[rank].shape


def test_a_normalisation_behind_linear_layers_has_no_spatial_axis():
    skip = Skip(nn.Linear(8, 12), nn.BatchNorm1d(12), nn.ReLU(inplace=True))
    assert isinstance(skip.shortcut, nn.Linear)
    assert skip(X[2]).shape == (3, 12)


@pytest.mark.parametrize(
    "branch",
    [
        nn.Sequential(nn.Conv1d(8, 8, 3, padding=1), nn.Flatten(0, 0), nn.BatchNorm1d(8)),
        nn.Sequential(nn.Conv2d(8, 8, 1), nn.LayerNorm(64)),
    ],
)
def test_convolutions_keep_their_spatial_axes(branch):
    assert probe(branch).spatial > 0


MESSAGES = [
    (
        lambda: Skip(nn.Linear(8, 12))(X[3][..., :5]),
        BranchInputError,
        "the branch of the outermost module (Skip) cannot take its input\n"
        "  input     (3, 5, 5)\n"
        "  expected  (..., 8), got 5 channels\n"
        "  mend: give 8 channels, or build the branch for 5",
    ),
    (  # the branch flattens what its shortcut cannot take
        lambda: Skip(nn.Flatten(), nn.Linear(8 * 5, 10))(X[3]),
        BranchInputError,
        "the branch of the outermost module (Skip) cannot take its input\n"
        "  input     (3, 5, 8)\n"
        "  expected  (..., 40), got 8 channels\n"
        "  mend: give 40 channels, or build the branch for 8",
    ),
    (
        lambda: Skip(nn.Linear(8, 12), shortcut="identity")(X[3]),
        MergeShapeError,
        "cannot add branch and shortcut in the outermost module (Skip)\n"
        "  branch    (3, 5, 12)\n"
        "  shortcut  (3, 5, 8)    axis 2 differs\n"
        '  mend: shortcut="auto" derives a linear projection',
    ),
    (
        lambda: Skip(nn.Linear(8, 12), merge="concat", shortcut=nn.Flatten())(X[3]),
        MergeShapeError,
        "cannot concatenate branch and shortcut in the outermost module (Skip)\n"
        "  branch    (3, 5, 12)\n"
        "  shortcut  (3, 40)    ranks 3 and 2 differ\n"
        '  mend: shortcut="auto" derives an identity (stride 1)',
    ),
    (
        lambda: Skip(MeanToken(8)),
        GeometryError,
        "branch (MeanToken) changes the axes before its features: input (2, 49, 8), output "
        "(2, 1, 8)\n"
        "  mend: pass shortcut=... with a module that does the same",
    ),
]


@pytest.mark.parametrize(("act", "kind", "message"), MESSAGES)
def test_messages(act, kind, message):
    with pytest.raises(kind) as caught:
        act()
    assert str(caught.value) == message
