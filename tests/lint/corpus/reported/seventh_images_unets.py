"""U-Nets: features from behind the pool, along the batch, or read past the last block."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from ..case import Case

IMAGES = ((2, 3, 32, 32),)


def cbr(a, b, k=3, s=1):
    return nn.Sequential(
        nn.Conv2d(a, b, k, s, k // 2, bias=False), nn.BatchNorm2d(b), nn.ReLU(inplace=True)
    )


# ---- titu1994/DenseNet PR 15: the head reads the decoder's last concatenation, not its dense block


class DenseLayers(nn.Module):
    def __init__(self, channels, n, growth):
        super().__init__()
        self.layers = nn.ModuleList(
            [
                nn.Sequential(
                    nn.BatchNorm2d(channels + i * growth),
                    nn.ReLU(inplace=True),
                    nn.Conv2d(channels + i * growth, growth, 3, padding=1, bias=False),
                )
                for i in range(n)
            ]
        )

    def forward(self, x):
        x_list = [x]
        for layer in self.layers:
            cb = layer(x)
            x_list.append(cb)
            x = torch.cat([x, cb], 1)
        return x, x_list


class DenseNetFCN(nn.Module):
    def __init__(self, mended=False):
        super().__init__()
        g, n = 4, 2
        self.init = nn.Conv2d(3, 8, 3, padding=1, bias=False)
        self.down1, self.td1 = (
            DenseLayers(8, n, g),
            nn.Sequential(nn.BatchNorm2d(16), nn.ReLU(True), nn.Conv2d(16, 16, 1), nn.AvgPool2d(2)),
        )
        self.down2, self.td2 = (
            DenseLayers(16, n, g),
            nn.Sequential(nn.BatchNorm2d(24), nn.ReLU(True), nn.Conv2d(24, 24, 1), nn.AvgPool2d(2)),
        )
        self.neck = DenseLayers(24, n, g)
        self.tu1, self.up1 = nn.ConvTranspose2d(8, 8, 2, 2), DenseLayers(32, n, g)
        self.tu2, self.up2 = nn.ConvTranspose2d(8, 8, 2, 2), DenseLayers(24, n, g)
        self.head = nn.Conv2d(32 if mended else 24, 3, 1)
        self.mended = mended

    def forward(self, x):
        skips = []
        x = self.init(x)
        for block, down in ((self.down1, self.td1), (self.down2, self.td2)):
            x, _ = block(x)
            skips.append(x)
            x = down(x)
        _, concat_list = self.neck(x)
        for up, block in ((self.tu1, self.up1), (self.tu2, self.up2)):
            t = up(torch.cat(concat_list[1:], 1))
            x = torch.cat([t, skips.pop()], 1)
            x_up, concat_list = block(x)
        return self.head(x_up if self.mended else x)


# ---- meetps/pytorch-semseg#1: each level keeps its feature after the pooling


class unetConv2(nn.Module):
    def __init__(self, in_size, out_size):
        super().__init__()
        self.conv1 = cbr(in_size, out_size)
        self.conv2 = cbr(out_size, out_size)

    def forward(self, inputs):
        return self.conv2(self.conv1(inputs))


class unetUp(nn.Module):
    def __init__(self, in_size, out_size):
        super().__init__()
        self.conv = unetConv2(in_size, out_size)
        self.up = nn.UpsamplingBilinear2d(scale_factor=2)

    def forward(self, inputs1, inputs2):
        outputs2 = self.up(inputs2)
        rows, columns = (outputs2.size(a) - inputs1.size(a) for a in (2, 3))
        sides = [columns // 2, columns - columns // 2, rows // 2, rows - rows // 2]
        outputs1 = F.pad(inputs1, sides)
        return self.conv(torch.cat([outputs1, outputs2], 1))


class SemsegUnet(nn.Module):
    def __init__(self, mended=False):
        super().__init__()
        f = [4, 8, 16, 32]
        self.conv1, self.conv2, self.conv3 = (
            unetConv2(3, f[0]),
            unetConv2(f[0], f[1]),
            unetConv2(f[1], f[2]),
        )
        self.maxpool = nn.MaxPool2d(2)
        self.center = unetConv2(f[2], f[3])
        self.up_concat3 = unetUp(f[3] + f[2], f[2])
        self.up_concat2 = unetUp(f[2] + f[1], f[1])
        self.up_concat1 = unetUp(f[1] + f[0], f[0])
        self.final = nn.Conv2d(f[0], 5, 1)
        self.mended = mended

    def forward(self, inputs):
        conv1 = self.conv1(inputs)
        pool1 = self.maxpool(conv1)
        conv2 = self.conv2(pool1)
        pool2 = self.maxpool(conv2)
        conv3 = self.conv3(pool2)
        pool3 = self.maxpool(conv3)
        center = self.center(pool3)
        one, two, three = (conv1, conv2, conv3) if self.mended else (pool1, pool2, pool3)
        up3 = self.up_concat3(three, center)
        up2 = self.up_concat2(two, up3)
        up1 = self.up_concat1(one, up2)
        return self.final(up1)


# ---- lyakaap/Kaggle-Carvana-3rd-Place-Solution PR 3: the encoder saves what it has pooled


class CarvanaUnet(nn.Module):
    def __init__(self, mended=False):
        super().__init__()
        width, self.mended = 4, mended
        self.enc = nn.ModuleList(
            [
                nn.Sequential(
                    cbr(3 if i == 0 else width * 2 ** (i - 1), width * 2**i),
                    cbr(width * 2**i, width * 2**i),
                )
                for i in range(3)
            ]
        )
        self.pool = nn.MaxPool2d(2)
        self.bottleneck = nn.ModuleList(
            [
                nn.Conv2d(
                    width * 4 if i == 0 else width * 8, width * 8, 3, padding=2**i, dilation=2**i
                )
                for i in range(3)
            ]
        )
        self.dec = nn.ModuleList(
            [cbr(width * 2 ** (i + 1) + width * 2**i, width * 2**i) for i in range(3)]
        )
        self.classify = nn.Conv2d(width, 1, 1)

    def encoder(self, x):
        skip = []
        for block in self.enc:
            x = block(x)
            if self.mended:
                skip.append(x)
                x = self.pool(x)
            else:
                x = self.pool(x)
                skip.append(x)
        return x, skip

    def forward(self, inputs):
        enc, skip = self.encoder(inputs)
        dilated = []
        x = enc
        for layer in self.bottleneck:
            x = F.relu(layer(x))
            dilated.append(x)
        x = dilated[0] + dilated[1] + dilated[2]
        for i in reversed(range(3)):
            x = F.interpolate(x, scale_factor=2)
            x = torch.cat([skip[i], x], 1)
            x = self.dec[i](x)
        return torch.sigmoid(self.classify(x))


# ---- mattmacy/vnet.pytorch#1: sixteen copies of the input along the batch


class LUConv(nn.Module):
    def __init__(self, nchan):
        super().__init__()
        self.relu1 = nn.ELU(inplace=True)
        self.conv1 = nn.Conv3d(nchan, nchan, 5, padding=2)
        self.bn1 = nn.BatchNorm3d(nchan)

    def forward(self, x):
        return self.relu1(self.bn1(self.conv1(x)))


class InputTransition(nn.Module):
    def __init__(self, outChans=8, mended=False):
        super().__init__()
        self.conv1 = nn.Conv3d(1, outChans, 5, padding=2)
        self.bn1 = nn.BatchNorm3d(outChans)
        self.relu1 = nn.ELU(inplace=True)
        self.mended = mended

    def forward(self, x):
        out = self.bn1(self.conv1(x))
        x16 = torch.cat((x, x, x, x, x, x, x, x), 1 if self.mended else 0)
        return self.relu1(torch.add(out, x16))


class DownTransition(nn.Module):
    def __init__(self, inChans):
        super().__init__()
        outChans = 2 * inChans
        self.down_conv = nn.Conv3d(inChans, outChans, 2, stride=2)
        self.bn1 = nn.BatchNorm3d(outChans)
        self.relu1 = nn.ELU(inplace=True)
        self.relu2 = nn.ELU(inplace=True)
        self.ops = LUConv(outChans)

    def forward(self, x):
        down = self.relu1(self.bn1(self.down_conv(x)))
        out = self.ops(down)
        return self.relu2(torch.add(out, down))


class VNet(nn.Module):
    def __init__(self, mended=False):
        super().__init__()
        self.in_tr = InputTransition(8, mended)
        self.down_tr = DownTransition(8)
        self.up = nn.ConvTranspose3d(16, 8, 2, stride=2)
        self.out = nn.Conv3d(16, 2, 1)

    def forward(self, x):
        out16 = self.in_tr(x)
        out32 = self.down_tr(out16)
        return self.out(torch.cat((self.up(out32), out16), 1))


CASES = (
    Case(
        "tiramisu_head_misses_last_block",
        "titu1994/DenseNet PR 15",
        "TS107",
        lambda: DenseNetFCN(),
        lambda: DenseNetFCN(True),
        ((2, 3, 16, 16),),
    ),
    Case(
        "semseg_unet_saves_pooled_features",
        "meetps/pytorch-semseg#1",
        "TS204",
        lambda: SemsegUnet(),
        lambda: SemsegUnet(True),
        IMAGES,
    ),
    Case(
        "carvana_unet_saves_after_pooling",
        "lyakaap/Kaggle-Carvana-3rd-Place-Solution PR 3",
        "TS101",
        lambda: CarvanaUnet(),
        lambda: CarvanaUnet(True),
        IMAGES,
    ),
    Case(
        "vnet_copies_along_the_batch",
        "mattmacy/vnet.pytorch#1",
        "TS103",
        lambda: VNet(),
        lambda: VNet(True),
        ((1, 1, 8, 8, 8),),
    ),
)
