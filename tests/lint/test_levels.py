"""Decoders that read the wrong level of their encoder, and those that mean what they read."""

import pytest
import torch
import torch.nn.functional as F
from net import c2, seq
from torch import nn

from torchskip.lint.check import check

IMAGE = (2, 4, 32, 32)


class Decoder(nn.Module):
    """Three levels down, and up again by the skips' indices; each map takes its skip's size."""

    def __init__(self, order, merge="cat", own_size=True):
        super().__init__()
        wide = 16 if merge == "cat" else 8
        self.down = nn.ModuleList(seq(c2(a, 8), nn.ReLU()) for a in (4, 8, 8))
        self.up = nn.ModuleList(seq(c2(wide, 8), nn.ReLU()) for _ in order)
        self.bottom, self.head = c2(8, 8), nn.Conv2d(8, 2, 1)
        self.order, self.merge, self.own_size = order, merge, own_size

    def forward(self, x):
        skips = []
        for layer in self.down:
            x = layer(x)
            skips.append(x)
            x = F.max_pool2d(x, 2)
        x = self.bottom(x)
        for layer, index in zip(self.up, self.order, strict=True):
            skip = skips[index]
            if self.own_size:
                x = F.interpolate(x, size=skip.shape[2:])
            else:
                x = F.interpolate(x, scale_factor=2)
                skip = F.interpolate(skip, size=x.shape[2:])
            x = layer(torch.cat([skip, x], 1) if self.merge == "cat" else x + skip)
        return self.head(x)


class Pyramid(nn.Module):
    """Lateral convolutions onto a map that grows; `order` says which feature each one reads."""

    def __init__(self, order):
        super().__init__()
        self.stages = nn.ModuleList(seq(nn.Conv2d(a, 8, 3, 2, 1), nn.ReLU()) for a in (4, 8, 8, 8))
        self.laterals = nn.ModuleList(nn.Conv2d(8, 8, 1) for _ in order)
        self.outs = nn.ModuleList(c2(8, 8) for _ in order)
        self.order = order

    def forward(self, x):
        features = []
        for stage in self.stages:
            x = stage(x)
            features.append(x)
        top, outs = self.laterals[0](features[self.order[0]]), []
        for place, index in enumerate(self.order[1:], 1):
            size = features[3 - place].shape[2:]
            lateral = self.laterals[place](features[index])
            if lateral.shape[2:] != size:
                lateral = F.interpolate(lateral, size=size)
            top = lateral + F.interpolate(top, size=size)
            outs.append(self.outs[place](top))
        return outs


def found(model, shape=IMAGE):
    return check(model, torch.zeros(shape), select=["TS204"]).findings


@pytest.mark.parametrize("merge", ["cat", "add"])
@pytest.mark.parametrize(
    "order", [(1, 1, 0), (2, 0, 0), (2, 2, 0), (1, 0, 0), (2, 2, 1), (0, 0, 0)]
)
def test_one_level_is_read_twice_and_another_never(order, merge):
    assert "the encoder's" in found(Decoder(order, merge))[0].message


@pytest.mark.parametrize("merge", ["cat", "add"])
def test_levels_in_the_wrong_order_are_told(merge):
    (finding,) = found(Decoder((1, 2, 0), merge))
    assert "(2, 8, 16, 16) before (2, 8, 8, 8): its map grows past a level" in finding.message


@pytest.mark.parametrize("order", [(3, 2, 2, 0), (3, 3, 2, 1), (3, 2, 1, 1)])
def test_laterals_of_the_level_below_are_told(order):
    assert found(Pyramid(order), (2, 4, 64, 64))


@pytest.mark.parametrize(
    ("model", "shape"),
    [
        (Decoder((2, 1, 0)), IMAGE),
        (Decoder((2, 1, 0), "add"), IMAGE),
        (Decoder((2, 1, 0), own_size=False), IMAGE),
        (Decoder((2, 0)), IMAGE),  # a level that no join reads, and none that is read twice
        (Decoder((2, 1, 1, 0)), IMAGE),  # all levels are read
        (Decoder((0,)), IMAGE),
        (Pyramid((3, 2, 1, 0)), (2, 4, 64, 64)),
        (Pyramid((3, 2)), (2, 4, 64, 64)),
    ],
)
def test_decoders_that_read_their_levels_are_left_alone(model, shape):
    assert not found(model, shape)


class PathAggregation(nn.Module):
    """Down the pyramid and up it again: each level is met twice, shrunk by a resize."""

    def __init__(self):
        super().__init__()
        self.down = nn.ModuleList(seq(c2(a, 8), nn.ReLU()) for a in (4, 8, 8))
        self.tops = nn.ModuleList(c2(8, 8) for _ in range(3))
        self.again = nn.ModuleList(c2(8, 8) for _ in range(2))

    def forward(self, x):
        skips = []
        for layer in self.down:
            skips.append(layer(x if not skips else F.max_pool2d(skips[-1], 2)))
        maps = [self.tops[2](skips[2])]
        for i in (1, 0):
            maps.append(self.tops[i](skips[i] + F.interpolate(maps[-1], scale_factor=2)))
        low = maps[-1]
        outs = [low]
        for i, layer in enumerate(self.again, 1):
            low = layer(skips[i] + maps[2 - i] + F.interpolate(low, scale_factor=0.5))
            outs.append(low)
        return outs


def test_a_path_down_again_means_its_order():
    assert not found(PathAggregation())


class Windows(nn.Module):
    """Attention among four tokens: its scores are maps of 4 x 4 for each window."""

    def __init__(self):
        super().__init__()
        self.norm, self.qkv, self.proj = nn.LayerNorm(8), nn.Linear(8, 24), nn.Linear(8, 8)

    def forward(self, x):
        q, k, v = self.qkv(self.norm(x)).view(-1, 4, 3, 2, 4).permute(2, 0, 3, 1, 4)
        found = (q @ k.transpose(-2, -1)).softmax(-1) @ v
        return x + self.proj(found.transpose(1, 2).reshape(x.shape))


class Tokens(nn.Module):
    """A pyramid of tokens, whose features become maps where the decoder reads them."""

    def __init__(self):
        super().__init__()
        self.patch, self.head = nn.Conv2d(4, 8, 4, 4), nn.Conv2d(8, 2, 1)
        self.stages = nn.ModuleList(seq(Windows(), Windows()) for _ in range(3))
        self.merge = nn.ModuleList(nn.Linear(32, 8) for _ in range(2))
        self.laterals = nn.ModuleList(nn.Conv2d(8, 8, 1) for _ in range(2))
        self.outs = nn.ModuleList(c2(8, 8) for _ in range(2))

    def forward(self, x):
        x, seen = self.patch(x).flatten(2).transpose(1, 2), []
        for i, stage in enumerate(self.stages):
            x = stage(x)
            seen.append(x)
            if i < 2:
                x = self.merge[i](x.reshape(len(x), -1, 32))
        y = x.transpose(1, 2).unflatten(2, (2, 2))
        for tokens, lateral, out in zip(seen[1::-1], self.laterals, self.outs, strict=True):
            side = int(tokens.shape[1] ** 0.5)
            skip = lateral(tokens.transpose(1, 2).unflatten(2, (side, side)))
            y = out(skip + F.interpolate(y, size=skip.shape[2:]))
        return self.head(y)


def test_tokens_have_a_level_that_their_axes_do_not_tell():
    assert not check(Tokens(), torch.zeros(IMAGE), select=["TS204"]).findings
