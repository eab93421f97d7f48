"""Features refined at several resolutions."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from tests.truth.row import Row
from torch import nn

__all__ = ["ROWS", "DenseASPP", "FCSiamDiff", "MIRNet", "StackedHourglass"]


def conv3(inputs, outputs, stride=1):
    return nn.Conv2d(inputs, outputs, 3, stride, 1)


class _SpatialAttention(nn.Module):
    def __init__(self):
        super().__init__()
        self.spatial = nn.Conv2d(2, 1, 5, padding=2)

    def forward(self, x):
        compress = torch.cat((torch.max(x, 1)[0].unsqueeze(1), torch.mean(x, 1).unsqueeze(1)), 1)
        scale = torch.sigmoid(self.spatial(compress))
        return x * scale


class _ChannelAttention(nn.Module):
    def __init__(self, n):
        super().__init__()
        self.avg_pool = nn.AdaptiveAvgPool2d(1)
        self.conv_du = nn.Sequential(
            nn.Conv2d(n, n // 2, 1), nn.ReLU(inplace=True), nn.Conv2d(n // 2, n, 1), nn.Sigmoid()
        )

    def forward(self, x):
        return x * self.conv_du(self.avg_pool(x))


class _DAU(nn.Module):
    def __init__(self, n):
        super().__init__()
        self.body = nn.Sequential(conv3(n, n), nn.PReLU(), conv3(n, n))
        self.SA, self.CA = _SpatialAttention(), _ChannelAttention(n)
        self.conv1x1 = nn.Conv2d(2 * n, n, 1)

    def forward(self, x):
        res = self.body(x)
        sa_branch = self.SA(res)
        ca_branch = self.CA(res)
        res = torch.cat([sa_branch, ca_branch], dim=1)
        res = self.conv1x1(res)
        res += x
        return res


class _SKFF(nn.Module):
    def __init__(self, n, height=2):
        super().__init__()
        self.height = height
        self.avg_pool = nn.AdaptiveAvgPool2d(1)
        self.conv_du = nn.Sequential(nn.Conv2d(n, 4, 1), nn.PReLU())
        self.fcs = nn.ModuleList(nn.Conv2d(4, n, 1) for _ in range(height))
        self.softmax = nn.Softmax(dim=1)

    def forward(self, inp_feats):
        batch, n, h, w = inp_feats[0].shape
        inp_feats = torch.cat(inp_feats, dim=1).view(batch, self.height, n, h, w)
        feats_z = self.conv_du(self.avg_pool(torch.sum(inp_feats, dim=1)))
        vectors = torch.cat([fc(feats_z) for fc in self.fcs], dim=1)
        vectors = self.softmax(vectors.view(batch, self.height, n, 1, 1))
        return torch.sum(inp_feats * vectors, dim=1)


class _MRB(nn.Module):
    def __init__(self, n):
        super().__init__()
        self.dau_top, self.dau_bot = _DAU(n), _DAU(n)
        self.down, self.up = conv3(n, n, 2), nn.ConvTranspose2d(n, n, 2, 2)
        self.skff, self.conv_out = _SKFF(n), conv3(n, n)

    def forward(self, x):
        x_top = self.dau_top(x.clone())
        x_bot = self.dau_bot(self.down(x.clone()))
        out = self.skff([x_top, self.up(x_bot)])
        out = self.conv_out(out)
        out = out + x
        return out


class MIRNet(nn.Module):
    """Zamir 2020, with two resolutions."""

    size = ((3, 16, 16),)

    def __init__(self):
        super().__init__()
        self.conv_in, self.mrb, self.conv_out = conv3(3, 8), _MRB(8), conv3(8, 3)

    def forward(self, inp_img):
        x = self.mrb(self.conv_in(inp_img))
        h = self.conv_out(x)
        h += inp_img
        return h


class _Residual(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.relu = nn.ReLU(inplace=True)
        self.bn1, self.conv1 = nn.BatchNorm2d(inputs), nn.Conv2d(inputs, outputs // 2, 1)
        self.bn2, self.conv2 = nn.BatchNorm2d(outputs // 2), conv3(outputs // 2, outputs // 2)
        self.bn3, self.conv3 = nn.BatchNorm2d(outputs // 2), nn.Conv2d(outputs // 2, outputs, 1)
        self.skip_layer = nn.Conv2d(inputs, outputs, 1)
        self.need_skip = inputs != outputs

    def forward(self, x):
        residual = self.skip_layer(x) if self.need_skip else x
        out = self.conv1(self.relu(self.bn1(x)))
        out = self.conv2(self.relu(self.bn2(out)))
        out = self.conv3(self.relu(self.bn3(out)))
        out += residual
        return out


class _HG(nn.Module):
    def __init__(self, depth, n):
        super().__init__()
        self.up1, self.low1, self.low3 = _Residual(n, n), _Residual(n, n), _Residual(n, n)
        self.low2 = _HG(depth - 1, n) if depth > 1 else _Residual(n, n)
        self.pool1 = nn.MaxPool2d(2, 2)
        self.up2 = nn.Upsample(scale_factor=2, mode="nearest")

    def forward(self, x):
        up1 = self.up1(x)
        low3 = self.low3(self.low2(self.low1(self.pool1(x))))
        return up1 + self.up2(low3)


class StackedHourglass(nn.Module):
    """Newell 2016, two stacks with intermediate supervision."""

    size = ((3, 64, 64),)

    def __init__(self):
        super().__init__()
        n, joints = 16, 4
        self.pre = nn.Sequential(
            nn.Conv2d(3, 8, 7, 2, 3), nn.ReLU(), _Residual(8, n), nn.MaxPool2d(2), _Residual(n, n)
        )
        self.hgs = nn.ModuleList(_HG(2, n) for _ in range(2))
        self.features = nn.ModuleList(
            nn.Sequential(_Residual(n, n), nn.Conv2d(n, n, 1), nn.BatchNorm2d(n), nn.ReLU())
            for _ in range(2)
        )
        self.outs = nn.ModuleList(nn.Conv2d(n, joints, 1) for _ in range(2))
        self.merge_features = nn.ModuleList([nn.Conv2d(n, n, 1)])
        self.merge_preds = nn.ModuleList([nn.Conv2d(joints, n, 1)])

    def forward(self, imgs):
        x = self.pre(imgs)
        combined_hm_preds = []
        for i in range(2):
            hg = self.hgs[i](x)
            feature = self.features[i](hg)
            preds = self.outs[i](feature)
            combined_hm_preds.append(preds)
            if i < 1:
                x = x + self.merge_preds[i](preds) + self.merge_features[i](feature)
        return torch.stack(combined_hm_preds, 1)


class _DenseAsppLayer(nn.Sequential):
    def __init__(self, inputs, hidden, outputs, dilation):
        super().__init__(
            nn.Conv2d(inputs, hidden, 1),
            nn.BatchNorm2d(hidden),
            nn.ReLU(inplace=True),
            nn.Conv2d(hidden, outputs, 3, padding=dilation, dilation=dilation),
            nn.Dropout2d(0.1),
        )


class DenseASPP(nn.Module):
    """Yang 2018."""

    size = ((3, 32, 32),)

    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(conv3(3, 8, 2), nn.BatchNorm2d(8), nn.ReLU(inplace=True))
        self.ASPP_3 = _DenseAsppLayer(8, 8, 4, 3)
        self.ASPP_6 = _DenseAsppLayer(12, 8, 4, 6)
        self.ASPP_12 = _DenseAsppLayer(16, 8, 4, 12)
        self.classification = nn.Conv2d(20, 2, 1)

    def forward(self, x):
        feature = self.features(x)
        aspp3 = self.ASPP_3(feature)
        feature = torch.cat((aspp3, feature), dim=1)
        aspp6 = self.ASPP_6(feature)
        feature = torch.cat((aspp6, feature), dim=1)
        aspp12 = self.ASPP_12(feature)
        feature = torch.cat((aspp12, feature), dim=1)
        return F.interpolate(self.classification(feature), scale_factor=2, mode="bilinear")


class FCSiamDiff(nn.Module):
    """Daudt 2018: the decoder sees what changed between two images."""

    size = ((3, 32, 32), (3, 32, 32))

    def __init__(self):
        super().__init__()
        self.conv1, self.conv2, self.conv3 = conv3(3, 8), conv3(8, 16), conv3(16, 16)
        self.up2, self.up1 = nn.ConvTranspose2d(16, 16, 2, 2), nn.ConvTranspose2d(8, 8, 2, 2)
        self.dec2, self.dec1 = conv3(32, 8), conv3(16, 2)

    def encode(self, x):
        x1 = F.relu(self.conv1(x))
        x2 = F.relu(self.conv2(F.max_pool2d(x1, 2)))
        return x1, x2, F.relu(self.conv3(F.max_pool2d(x2, 2)))

    def forward(self, x1, x2):
        a1, a2, _ = self.encode(x1)
        b1, b2, x = self.encode(x2)
        x = torch.cat((self.up2(x), torch.abs(a2 - b2)), 1)
        x = F.relu(self.dec2(x))
        x = torch.cat((self.up1(x), torch.abs(a1 - b1)), 1)
        return F.log_softmax(self.dec1(x), dim=1)


ROWS: tuple[Row, ...] = (
    Row(
        "written/MIRNet",
        {"identity": 2, "gate": 5, "long": 2},
        "two dual attention units of two gates; the selective fusion is a softmax over both "
        "resolutions, one gate; the block and the image go past the lower resolution",
        (
            (2, "identity", "mrb.dau_???", "res += x", "*"),
            (1, "gate", "mrb.skff", "return torch.sum(inp_feats * vectors, dim=1)", "*"),
            (1, "long", "mrb", "out = out + x", "conv_in"),
            (1, "long", "", "h += inp_img", "input"),
        ),
    ),
    Row(
        "written/StackedHourglass",
        {"identity": 17, "projection": 1, "long": 5},
        "two hourglasses of two levels with 7 units, two units before and one behind each; the "
        "features go past the first hourglass in a sum of three",
        (
            (4, "long", "hgs.*", "return up1 + self.up2(low3)", "*"),
            (1, "long", "", "x = x + self.merge_preds[[]i](preds) + *", "pre.4"),
            (1, "projection", "pre.2", "out += residual", "pre.1"),
        ),
    ),
    Row(
        "written/DenseASPP",
        {"dense": 3},
        "three layers",
        (
            (1, "dense", "", "feature = torch.cat((aspp3, feature), dim=1)", "features.2"),
            (1, "dense", "", "feature = torch.cat((aspp12, feature), dim=1)", ""),
        ),
    ),
    Row(
        "written/FCSiamDiff",
        {"long": 2},
        "two levels; the second image's features go on, those of the first only in differences",
        (
            (1, "long", "", "x = torch.cat((self.up2(x), torch.abs(a2 - b2)), 1)", ""),
            (1, "long", "", "x = torch.cat((self.up1(x), torch.abs(a1 - b1)), 1)", ""),
        ),
    ),
)
