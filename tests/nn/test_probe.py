"""Any forward can be probed, and nothing of the branch is touched by it."""

import random

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from torchskip.errors import ArgumentError, GeometryError
from torchskip.nn import Skip, probe


class Functional(nn.Module):
    """Functional code with raw parameters, a constant that is no buffer, and a random draw."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(5, 7, 3, 3))
        self.constant = torch.ones(5, 1, 1)
        self.calls = 0

    def forward(self, x):
        self.calls += 1
        y = F.conv2d(F.pad(x, (2, 0, 1, 1), mode="circular"), self.weight, stride=2)
        return y * self.constant + torch.rand(()) + random.random()  # noqa: S311


class Asymmetric(nn.Module):
    def forward(self, x):
        out = x.new_zeros(x.shape[0], x.shape[1], x.shape[2], x.shape[3] + 3)
        out[:, :, :, 3:] = x
        return F.avg_pool2d(out, 2)


class SqueezeExcite(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.down, self.up = nn.Linear(c, 2), nn.Linear(2, c)

    def forward(self, x):
        gate = torch.sigmoid(self.up(F.relu(self.down(x.mean((2, 3))))))
        return x * gate[:, :, None, None]


class Tokens(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.attention = nn.MultiheadAttention(c, 1, batch_first=True)

    def forward(self, x):
        n, c, h, w = x.shape
        t = x.flatten(2).transpose(1, 2)
        t, _ = self.attention(t, t, t)
        return t.transpose(1, 2).reshape(n, c, h, w)


class ChannelsLast(nn.Module):
    """ConvNeXt's way: permute, linear, permute back."""

    def __init__(self, c):
        super().__init__()
        self.conv = nn.Conv2d(c, c, 7, padding=3, groups=c)
        self.norm, self.linear = nn.LayerNorm(c), nn.Linear(c, c)

    def forward(self, x):
        y = self.conv(x).permute(0, 2, 3, 1)
        return self.linear(self.norm(y)).permute(0, 3, 1, 2)


class Hourglass(nn.Module):
    """Down and up again, cropped to what it came from."""

    def __init__(self):
        super().__init__()
        self.down, self.up = nn.Conv2d(3, 6, 2, 2), nn.ConvTranspose2d(6, 3, 2, 2)

    def forward(self, x):
        return self.up(self.down(x))


def grids(branch, **options):
    found = probe(branch, **options)
    return [(float(g.stride), float(g.centre)) for g in found.geometry]


@pytest.mark.parametrize(
    ("make", "channels", "expected"),
    [
        (Functional, (7, 5), [(2, 0), (2, -1)]),
        (lambda: nn.Sequential(nn.Conv2d(3, 4, 1), Asymmetric()), (3, 4), [(2, 0.5), (2, -2.5)]),
        (lambda: SqueezeExcite(8), (8, 8), [(1, 0), (1, 0)]),
        (lambda: Tokens(8), (8, 8), [(1, 0), (1, 0)]),
        (lambda: ChannelsLast(96), (96, 96), [(1, 0), (1, 0)]),
        (Hourglass, (3, 3), [(1, 0), (1, 0)]),
        (lambda: nn.PixelUnshuffle(2), None, None),
        (
            lambda: nn.Sequential(nn.Conv2d(3, 16, 1), nn.PixelShuffle(4)),
            (3, 1),
            [(0.25, -0.375)] * 2,
        ),
        (lambda: nn.Sequential(nn.ReLU(), nn.Dropout()), (None, None), [(1, 0)] * 2),
        (
            lambda: nn.Conv2d(3, 4, (2, 5), padding="same", dilation=(1, 2)),
            (3, 4),
            [(1, 0.5), (1, 0)],
        ),
        (lambda: nn.Conv1d(3, 4, 4, 4), (3, 4), [(4, 1.5)]),
        (lambda: nn.Conv3d(3, 4, 3, (1, 2, 2), 1), (3, 4), [(1, 0), (2, 0), (2, 0)]),
    ],
)
def test_geometry_of_any_forward(make, channels, expected):
    branch = make()
    if expected is None:
        with pytest.raises(GeometryError, match="mend: pass in_channels="):
            probe(branch)
        assert probe(branch, in_channels=3).out_channels == 12
        return
    found = probe(branch)
    assert (found.in_channels, found.out_channels) == channels
    assert grids(branch) == expected


def test_blocks_of_torchvision():
    models = pytest.importorskip("torchvision").models
    resnet = models.resnet50()
    assert grids(resnet.layer1) == [(1, 0)] * 2
    assert grids(resnet.layer2) == [(2, 0)] * 2
    assert grids(nn.Sequential(*list(resnet.children())[:-2])) == [(32, 0)] * 2
    mobile = models.mobilenet_v2().features
    assert grids(mobile[2]) == [(2, 0)] * 2
    assert grids(mobile[3]) == [(1, 0)] * 2
    assert grids(models.shufflenet_v2_x1_0().stage2) == [(2, 0)] * 2
    assert grids(models.convnext_tiny().features[1]) == [(1, 0)] * 2
    skip = Skip(models.resnet18().layer2)
    assert skip(torch.rand(1, 64, 17, 20)).shape == (1, 128, 9, 10)
    net = models.densenet121().features.denseblock1
    assert probe(net).out_channels == 256


