"""Shapes told from a graph are those of the pass at that size; where they cannot be, none is."""

import random

import pytest
import torch
import torch.nn.functional as F
from net import Net, c1, c2, c3, seq
from torch import nn

from torchskip.lint.evidence import Pass
from torchskip.lint.sizes import all_meet, shapes_at
from torchskip.trace import trace

X = torch.zeros(2, 4, 32, 32)


class Split(nn.Module):
    """Half the channels go through the layers; the halves are shuffled (ShuffleNet v2)."""

    def __init__(self):
        super().__init__()
        self.conv = c2(2, 2)

    def forward(self, x):
        a, b = x.chunk(2, dim=1)
        x = torch.cat([a, self.conv(b)], dim=1)
        n, c, h, w = x.shape
        return x.view(n, 2, c // 2, h, w).transpose(1, 2).reshape(n, c, h, w)


class Gated(nn.Module):
    """Squeeze and excitation, once with a mean and once with a pooling."""

    def __init__(self):
        super().__init__()
        self.fc = c2(k=1)

    def forward(self, x):
        x = x * self.fc(x.mean((2, 3), keepdim=True)).sigmoid()
        return x * F.hardsigmoid(self.fc(F.adaptive_avg_pool2d(x, 1)))


class ChannelsLast(nn.Module):
    """The layout of ConvNeXt's normalisations."""

    def __init__(self):
        super().__init__()
        self.norm = nn.LayerNorm(4)

    def forward(self, x):
        return x + self.norm(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


def layer(rng):
    """A part of random geometry that keeps four channels and at least a pixel."""
    k, s = rng.randint(1, 4), rng.randint(1, 2)
    window = {"kernel_size": k, "stride": s, "padding": rng.randint(0, k // 2)}
    return rng.choice(
        [
            lambda: nn.Conv2d(4, 4, dilation=rng.randint(1, 2), **window | {"padding": 3}),
            lambda: nn.ConvTranspose2d(4, 4, output_padding=s - 1, **window),
            lambda: nn.MaxPool2d(ceil_mode=rng.random() < 0.5, **window),
            lambda: nn.AvgPool2d(ceil_mode=rng.random() < 0.5, **window),
            lambda: Net(lambda s, x: x + s.a(x), a=c2()),
            lambda: seq(Net(lambda s, x: torch.cat([x, s.a(x)], 1), a=c2(4, 2)), c2(6, 4)),
            lambda: seq(nn.BatchNorm2d(4), nn.GroupNorm(2, 4), nn.InstanceNorm2d(4), nn.GELU()),
            Split,
            Gated,
            ChannelsLast,
        ]
    )()


@pytest.mark.parametrize("seed", range(12))
def test_they_are_the_shapes_of_the_pass(seed):
    rng = random.Random(seed)  # noqa: S311
    model = seq(*(layer(rng) for _ in range(6)))
    graph = trace(model, X, training=False)
    assert graph.failure is None
    for size in ((33, 33), (33, 32), (41, 50)):
        inputs = (2, 4, *size)
        other = trace(model, torch.zeros(inputs), training=False)
        shapes = [other.values[v].shape for v in range(len(graph.values))]
        known = shapes_at(graph, [inputs])
        assert [known[v] for v in known] == [shapes[v] for v in known]
        assert set(graph.outputs) <= known.keys()
        assert all_meet(Pass(graph), [inputs])


@pytest.mark.parametrize(
    ("conv", "pool", "shape"),
    [
        (c1, nn.MaxPool1d, (1, 4, 9)),
        (c2, nn.MaxPool2d, (1, 4, 9, 8)),
        (c3, nn.AvgPool3d, (1, 4, 9, 8, 8)),
    ],
)
def test_any_number_of_axes(conv, pool, shape):
    model = seq(conv(stride=2), Net(lambda s, x: x + s.a(x), a=conv()), pool(2))
    graph = trace(model, torch.zeros(shape), training=False)
    larger = (*shape[:2], *(n + 1 for n in shape[2:]))
    other = trace(model, torch.zeros(larger), training=False)
    known = shapes_at(graph, [larger])
    assert [known[v] for v in graph.outputs] == [other.values[v].shape for v in other.outputs]


def up(resize):
    """An encoder and decoder of one level."""
    return Net(lambda s, x: torch.cat([x, resize(s, s.down(x), x)], 1), down=c2(stride=2), up=up_())


def up_():
    return nn.ConvTranspose2d(4, 4, 2, 2)


@pytest.mark.parametrize(
    "resize",
    [
        lambda s, low, x: s.up(low),
        lambda s, low, x: F.interpolate(low, scale_factor=2),
        lambda s, low, x: F.interpolate(low, size=x.shape[2:]),
        lambda s, low, x: F.pad(s.up(low), (0, x.shape[3] - 32, 0, 0)),
        lambda s, low, x: s.up(low)[:, :, : x.shape[2]],
        lambda s, low, x: F.adaptive_avg_pool2d(low, x.shape[2:]),
    ],
    ids=["transposed", "scale", "size", "pad", "crop", "adaptive"],
)
def test_sizes_from_elsewhere_are_unknown(resize):
    graph = trace(up(resize), X, training=False)
    assert graph.failure is None
    assert not all_meet(Pass(graph), [(2, 4, 33, 33)])


@pytest.mark.parametrize(
    "function",
    [
        lambda s, x: s.a(x).mean((2, 3), keepdim=True) + x.new_ones(x.shape),
        lambda s, x: s.a(x)[:, :, : x.shape[2] // 2],
        lambda s, x: s.a(x).flatten(1),
        lambda s, x: s.a(x).narrow(2, 0, 32),
        lambda s, x: F.interpolate(s.norm(s.a(x)), size=x.shape[2:]),
    ],
    ids=["made", "cut", "merged", "narrowed", "resized"],
)
def test_what_operands_do_not_settle_is_unknown(function):
    graph = trace(Net(function, a=c2(), norm=nn.BatchNorm2d(4)), X, training=False)
    assert graph.outputs[0] not in shapes_at(graph, [(2, 4, 33, 33)])


def test_statistics_are_no_map():
    x = torch.zeros(1, 4, 3, 4)  # as many columns as channels
    model = Net(lambda s, x: s.norm(s.a(x)), a=c2(), norm=nn.BatchNorm2d(4))
    graph = trace(model, x, training=True)
    other = trace(model, torch.zeros(1, 4, 3, 5), training=True)
    known = shapes_at(graph, [(1, 4, 3, 5)])
    assert len(graph.nodes[1].outputs) == 3
    assert all(other.values[v].shape == shape for v, shape in known.items())


def test_a_size_that_rounds_away_changes_nothing_but_resizes():
    model = Net(
        lambda s, x: s.up(s.a(x)) + F.interpolate(s.a(x), size=x.shape[2:]),
        a=nn.Conv2d(4, 4, 4, 4),
        up=nn.ConvTranspose2d(4, 4, 4, 4),
    )
    assert not all_meet(Pass(trace(model, X, training=False)), [(2, 4, 33, 34)])
    model = seq(nn.Conv2d(4, 4, 4, 4), up(lambda s, low, x: F.pad(s.up(low), (0, 0))))
    graph = trace(model, X, training=False)
    assert all_meet(Pass(graph), [(2, 4, 33, 34)])
    assert not all_meet(Pass(graph), [(2, 4, 36, 36)])
