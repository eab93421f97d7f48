"""Denoising and deblurring: the image itself is the outermost shortcut."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from tests.truth.row import Row
from torch import nn

__all__ = ["DRRN", "ROWS", "DnCNN", "NAFNet", "Restormer"]


def conv3(inputs: int, outputs: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, padding=1)


class DnCNN(nn.Module):
    """Zhang 2017: the network predicts the noise."""

    size = ((1, 20, 20),)

    def __init__(self):
        super().__init__()
        layers = [conv3(1, 16), nn.ReLU(inplace=True)]
        for _ in range(4):
            layers += [conv3(16, 16), nn.BatchNorm2d(16), nn.ReLU(inplace=True)]
        self.dncnn = nn.Sequential(*layers, conv3(16, 1))

    def forward(self, x):
        out = self.dncnn(x)
        return x - out


class DRRN(nn.Module):
    """Tai 2017: one residual unit, run again and again with the same weights."""

    size = ((1, 20, 20),)

    def __init__(self):
        super().__init__()
        self.input, self.conv1, self.conv2 = conv3(1, 16), conv3(16, 16), conv3(16, 16)
        self.output = conv3(16, 1)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x):
        residual = x
        inputs = self.input(self.relu(x.clone()))
        out = inputs
        for _ in range(5):
            out = self.conv2(self.relu(self.conv1(self.relu(out.clone()))))
            out = torch.add(out, inputs)
        out = self.output(self.relu(out))
        return torch.add(out, residual)


class _SimpleGate(nn.Module):
    def forward(self, x):
        x1, x2 = x.chunk(2, dim=1)
        return x1 * x2


class _NAFBlock(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.conv1, self.conv3 = nn.Conv2d(c, 2 * c, 1), nn.Conv2d(c, c, 1)
        self.conv2 = nn.Conv2d(2 * c, 2 * c, 3, padding=1, groups=2 * c)
        self.sca = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(c, c, 1))
        self.sg = _SimpleGate()
        self.conv4, self.conv5 = nn.Conv2d(c, 2 * c, 1), nn.Conv2d(c, c, 1)
        self.norm1, self.norm2 = nn.GroupNorm(1, c), nn.GroupNorm(1, c)
        self.beta = nn.Parameter(torch.zeros((1, c, 1, 1)))
        self.gamma = nn.Parameter(torch.zeros((1, c, 1, 1)))

    def forward(self, inp):
        x = inp
        x = self.norm1(x)
        x = self.conv1(x)
        x = self.conv2(x)
        x = self.sg(x)
        x = x * self.sca(x)
        x = self.conv3(x)
        y = inp + x * self.beta
        x = self.conv4(self.norm2(y))
        x = self.sg(x)
        x = self.conv5(x)
        return y + x * self.gamma


class NAFNet(nn.Module):
    """Chen 2022: no activation, gates without a squashing function."""

    size = ((3, 30, 30),)

    def __init__(self, width=8):
        super().__init__()
        self.intro, self.ending = conv3(3, width), conv3(width, 3)
        self.encoders = nn.ModuleList([_NAFBlock(width), _NAFBlock(2 * width)])
        self.downs = nn.ModuleList(
            [nn.Conv2d(width, 2 * width, 2, 2), nn.Conv2d(2 * width, 4 * width, 2, 2)]
        )
        self.middle = _NAFBlock(4 * width)
        self.ups = nn.ModuleList(
            nn.Sequential(nn.Conv2d(c, 2 * c, 1, bias=False), nn.PixelShuffle(2))
            for c in (4 * width, 2 * width)
        )
        self.decoders = nn.ModuleList([_NAFBlock(2 * width), _NAFBlock(width)])

    def forward(self, inp):
        B, C, H, W = inp.shape
        inp = F.pad(inp, (0, -W % 4, 0, -H % 4))
        x = self.intro(inp)
        encs = []
        for encoder, down in zip(self.encoders, self.downs):
            x = encoder(x)
            encs.append(x)
            x = down(x)
        x = self.middle(x)
        for decoder, up, enc_skip in zip(self.decoders, self.ups, encs[::-1]):
            x = up(x)
            x = x + enc_skip
            x = decoder(x)
        x = self.ending(x)
        x = x + inp
        return x[:, :, :H, :W]


class _MDTA(nn.Module):
    def __init__(self, n, heads):
        super().__init__()
        self.num_heads, self.temperature = heads, nn.Parameter(torch.ones(heads, 1, 1))
        self.qkv, self.project_out = nn.Conv2d(n, 3 * n, 1), nn.Conv2d(n, n, 1)
        self.qkv_dwconv = nn.Conv2d(3 * n, 3 * n, 3, padding=1, groups=3 * n)

    def forward(self, x):
        b, c, h, w = x.shape
        q, k, v = self.qkv_dwconv(self.qkv(x)).chunk(3, dim=1)
        q, k, v = (t.reshape(b, self.num_heads, -1, h * w) for t in (q, k, v))
        q, k = F.normalize(q, dim=-1), F.normalize(k, dim=-1)
        attn = ((q @ k.transpose(-2, -1)) * self.temperature).softmax(dim=-1)
        return self.project_out((attn @ v).reshape(b, c, h, w))


class _GDFN(nn.Module):
    def __init__(self, n):
        super().__init__()
        self.project_in, self.project_out = nn.Conv2d(n, 4 * n, 1), nn.Conv2d(2 * n, n, 1)
        self.dwconv = nn.Conv2d(4 * n, 4 * n, 3, padding=1, groups=4 * n)

    def forward(self, x):
        x1, x2 = self.dwconv(self.project_in(x)).chunk(2, dim=1)
        return self.project_out(F.gelu(x1) * x2)


class _Transformer(nn.Module):
    def __init__(self, n, heads):
        super().__init__()
        self.norm1, self.norm2 = nn.GroupNorm(1, n), nn.GroupNorm(1, n)
        self.attn, self.ffn = _MDTA(n, heads), _GDFN(n)

    def forward(self, x):
        x = x + self.attn(self.norm1(x))
        x = x + self.ffn(self.norm2(x))
        return x


class Restormer(nn.Module):
    """Zamir 2022 with two levels."""

    size = ((3, 32, 32),)

    def __init__(self, dim=8):
        super().__init__()
        self.patch_embed = conv3(3, dim)
        self.encoder_level1 = _Transformer(dim, 1)
        self.down1_2 = nn.Sequential(conv3(dim, dim // 2), nn.PixelUnshuffle(2))
        self.latent = nn.Sequential(_Transformer(2 * dim, 2), _Transformer(2 * dim, 2))
        self.up2_1 = nn.Sequential(conv3(2 * dim, 4 * dim), nn.PixelShuffle(2))
        self.reduce, self.decoder_level1 = nn.Conv2d(2 * dim, dim, 1), _Transformer(dim, 1)
        self.output = conv3(dim, 3)

    def forward(self, inp_img):
        out_enc_level1 = self.encoder_level1(self.patch_embed(inp_img))
        latent = self.latent(self.down1_2(out_enc_level1))
        inp_dec_level1 = self.up2_1(latent)
        inp_dec_level1 = torch.cat([inp_dec_level1, out_enc_level1], 1)
        out = self.decoder_level1(self.reduce(inp_dec_level1))
        return self.output(out) + inp_img


ROWS: tuple[Row, ...] = (
    Row(
        "written/DnCNN",
        {"identity": 1},
        "the noise is subtracted",
        ((1, "identity", "", "return x - out", "input"),),
    ),
    Row(
        "written/DRRN",
        {"identity": 6},
        "the unit's input is added five times, the image once",
        (
            (5, "identity", "", "out = torch.add(out, inputs)", "input"),
            (1, "identity", "", "return torch.add(out, residual)", "input"),
        ),
    ),
    Row(
        "written/NAFNet",
        {"identity": 10, "long": 3},
        "five blocks of two sums; two encoder features and the padded image are added; simple "
        "gates and channel attention have no squashing function",
        (
            (5, "identity", "*", "y = inp + x * self.beta", "*"),
            (5, "identity", "*", "return y + x * self.gamma", "*"),
            (2, "long", "", "x = x + enc_skip", "encoders.?"),
            (1, "long", "", "x = x + inp", ""),
        ),
    ),
    Row(
        "written/Restormer",
        {"identity": 8, "long": 2},
        "four blocks of two sums; one level is concatenated, the image is added",
        (
            (4, "identity", "*", "x = x + self.ffn(self.norm2(x))", "*"),
            (1, "long", "", "return self.output(out) + inp_img", "input"),
            (1, "long", "", "inp_dec_level1 = torch.cat(*", "encoder_level1"),
        ),
    ),
)
