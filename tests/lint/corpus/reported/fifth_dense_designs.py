"""The fifth set, continued: published generators and necks that look suspicious."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..case import Clean, conv
from .fifth_dense_diffusion import ResnetBlock2D
from .fifth_dense_generate import SADiscriminator


class GuidedUNet(nn.Module):
    """One more block per level on the way up than on the way down; features from a stack."""

    def __init__(self) -> None:
        super().__init__()
        self.time_embed = nn.Sequential(nn.Linear(1, 16), nn.SiLU(), nn.Linear(16, 16))
        self.input_blocks = nn.ModuleList(
            [conv(3, 8), ResnetBlock2D(8, 8), nn.Conv2d(8, 8, 3, 2, 1), ResnetBlock2D(8, 16)]
        )
        self.middle = nn.ModuleList([ResnetBlock2D(16, 16), ResnetBlock2D(16, 16)])
        self.output_blocks = nn.ModuleList(
            [
                ResnetBlock2D(32, 16),
                ResnetBlock2D(24, 16),
                ResnetBlock2D(24, 8),
                ResnetBlock2D(16, 8),
            ]
        )
        self.out = nn.Sequential(nn.GroupNorm(4, 8), nn.SiLU(), conv(8, 3))

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        emb, hs, h = self.time_embed(t), [], x
        for module in self.input_blocks:
            h = module(h, emb) if isinstance(module, ResnetBlock2D) else module(h)
            hs.append(h)
        for module in self.middle:
            h = module(h, emb)
        for i, module in enumerate(self.output_blocks):
            if i == 2:
                h = F.interpolate(h, scale_factor=2, mode="nearest")
            h = module(torch.cat([h, hs.pop()], dim=1), emb)
        return self.out(h)


class HRBasic(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = conv(width, width, bias=False), nn.BatchNorm2d(width, momentum=0.01)
        self.conv2, self.bn2 = conv(width, width, bias=False), nn.BatchNorm2d(width, momentum=0.01)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        residual = x
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        out += residual
        return self.relu(out)


class FuseHRNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.ReLU(True))
        self.transition = nn.Sequential(
            nn.Conv2d(8, 16, 3, 2, 1), nn.BatchNorm2d(16), nn.ReLU(True)
        )
        self.branches = nn.ModuleList([HRBasic(8), HRBasic(16)])
        self.fuse_layers = nn.ModuleList(
            [
                nn.ModuleList(
                    [
                        nn.Identity(),
                        nn.Sequential(
                            nn.Conv2d(16, 8, 1, bias=False),
                            nn.BatchNorm2d(8),
                            nn.Upsample(scale_factor=2, mode="nearest"),
                        ),
                    ]
                ),
                nn.ModuleList(
                    [
                        nn.Sequential(nn.Conv2d(8, 16, 3, 2, 1, bias=False), nn.BatchNorm2d(16)),
                        nn.Identity(),
                    ]
                ),
            ]
        )
        self.relu = nn.ReLU(True)
        self.head = nn.Conv2d(24, 5, 1)

    def forward(self, x: Tensor) -> Tensor:
        x0 = self.stem(x)
        x = [x0, self.transition(x0)]
        x = [branch(part) for branch, part in zip(self.branches, x, strict=False)]
        fused = []
        for i, layers in enumerate(self.fuse_layers):
            y = x[0] if i == 0 else layers[0](x[0])
            for j in range(1, 2):
                y = y + x[j] if i == j else y + layers[j](x[j])
            fused.append(self.relu(y))
        up = F.interpolate(fused[1], size=fused[0].shape[2:], mode="bilinear")
        return self.head(torch.cat([fused[0], up], 1))


class StyledConv(nn.Module):
    def __init__(self, a: int, b: int, style: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(b, a, 3, 3))
        self.affine, self.noise = nn.Linear(style, a), nn.Parameter(torch.zeros(1))
        self.bias = nn.Parameter(torch.zeros(b))

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        n, a, height, width = x.shape
        s = self.affine(w).view(n, 1, a, 1, 1)
        weight = self.weight[None] * s
        weight = weight * (weight.square().sum((2, 3, 4), keepdim=True) + 1e-8).rsqrt()
        x = x.reshape(1, n * a, height, width)
        x = F.conv2d(x, weight.flatten(0, 1), padding=1, groups=n)
        x = x.view(n, -1, height, width)
        x = x + self.noise * torch.randn(n, 1, height, width)
        return F.leaky_relu(x + self.bias.view(1, -1, 1, 1), 0.2)


class StyleGenerator(nn.Module):
    """StyleGAN2: the image is summed over the resolutions."""

    def __init__(self) -> None:
        super().__init__()
        self.mapping = nn.Sequential(nn.Linear(16, 16), nn.LeakyReLU(0.2))
        self.const = nn.Parameter(torch.randn(1, 8, 4, 4))
        self.convs = nn.ModuleList(StyledConv(8, 8, 16) for _ in range(3))
        self.to_rgb = nn.ModuleList(nn.Conv2d(8, 3, 1) for _ in range(3))

    def forward(self, z: Tensor) -> Tensor:
        w = self.mapping(z / (z.square().mean(1, keepdim=True) + 1e-8).sqrt())
        x, skip = self.const.repeat(z.shape[0], 1, 1, 1), None
        for i, (layer, to_rgb) in enumerate(zip(self.convs, self.to_rgb, strict=False)):
            if i:
                x = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
            x = layer(x, w)
            rgb = to_rgb(x)
            if skip is not None:
                rgb = rgb + F.interpolate(
                    skip, scale_factor=2, mode="bilinear", align_corners=False
                )
            skip = rgb
        return skip


class CBS(nn.Module):
    def __init__(self, a: int, b: int, k: int = 1, s: int = 1) -> None:
        super().__init__()
        self.conv, self.bn = nn.Conv2d(a, b, k, s, k // 2, bias=False), nn.BatchNorm2d(b)
        self.act = nn.SiLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.bn(self.conv(x)))


class YBottleneck(nn.Module):
    def __init__(self, c: int, shortcut: bool) -> None:
        super().__init__()
        self.cv1, self.cv2, self.add = CBS(c, c), CBS(c, c, 3), shortcut

    def forward(self, x: Tensor) -> Tensor:
        return x + self.cv2(self.cv1(x)) if self.add else self.cv2(self.cv1(x))


class C3(nn.Module):
    def __init__(self, a: int, b: int, n: int, shortcut: bool = True) -> None:
        super().__init__()
        c = b // 2
        self.cv1, self.cv2, self.cv3 = CBS(a, c), CBS(a, c), CBS(2 * c, b)
        self.m = nn.Sequential(*(YBottleneck(c, shortcut) for _ in range(n)))

    def forward(self, x: Tensor) -> Tensor:
        return self.cv3(torch.cat((self.m(self.cv1(x)), self.cv2(x)), dim=1))


class YoloPan(nn.Module):
    """YOLOv5: blocks without shortcuts in the neck, with them in the backbone."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.b3 = CBS(3, 8, 3, 2), C3(8, 8, 2)
        self.d4, self.b4 = CBS(8, 16, 3, 2), C3(16, 16, 2)
        self.sppf1, self.sppf2 = CBS(16, 8), CBS(32, 16)
        self.pool = nn.MaxPool2d(5, 1, 2)
        self.lat, self.up = CBS(16, 8), nn.Upsample(scale_factor=2)
        self.n3, self.dn = C3(16, 8, 1, False), CBS(8, 8, 3, 2)
        self.n4 = C3(16, 16, 1, False)
        self.detect = nn.ModuleList([nn.Conv2d(8, 6, 1), nn.Conv2d(16, 6, 1)])

    def forward(self, x: Tensor) -> Tensor:
        p3 = self.b3(self.stem(x))
        x = self.sppf1(self.b4(self.d4(p3)))
        y1 = self.pool(x)
        y2 = self.pool(y1)
        p4 = self.lat(self.sppf2(torch.cat((x, y1, y2, self.pool(y2)), 1)))
        n3 = self.n3(torch.cat((self.up(p4), p3), 1))
        n4 = self.n4(torch.cat((self.dn(n3), p4), 1))
        return [head(x) for head, x in zip(self.detect, (n3, n4), strict=False)]


CLEAN = (
    Clean(
        "guided-unet",
        "openai/guided-diffusion#140: one more block on the way up",
        GuidedUNet,
        ((2, 3, 16, 16), (2, 1)),
    ),
    Clean(
        "hrnet-fuse",
        "greatlog/SWAHR-HumanPose#3: identities among the fused resolutions",
        FuseHRNet,
        ((2, 3, 32, 32),),
    ),
    Clean(
        "stylegan-skip",
        "seasonSH/SemanticStyleGAN#6: images summed over the resolutions",
        StyleGenerator,
        ((2, 16),),
    ),
    Clean(
        "yolo-neck-without-shortcut",
        "ultralytics/yolov5#1791: shortcuts in the backbone alone",
        YoloPan,
        ((2, 3, 32, 32),),
    ),
    Clean(
        "sagan-gamma-zero",
        "CASIA-IVA-Lab/DANet#19: a scale that starts at zero",
        lambda: SADiscriminator(True),
        ((2, 3, 16, 16),),
    ),
)
