"""The sixth set. Asked in threads. Sizes: scales, samples and frames."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from ..case import Case


# --- richzhang/PerceptualSimilarity#51: a scale factor that rounds to one pixel less
def upsample(x, out_hw, exact):
    if exact:
        return nn.Upsample(size=out_hw, mode="bilinear", align_corners=False)(x)
    scale = (1.0 * out_hw[0] / x.shape[2], 1.0 * out_hw[1] / x.shape[3])
    return nn.Upsample(scale_factor=scale, mode="bilinear", align_corners=False)(x)


class SpatialLPIPS(nn.Module):
    def __init__(self, exact):
        super().__init__()
        self.exact = exact
        self.slices = nn.ModuleList(
            [
                nn.Sequential(nn.Conv2d(3, 6, 11, 4, 2), nn.ReLU(inplace=True)),
                nn.Sequential(nn.MaxPool2d(3, 2), nn.Conv2d(6, 8, 5, 1, 2), nn.ReLU(inplace=True)),
            ]
        )
        self.lins = nn.ModuleList(nn.Conv2d(c, 1, 1, bias=False) for c in (6, 8))

    def features(self, x):
        out = []
        for part in self.slices:
            x = part(x)
            out.append(x)
        return out

    def forward(self, in0, in1):
        res = []
        for lin, a, b in zip(self.lins, self.features(in0), self.features(in1), strict=True):
            a = a / (a.pow(2).sum(1, keepdim=True).sqrt() + 1e-10)
            b = b / (b.pow(2).sum(1, keepdim=True).sqrt() + 1e-10)
            res.append(upsample(lin((a - b) ** 2), in0.shape[2:], self.exact))
        val = res[0]
        for part in res[1:]:
            val = val + part
        return val


# --- Zhaoyi-Yan/Shift-Net_pytorch#24: the shifted features of one sample only
class InnerShift(nn.Module):
    def __init__(self, every):
        super().__init__()
        self.every = every

    def forward(self, x):
        former, latter = x.chunk(2, 1)
        shifted = []
        for index in range(x.size(0)):
            flat = F.normalize(former[index].flatten(1), dim=0)
            bank = F.normalize(latter[index].flatten(1), dim=0)
            pick = torch.softmax(10 * flat.t() @ bank, dim=1)
            moved = (latter[index].flatten(1) @ pick.t()).view_as(latter[index : index + 1])
            if self.every:
                shifted.append(moved)
            else:
                shifted = [moved]
        return torch.cat([former, latter, torch.cat(shifted, 0)], 1)


class ShiftUNet(nn.Module):
    def __init__(self, every, c=6):
        super().__init__()
        self.down1 = nn.Conv2d(3, c, 4, 2, 1)
        self.down2 = nn.Sequential(
            nn.LeakyReLU(0.2), nn.Conv2d(c, c, 4, 2, 1), nn.InstanceNorm2d(c)
        )
        self.up2 = nn.Sequential(nn.ReLU(), nn.ConvTranspose2d(c, c, 4, 2, 1), nn.InstanceNorm2d(c))
        self.shift = InnerShift(every)
        self.up1 = nn.Sequential(nn.ReLU(), nn.ConvTranspose2d(3 * c, 3, 4, 2, 1), nn.Tanh())

    def forward(self, x):
        d1 = self.down1(x)
        u2 = self.up2(self.down2(d1))
        return self.up1(self.shift(torch.cat([u2, d1], 1)))


# --- talmolab/sleap-nn pull request 525: upsampled by two beside an odd encoder feature
class SimpleUpsamplingBlock(nn.Module):
    def __init__(self, a, skip, b, aligned):
        super().__init__()
        self.aligned = aligned
        self.blocks = nn.ModuleList([nn.Upsample(scale_factor=2, mode="bilinear")])
        for i in range(2):
            self.blocks.append(nn.Conv2d(a + skip if i == 0 else b, b, 3, padding="same"))
            self.blocks.append(nn.ReLU())

    def forward(self, x, feature):
        for i, block in enumerate(self.blocks):
            x = block(x)
            if i == 0:
                if self.aligned and x.shape[-2:] != feature.shape[-2:]:
                    x = F.interpolate(x, size=feature.shape[-2:], mode="bilinear")
                x = torch.cat((x, feature), dim=1)
        return x


class CNBlock(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.block = nn.Sequential(
            nn.Conv2d(dim, dim, 7, padding=3, groups=dim),
            nn.GroupNorm(1, dim),
            nn.Conv2d(dim, 2 * dim, 1),
            nn.GELU(),
            nn.Conv2d(2 * dim, dim, 1),
        )
        self.layer_scale = nn.Parameter(torch.ones(dim, 1, 1) * 0.1)

    def forward(self, x):
        return self.layer_scale * self.block(x) + x


class SleapConvNext(nn.Module):
    def __init__(self, aligned):
        super().__init__()
        self.stem = nn.Conv2d(1, 6, 3, 2, 1)
        self.stage1, self.down = CNBlock(6), nn.Conv2d(6, 8, 2, 2)
        self.stage2 = CNBlock(8)
        self.dec = SimpleUpsamplingBlock(8, 6, 6, aligned)
        self.head = nn.Conv2d(6, 2, 1)

    def forward(self, x):
        features = [self.stage1(self.stem(x))]
        x = self.stage2(self.down(features[0]))
        return self.head(self.dec(x, features[-1]))


# --- etzinis/unsup_speech_enh_adaptation#2: resampled by two beside 689 frames
class UConvBlock(nn.Module):
    def __init__(self, c=6, depth=3):
        super().__init__()
        self.depth = depth
        self.proj = nn.Sequential(nn.Conv1d(c, c, 1), nn.GroupNorm(1, c), nn.PReLU())
        self.spp_dw = nn.ModuleList(
            nn.Sequential(nn.Conv1d(c, c, 5, 1 if i == 0 else 2, 2, groups=c), nn.GroupNorm(1, c))
            for i in range(depth)
        )
        self.upsampler = nn.Upsample(scale_factor=2)
        self.final_norm = nn.Sequential(nn.GroupNorm(1, c), nn.PReLU())
        self.res_conv = nn.Conv1d(c, c, 1)

    def forward(self, x):
        residual = x.clone()
        output = [self.spp_dw[0](self.proj(x))]
        for k in range(1, self.depth):
            output.append(self.spp_dw[k](output[-1]))
        for _ in range(self.depth - 1):
            resampled_out_k = self.upsampler(output.pop(-1))
            output[-1] = output[-1] + resampled_out_k
        return self.res_conv(self.final_norm(output[-1])) + residual


class SuDoRM(nn.Module):
    def __init__(self, mended, c=6, depth=3):
        super().__init__()
        self.mended, self.lcm = mended, 2 * 2**depth
        self.encoder = nn.Sequential(nn.Conv1d(1, c, 5, 2, 2, bias=False), nn.ReLU())
        self.sm = nn.Sequential(*(UConvBlock(c, depth) for _ in range(2)))
        self.mask = nn.Sequential(nn.PReLU(), nn.Conv1d(c, 2 * c, 1), nn.ReLU())
        self.decoder = nn.ConvTranspose1d(2 * c, 2, 5, 2, 2, output_padding=1, groups=2, bias=False)

    def forward(self, wav):
        length = wav.shape[-1]
        x = F.pad(wav, (0, -length % self.lcm)) if self.mended else wav
        s = self.encoder(x)
        m = self.mask(self.sm(s))
        m = m.view(m.shape[0], 2, -1, m.shape[-1]) * s.unsqueeze(1)
        out = self.decoder(m.flatten(1, 2))
        return out[..., :length]


CASES = (
    Case(
        "scale factor one pixel short",
        "richzhang/PerceptualSimilarity#51",
        "TS101",
        lambda: SpatialLPIPS(False),
        lambda: SpatialLPIPS(True),
        ((1, 3, 600, 800), (1, 3, 600, 800)),
    ),
    Case(
        "shifted features of the last sample",
        "Zhaoyi-Yan/Shift-Net_pytorch#24",
        "TS101",
        lambda: ShiftUNet(False),
        lambda: ShiftUNet(True),
        ((3, 3, 16, 16),),
    ),
    Case(
        "upsampling block beside odd features",
        "talmolab/sleap-nn PR 525",
        "TS102",
        lambda: SleapConvNext(False),
        lambda: SleapConvNext(True),
        ((1, 1, 32, 32),),
    ),
    Case(
        "689 frames beside 690",
        "etzinis/unsup_speech_enh_adaptation#2",
        "TS102",
        lambda: SuDoRM(False),
        lambda: SuDoRM(True),
        ((2, 1, 64),),
    ),
)