def test_odd_sizes_of_an_hourglass():
    skip = Skip(Hourglass())
    for n in range(2, 40):
        x = torch.rand(1, 3, n, n + 1)
        assert skip.shortcut(x).shape == skip.branch(x).shape
        assert torch.equal(skip.shortcut(x), x[:, :, : n // 2 * 2, : (n + 1) // 2 * 2])


def test_probing_leaves_everything_as_it_was():
    branch = nn.Sequential(Functional(), nn.BatchNorm2d(5), nn.Dropout(), nn.ReLU(inplace=True))
    seen = []
    branch[1].register_forward_hook(lambda *_: seen.append("hook"))
    branch[2].eval()
    before = {k: v.clone() for k, v in branch.state_dict().items()}
    modes = [m.training for m in branch.modules()]
    rng, python = torch.get_rng_state(), random.getstate()
    probe(branch)
    assert torch.equal(rng, torch.get_rng_state())
    assert python == random.getstate()
    assert branch[0].calls == 0
    assert seen == []
    assert modes == [m.training for m in branch.modules()]
    after = branch.state_dict()
    assert all(torch.equal(before[k], after[k]) for k in before)
    assert branch[0].weight.device.type == "cpu"
    assert branch[0].weight.requires_grad


def test_normalised_weights():
    old = nn.utils.parametrizations.weight_norm(nn.Conv2d(3, 4, 3))
    spectral = nn.utils.parametrizations.spectral_norm(nn.Conv2d(4, 4, 3))
    assert Skip(old, spectral)(torch.rand(1, 3, 9, 9)).shape == (1, 4, 5, 5)


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_legacy_weight_norm_after_a_forward_pass():
    conv = nn.utils.weight_norm(nn.Conv2d(3, 3, 3, padding=1))
    conv(torch.rand(1, 3, 8, 8))
    assert Skip(conv)(torch.rand(1, 3, 8, 8)).shape == (1, 3, 8, 8)


def test_lazy_layers_stay_lazy():
    lazy = nn.LazyConv2d(8, 3, stride=2, padding=1)
    with pytest.raises(GeometryError, match="in_channels="):
        Skip(lazy)
    skip = Skip(lazy, nn.LazyBatchNorm2d(), in_channels=4)
    assert nn.parameter.is_lazy(lazy.weight)
    assert skip.shortcut.project.weight.shape == (8, 4, 1, 1)
    assert skip(torch.rand(2, 4, 9, 9)).shape == (2, 8, 5, 5)


@pytest.mark.parametrize("dtype", [torch.half, torch.bfloat16, torch.double])
def test_the_shortcut_takes_dtype_and_device(dtype):
    skip = Skip(nn.Conv2d(3, 8, 3, stride=2, padding=1).to(dtype))
    assert skip.shortcut.project.weight.dtype == dtype
    assert skip(torch.rand(1, 3, 8, 8, dtype=dtype)).dtype == dtype
    on_meta = Skip(nn.Conv2d(3, 8, 3, stride=2, padding=1, device="meta"))
    assert all(p.is_meta for p in on_meta.parameters())
    with torch.device("meta"):
        assert all(p.is_meta for p in Skip(nn.Conv2d(3, 8, 3)).parameters())


MESSAGES = [
    (
        lambda: Skip(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1)),
        GeometryError,
        "branch (Sequential) has no affine geometry along spatial axis 0: its output has 1 pixel "
        "whatever the input's size\n"
        "  probed    (2, 3, 352, 416) -> (2, 4, 1, 1)\n"
        "  mend: pass shortcut=... with a module that ends on the branch's grid, such as "
        "nn.AdaptiveAvgPool2d for a pooled branch",
    ),
    (
        lambda: Skip(
            nn.Conv2d(3, 4, 3), nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True)
        ),
        GeometryError,
        "branch (Sequential) has no affine geometry along spatial axis 0: a resize with "
        "align_corners=True has no fixed stride\n"
        "  probed    (2, 3, 352, 416) -> (2, 4, 700, 828)\n"
        "  mend: pass shortcut=... with a module that ends on the branch's grid, such as "
        "nn.AdaptiveAvgPool2d for a pooled branch",
    ),
    (
        lambda: Skip(nn.Conv2d(3, 4, 3), nn.Flatten()),
        GeometryError,
        "branch (Sequential) changes the rank: input (2, 3, 352, 416), output (2, 579600)\n"
        "  mend: a Skip joins values of one rank; end the branch before it flattens",
    ),
    (
        lambda: Skip(nn.MaxPool2d(2, return_indices=True)),
        ArgumentError,
        "branch (MaxPool2d) returned a tuple of 2, but a Skip merges one tensor\n"
        "  mend: wrap the branch in a module whose forward returns the tensor to merge",
    ),
]


@pytest.mark.parametrize(("build", "kind", "message"), MESSAGES)
def test_messages(build, kind, message):
    with pytest.raises(kind) as caught:
        build()
    assert str(caught.value) == message


def test_construction_in_inference_mode():
    with torch.inference_mode():
        skip = Skip(nn.ReLU(inplace=True), nn.Conv2d(3, 3, 3, padding=1))
        assert skip._copies
        assert skip(torch.rand(1, 3, 5, 5)).shape == (1, 3, 5, 5)
