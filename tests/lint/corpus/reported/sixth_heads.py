"""Side outputs that are lost, decoders made in forward, sums that are not scaled."""

from __future__ import annotations

import itertools
import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..case import Case, conv


class GatedSpatialConv(nn.Module):
    def __init__(self, c) -> None:
        super().__init__()
        self.gate = nn.Sequential(
            nn.BatchNorm2d(c + 1),
            nn.Conv2d(c + 1, c + 1, 1),
            nn.ReLU(),
            nn.Conv2d(c + 1, 1, 1),
            nn.BatchNorm2d(1),
            nn.Sigmoid(),
        )
        self.conv = nn.Conv2d(c, c, 1, bias=False)

    def forward(self, x: Tensor, gating: Tensor) -> Tensor:
        alphas = self.gate(torch.cat([x, gating], dim=1))
        return self.conv(x * (alphas + 1))


class ShapeBlock(nn.Module):
    def __init__(self, c) -> None:
        super().__init__()
        self.conv1, self.bn1 = conv(c, c, bias=False), nn.BatchNorm2d(c)
        self.conv2, self.bn2 = conv(c, c, bias=False), nn.BatchNorm2d(c)

    def forward(self, x: Tensor) -> Tensor:
        out = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(out + x)


class GSCNN(nn.Module):
    def __init__(self, right) -> None:
        super().__init__()
        self.right = right
        self.mod1, self.mod2 = conv(4, 8), nn.Sequential(nn.Conv2d(8, 12, 3, 2, 1), nn.ReLU())
        self.mod3 = nn.Sequential(nn.Conv2d(12, 16, 3, 2, 1), nn.ReLU())
        if not right:
            self.dsn1 = nn.Conv2d(8, 1, 1)
        self.dsn3, self.dsn4 = nn.Conv2d(12, 1, 1), nn.Conv2d(16, 1, 1)
        self.res1, self.d1, self.gate1 = ShapeBlock(8), nn.Conv2d(8, 6, 1), GatedSpatialConv(6)
        self.res2, self.d2, self.gate2 = ShapeBlock(6), nn.Conv2d(6, 4, 1), GatedSpatialConv(4)
        self.fuse = nn.Conv2d(4, 1, 1, bias=False)
        self.final = conv(17, 2)

    def forward(self, x: Tensor) -> Tensor:
        size = x.shape[2:]
        m1 = self.mod1(x)
        m2 = self.mod2(m1)
        m3 = self.mod3(m2)
        s3 = F.interpolate(self.dsn3(m2), size, mode="bilinear", align_corners=True)
        s4 = F.interpolate(self.dsn4(m3), size, mode="bilinear", align_corners=True)
        m1f = F.interpolate(m1, size, mode="bilinear", align_corners=True)
        if not self.right:
            s1 = F.interpolate(  # noqa: F841
                self.dsn1(m1), size, mode="bilinear", align_corners=True
            )
        cs = self.gate1(self.d1(self.res1(m1f)), s3)
        cs = self.gate2(self.d2(self.res2(cs)), s4)
        edge = torch.sigmoid(self.fuse(cs))
        up = F.interpolate(m3, size, mode="bilinear", align_corners=True)
        return self.final(torch.cat([up, edge], 1)), edge


class SETRMLA(nn.Module):
    """Features of four depths, aggregated from the top and decoded by convolutions."""

    def __init__(self, c, right) -> None:
        super().__init__()
        self.c, self.right = c, right
        self.embed = nn.Conv2d(4, c, 4, 4)
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(c, 2, 2 * c, 0.0, batch_first=True) for _ in range(4)
        )
        if right:
            self.nets = nn.ModuleList(self.stream() for _ in range(4))
            self.out = nn.Conv2d(4 * c, 2, 1)

    def stream(self):
        return nn.Sequential(conv(self.c, self.c), nn.ReLU(), conv(self.c, self.c))

    def decode(self, feats, size):
        nets = self.nets if self.right else [self.stream().to(feats[0].device) for _ in feats]
        total, outs = None, []
        for x, layers in zip(reversed(feats), nets, strict=False):
            total = x if total is None else total + x
            outs.append(F.interpolate(layers(total), scale_factor=4, mode="bilinear"))
        out = self.out if self.right else nn.Conv2d(4 * self.c, 2, 1).to(total.device)
        return out(torch.cat(outs, dim=1))

    def forward(self, x: Tensor) -> Tensor:
        h = self.embed(x)
        b, c, hh, ww = h.shape
        tokens, feats = h.flatten(2).transpose(1, 2), []
        for layer in self.layers:
            tokens = layer(tokens)
            feats.append(tokens.transpose(1, 2).reshape(b, c, hh, ww))
        return self.decode(feats, x.shape[2:])


class DiscriminatorBlock(nn.Module):
    def __init__(self, a, b, scale, downsample=True) -> None:
        super().__init__()
        self.scale = scale
        self.conv_res = nn.Conv2d(a, b, 1, stride=2 if downsample else 1)
        self.net = nn.Sequential(
            nn.Conv2d(a, b, 3, padding=1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(b, b, 3, padding=1),
            nn.LeakyReLU(0.2),
        )
        self.downsample = nn.Conv2d(b, b, 3, padding=1, stride=2) if downsample else None

    def forward(self, x: Tensor) -> Tensor:
        res = self.conv_res(x)
        x = self.net(x)
        if self.downsample is not None:
            x = self.downsample(x)
        x = x + res
        return x * (1 / math.sqrt(2)) if self.scale else x


class Discriminator(nn.Module):
    def __init__(self, scale) -> None:
        super().__init__()
        widths = (4, 8, 8, 16, 16, 16)
        self.blocks = nn.ModuleList(
            DiscriminatorBlock(a, b, scale, downsample=i < 4)
            for i, (a, b) in enumerate(itertools.pairwise(widths))
        )
        self.to_logit = nn.Linear(16 * 4, 1)
        for m in self.modules():
            if isinstance(m, nn.Conv2d):
                nn.init.kaiming_normal_(m.weight, a=0, mode="fan_in", nonlinearity="leaky_relu")

    def forward(self, x: Tensor) -> Tensor:
        for block in self.blocks:
            x = block(x)
        return self.to_logit(x.reshape(x.shape[0], -1)).squeeze()


CASES = (
    Case(
        "shape_stream_side_output_lost",
        "nv-tlabs/GSCNN#39",
        "TS107",
        lambda: GSCNN(False),
        lambda: GSCNN(True),
    ),
    Case(
        "decoder_layers_made_in_forward",
        "gupta-abhay/setr-pytorch#4",
        "TS207",
        lambda: SETRMLA(8, False),
        lambda: SETRMLA(8, True),
    ),
    Case(
        "discriminator_sum_not_scaled",
        "lucidrains/stylegan2-pytorch#88",
        "TS304",
        lambda: Discriminator(False),
        lambda: Discriminator(True),
        ((4, 4, 32, 32),),
    ),
)
