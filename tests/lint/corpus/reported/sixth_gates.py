"""Gates, masks and normalisations: computed twice, added twice, never called."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..case import Case, conv, net


class BAMChannel(nn.Module):
    def __init__(self, c) -> None:
        super().__init__()
        self.gap = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Sequential(nn.Linear(c, c // 2), nn.ReLU(), nn.Linear(c // 2, c))
        self.bn = nn.BatchNorm1d(c)

    def forward(self, x: Tensor) -> Tensor:
        b, c, _, _ = x.shape
        y = self.bn(self.fc(self.gap(x).view(b, c)))
        return y.view(b, c, 1, 1).expand_as(x)


class BAMSpatial(nn.Module):
    def __init__(self, c) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(c, c // 2, 1),
            nn.ReLU(),
            nn.Conv2d(c // 2, c // 2, 3, padding=4, dilation=4),
            nn.ReLU(),
            nn.Conv2d(c // 2, 1, 1),
            nn.BatchNorm2d(1),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x).expand_as(x)


class BAM(nn.Module):
    def __init__(self, c, right) -> None:
        super().__init__()
        self.right = right
        self.channel_attention = BAMChannel(c)
        self.spatial_attention = BAMSpatial(c)
        self.sigmoid = nn.Sigmoid()

    def forward(self, x: Tensor) -> Tensor:
        mask = 1 + self.sigmoid(self.channel_attention(x) * self.spatial_attention(x))
        return x * mask if self.right else x + (x * mask)


class Basic(nn.Module):
    def __init__(self, c) -> None:
        super().__init__()
        self.conv1, self.bn1 = conv(c, c, bias=False), nn.BatchNorm2d(c)
        self.conv2, self.bn2 = conv(c, c, bias=False), nn.BatchNorm2d(c)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        out = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        out += x
        return self.relu(out)


def bam_net(right):
    return net(Basic(4), BAM(4, right), Basic(4), BAM(4, right), Basic(4))


class PreActUnit(nn.Module):
    def __init__(self, c) -> None:
        super().__init__()
        m = c // 2
        self.residual_function = nn.Sequential(
            nn.BatchNorm2d(c),
            nn.ReLU(),
            nn.Conv2d(c, m, 1),
            nn.BatchNorm2d(m),
            nn.ReLU(),
            nn.Conv2d(m, m, 3, padding=1),
            nn.BatchNorm2d(m),
            nn.ReLU(),
            nn.Conv2d(m, c, 1),
        )
        self.shortcut = nn.Conv2d(c, c, 1)

    def forward(self, x: Tensor) -> Tensor:
        res = self.residual_function(x)
        shortcut = self.shortcut(x)
        return res + shortcut


class AttentionModule(nn.Module):
    """Trunk and soft mask; the mask goes down three times and up again."""

    def __init__(self, c, right) -> None:
        super().__init__()
        self.right = right
        for name in (
            "pre",
            "trunk",
            "soft_resdown1",
            "soft_resdown2",
            "soft_resdown3",
            "soft_resdown4",
            "soft_resup1",
            "soft_resup2",
            "soft_resup3",
            "soft_resup4",
            "last",
        ):
            setattr(self, name, nn.Sequential(PreActUnit(c)))
        self.shortcut_short = PreActUnit(c)
        self.shortcut_long = PreActUnit(c)
        self.sigmoid = nn.Sequential(nn.BatchNorm2d(c), nn.ReLU(), nn.Conv2d(c, c, 1), nn.Sigmoid())

    def forward(self, x: Tensor) -> Tensor:
        x = self.pre(x)
        size0 = x.shape[2:]
        x_t = self.trunk(x)
        x_s = self.soft_resdown1(F.max_pool2d(x, 3, 2, 1))
        size1 = x_s.shape[2:]
        shortcut_long = self.shortcut_long(x_s)
        x_s = self.soft_resdown2(F.max_pool2d(x_s, 3, 2, 1))
        size2 = x_s.shape[2:]
        shortcut_short = self.shortcut_short(x_s) if self.right else self.soft_resdown3(x_s)
        x_s = self.soft_resdown3(F.max_pool2d(x_s, 3, 2, 1))
        x_s = self.soft_resup1(self.soft_resdown4(x_s))
        x_s = F.interpolate(self.soft_resup2(x_s), size=size2)
        x_s = x_s + shortcut_short
        x_s = F.interpolate(self.soft_resup3(x_s), size=size1)
        x_s = x_s + shortcut_long
        x_s = F.interpolate(self.soft_resup4(x_s), size=size0)
        x = (1 + self.sigmoid(x_s)) * x_t
        return self.last(x)


class AttnBottleneck(nn.Module):
    """Two kernels of two sizes over a residual stream, merged by a 1x1 convolution."""

    def __init__(self, c, right) -> None:
        super().__init__()
        self.right = right
        self.conv3x3, self.conv3x3_ = conv(c, c), conv(c, c)
        self.conv7x7, self.conv7x7_ = conv(c, c, 7), conv(c, c, 7)
        self.bn2, self.bn4 = nn.BatchNorm2d(c), nn.BatchNorm2d(c)
        self.bn5, self.bn6 = nn.BatchNorm2d(c), nn.BatchNorm2d(c)
        self.merge, self.bn_merge = nn.Conv2d(2 * c, c, 1), nn.BatchNorm2d(c)
        self.relu = nn.ReLU()

    @staticmethod
    def process(x, first, norm, second, norm_, relu):
        return norm_(second(relu(norm(first(x)))))

    def forward(self, x: Tensor) -> Tensor:
        last3 = self.bn6 if self.right else self.bn5
        out1 = self.process(x, self.conv3x3, self.bn2, self.conv3x3_, last3, self.relu)
        out2 = self.process(x, self.conv7x7, self.bn4, self.conv7x7_, self.bn5, self.relu)
        out = self.bn_merge(self.merge(torch.cat([out1, out2], 1)))
        return self.relu(out + x)


class SE(nn.Module):
    def __init__(self, c, r=2) -> None:
        super().__init__()
        self.avg_pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Sequential(
            nn.Linear(c, c // r, bias=False),
            nn.ReLU(inplace=True),
            nn.Linear(c // r, c, bias=False),
            nn.Sigmoid(),
        )

    def forward(self, x: Tensor) -> Tensor:
        b, c, _, _ = x.shape
        return x * self.fc(self.avg_pool(x).view(b, c)).view(b, c, 1, 1).expand_as(x)


class ReidBasic(nn.Module):
    def __init__(self, c, right, with_se=True) -> None:
        super().__init__()
        self.right = right
        self.conv1, self.bn1 = conv(c, c, bias=False), nn.BatchNorm2d(c)
        self.conv2, self.bn2 = conv(c, c, bias=False), nn.BatchNorm2d(c)
        self.relu = nn.ReLU(inplace=True)
        self.se = SE(c) if with_se else nn.Identity()
        self.downsample = None

    def forward(self, x: Tensor) -> Tensor:
        identity = x
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        if self.right:
            out = self.se(out)
        if self.downsample is not None:
            identity = self.downsample(x)
        out += identity
        return self.relu(out)


CASES = (
    Case(
        "bam_adds_what_its_mask_holds",
        "asdf2kr/BAM-CBAM-pytorch#1",
        "TS106",
        lambda: bam_net(False),
        lambda: bam_net(True),
    ),
    Case(
        "mask_shortcut_replaced_by_next_stage",
        "weiaicunzai/pytorch-cifar100#82",
        "TS203",
        lambda: net(AttentionModule(4, False)),
        lambda: net(AttentionModule(4, True)),
        ((2, 4, 32, 32),),
    ),
    Case(
        "last_norm_of_both_kernels",
        "pangdatangtt/UniNet#15",
        "TS203",
        lambda: net(AttnBottleneck(4, False), AttnBottleneck(4, False)),
        lambda: net(AttnBottleneck(4, True), AttnBottleneck(4, True)),
    ),
    Case(
        "se_of_basic_block_unused",
        "JDAI-CV/fast-reid#375",
        "TS108",
        lambda: net(ReidBasic(4, False), ReidBasic(4, False)),
        lambda: net(ReidBasic(4, True), ReidBasic(4, True)),
    ),
)
