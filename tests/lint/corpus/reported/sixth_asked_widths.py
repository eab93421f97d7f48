"""The sixth set. Asked in threads. Concatenations of another width than is read."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from ..case import Case


# --- devgem.io on a forum question: transposed convolution and double convolution in one Sequential
def double_conv(a, b):
    return nn.Sequential(
        nn.Conv2d(a, b, 3, padding=1),
        nn.ReLU(inplace=True),
        nn.Conv2d(b, b, 3, padding=1),
        nn.ReLU(inplace=True),
    )


class ForumUNet(nn.Module):
    def __init__(self, mended):
        super().__init__()
        self.mended = mended
        self.encoder1, self.encoder2 = double_conv(3, 8), double_conv(8, 16)
        self.bottleneck = double_conv(16, 32)
        self.pool = nn.MaxPool2d(2)
        if mended:
            self.up2, self.decoder2 = nn.ConvTranspose2d(32, 16, 2, 2), double_conv(32, 16)
            self.up1, self.decoder1 = nn.ConvTranspose2d(16, 8, 2, 2), double_conv(16, 8)
        else:
            self.decoder2, self.decoder1 = self.up(32, 16), self.up(16, 8)
        self.final = nn.Conv2d(8, 2, 1)

    def up(self, a, b):
        return nn.Sequential(nn.ConvTranspose2d(a, b, 2, 2), double_conv(a, b))

    def forward(self, x):
        enc1 = self.encoder1(x)
        enc2 = self.encoder2(self.pool(enc1))
        b = self.bottleneck(self.pool(enc2))
        if self.mended:
            d2 = self.decoder2(torch.cat([self.up2(b), enc2], 1))
            return self.final(self.decoder1(torch.cat([self.up1(d2), enc1], 1)))
        d2 = torch.cat([self.decoder2(b), enc2], 1)
        return self.final(torch.cat([self.decoder1(d2), enc1], 1))


# --- KanishJebaMathewM/Truxify pull request 3856: the layer after the skip is never applied
class NeRF(nn.Module):
    def __init__(self, mended, freqs=2, hidden=16):
        super().__init__()
        self.mended, self.freqs = mended, freqs
        width = 3 + 3 * 2 * freqs
        self.layers = nn.ModuleList()
        for i in range(7):
            fan = width if i == 0 else hidden + width if i == 4 else hidden
            self.layers.append(nn.Linear(fan, hidden))
        self.sigma, self.rgb = nn.Linear(hidden, 1), nn.Linear(hidden, 3)

    def encode(self, x):
        out = [x]
        for k in range(self.freqs):
            out += [torch.sin(2**k * x), torch.cos(2**k * x)]
        return torch.cat(out, -1)

    def forward(self, points):
        encoded_pos = self.encode(points)
        x = encoded_pos
        for i, layer in enumerate(self.layers):
            if i == 4:
                x = torch.cat([x, encoded_pos], dim=-1)
                if self.mended:
                    x = F.relu(layer(x))
            else:
                x = F.relu(layer(x))
        return torch.cat([torch.sigmoid(self.rgb(x)), F.relu(self.sigma(x))], -1)


# --- jaxony/unet-pytorch pull request 2: upsampling that keeps the channels, then a concatenation
def upconv2x2(a, b, mended):
    up = nn.Upsample(mode="bilinear", scale_factor=2)
    return nn.Sequential(up, nn.Conv2d(a, b, 1)) if mended else up


class UpConv(nn.Module):
    def __init__(self, a, b, mended):
        super().__init__()
        self.upconv = upconv2x2(a, b, mended)
        self.conv1 = nn.Conv2d(2 * b, b, 3, padding=1)
        self.conv2 = nn.Conv2d(b, b, 3, padding=1)

    def forward(self, from_down, from_up):
        from_up = self.upconv(from_up)
        x = torch.cat((from_up, from_down), 1)
        return F.relu(self.conv2(F.relu(self.conv1(x))))


class DownConv(nn.Module):
    def __init__(self, a, b, pooling):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(a, b, 3, padding=1), nn.Conv2d(b, b, 3, padding=1)
        self.pooling = pooling
        if pooling:
            self.pool = nn.MaxPool2d(2, 2)

    def forward(self, x):
        x = F.relu(self.conv2(F.relu(self.conv1(x))))
        before_pool = x
        if self.pooling:
            x = self.pool(x)
        return x, before_pool


class JaxonyUNet(nn.Module):
    def __init__(self, mended, depth=3, start=4):
        super().__init__()
        widths = [start * 2**i for i in range(depth)]
        self.down_convs = nn.ModuleList(
            DownConv(3 if i == 0 else widths[i - 1], w, i < depth - 1) for i, w in enumerate(widths)
        )
        self.up_convs = nn.ModuleList(
            UpConv(widths[i + 1], widths[i], mended) for i in reversed(range(depth - 1))
        )
        self.conv_final = nn.Conv2d(start, 2, 1)

    def forward(self, x):
        encoder_outs = []
        for module in self.down_convs:
            x, before_pool = module(x)
            encoder_outs.append(before_pool)
        for i, module in enumerate(self.up_convs):
            before_pool = encoder_outs[-(i + 2)]
            x = module(before_pool, x)
        return self.conv_final(x)


CASES = (
    Case(
        "up and double convolution in one sequence",
        "https://devgem.io/posts/how-to-fix-channel-"
        "mismatch-errors-in-u-net-architecture-in-pytorch",
        "TS100",
        lambda: ForumUNet(False),
        lambda: ForumUNet(True),
        ((1, 3, 16, 16),),
    ),
    Case(
        "radiance field skips the layer of its skip",
        "KanishJebaMathewM/Truxify PR 3856",
        "TS100",
        lambda: NeRF(False),
        lambda: NeRF(True),
        ((10, 3),),
    ),
    Case(
        "upsampled channels kept before the concatenation",
        "jaxony/unet-pytorch PR 2",
        "TS100",
        lambda: JaxonyUNet(False),
        lambda: JaxonyUNet(True),
        ((1, 3, 16, 16),),
    ),
)
