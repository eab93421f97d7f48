"""A fifth set, of dense prediction: U-Nets, hourglasses and their decoders."""

from __future__ import annotations

import itertools

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..case import Case, conv
from .fourth_images import twins


def cbr(a, b, stride=1):
    return nn.Sequential(
        nn.Conv2d(a, b, 3, stride, 1, bias=False), nn.BatchNorm2d(b), nn.ReLU(inplace=True)
    )


class LinkDecoder(nn.Module):
    def __init__(self, a: int, b: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(a, a // 2, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(a // 2)
        self.deconv = nn.ConvTranspose2d(a // 2, a // 2, 3, 2, 1, output_padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(a // 2)
        self.conv3 = nn.Conv2d(a // 2, b, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(b)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.bn1(self.conv1(x)))
        x = F.relu(self.bn2(self.deconv(x)))
        return F.relu(self.bn3(self.conv3(x)))


class TFLinkNet(nn.Module):
    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.mended = mended
        self.e1, self.e2, self.e3, self.e4 = cbr(4, 8), cbr(8, 8, 2), cbr(8, 16, 2), cbr(16, 32, 2)
        self.d4, self.d3, self.d2 = LinkDecoder(32, 16), LinkDecoder(16, 8), LinkDecoder(8, 8)
        self.last = nn.Sequential(cbr(8, 8), nn.Conv2d(8, 3, 1))

    def forward(self, x: Tensor) -> Tensor:
        e1 = self.e1(x)
        e2 = self.e2(e1)
        e3 = self.e3(e2)
        e4 = self.e4(e3)
        decoder4 = self.d4(e4) + e3
        decoder3 = self.d3(decoder4) + e2
        decoder2 = self.d2(decoder3) + e1
        out = self.last(decoder2 if self.mended else decoder3)
        return F.interpolate(out, size=x.shape[-2:], mode="bilinear", align_corners=False)


class SkipBlock(nn.Module):
    """pix2pix: the block that concatenates its input with what it makes of it."""

    def __init__(
        self,
        outer: int,
        inner: int,
        sub: object = None,
        outermost: bool = False,
        inplace: bool = True,
    ) -> None:
        super().__init__()
        self.outermost = outermost
        down = nn.Conv2d(4 if outermost else outer, inner, 4, 2, 1, bias=False)
        relu = nn.LeakyReLU(0.2, inplace)
        if outermost:
            model = [down, sub, nn.ReLU(inplace), nn.ConvTranspose2d(inner * 2, outer, 4, 2, 1)]
            model.append(nn.Tanh())
        elif sub is None:
            up = nn.ConvTranspose2d(inner, outer, 4, 2, 1, bias=False)
            model = [relu, down, nn.ReLU(True), up, nn.BatchNorm2d(outer)]
        else:
            up = nn.ConvTranspose2d(inner * 2, outer, 4, 2, 1, bias=False)
            model = [relu, down, nn.BatchNorm2d(inner), sub, nn.ReLU(inplace), up]
            model.append(nn.BatchNorm2d(outer))
        self.model = nn.Sequential(*model)

    def forward(self, x: Tensor) -> Tensor:
        if self.outermost:
            return self.model(x)
        return torch.cat([x, self.model(x)], 1)


def pix2pix(mended):
    block = SkipBlock(16, 16, inplace=not mended)
    block = SkipBlock(8, 16, block, inplace=not mended)
    return SkipBlock(3, 8, block, outermost=True, inplace=not mended)


class ValidUp(nn.Module):
    def __init__(self, mended: bool, a: int, b: int) -> None:
        super().__init__()
        self.mended = mended
        self.up = nn.ConvTranspose2d(a, b, 2, 2)
        self.conv = nn.Sequential(nn.Conv2d(a, b, 3), nn.ReLU(), nn.Conv2d(b, b, 3), nn.ReLU())

    def forward(self, inputs1: Tensor, inputs2: Tensor) -> Tensor:
        outputs2 = self.up(inputs2)
        offset = outputs2.size()[2] - inputs1.size()[2]
        padding = 2 * [offset // 2, offset // 2]
        if self.mended:
            wide = outputs2.size()[3] - inputs1.size()[3]
            padding = [wide // 2, wide - wide // 2, offset // 2, offset - offset // 2]
        outputs1 = F.pad(inputs1, padding)
        return self.conv(torch.cat([outputs1, outputs2], 1))


class ValidUNet(nn.Module):
    def __init__(self, mended: bool) -> None:
        super().__init__()

        def block(a, b):
            return nn.Sequential(nn.Conv2d(a, b, 3), nn.ReLU(), nn.Conv2d(b, b, 3), nn.ReLU())

        self.conv1, self.conv2, self.center = block(4, 8), block(8, 16), block(16, 32)
        self.pool = nn.MaxPool2d(2)
        self.up2, self.up1 = ValidUp(mended, 32, 16), ValidUp(mended, 16, 8)
        self.final = nn.Conv2d(8, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        conv1 = self.conv1(x)
        conv2 = self.conv2(self.pool(conv1))
        center = self.center(self.pool(conv2))
        return self.final(self.up1(conv1, self.up2(conv2, center)))


class DilatedUNet(nn.Module):
    """The bottleneck is a sum of dilated convolutions; each encoder block ends with a pooling."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.mended = mended
        widths = (4, 8, 16)
        self.encoder = nn.ModuleList(
            nn.Sequential(cbr(a, b), cbr(b, b)) for a, b in itertools.pairwise(widths)
        )
        self.dilated = nn.ModuleList(
            nn.Conv2d(16 if i == 0 else 32, 32, 3, padding=2**i, dilation=2**i) for i in range(3)
        )
        self.decoder = nn.ModuleList([cbr(32 + 16, 16), cbr(16 + 8, 8)])
        self.head = nn.Conv2d(8, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        skips = []
        for block in self.encoder:
            x = block(x)
            if self.mended:
                skips.append(x)
            x = F.max_pool2d(x, 2)
            if not self.mended:
                skips.append(x)
        maps = []
        for layer in self.dilated:
            x = F.relu(layer(x))
            maps.append(x)
        x = sum(maps[1:], maps[0])
        for block, skip in zip(self.decoder, reversed(skips), strict=False):
            x = F.interpolate(x, scale_factor=2)
            x = block(torch.cat([skip, x], 1))
        return torch.sigmoid(self.head(x))


class SmallU2Net(nn.Module):
    def __init__(self, mended: bool, out: int = 2) -> None:
        super().__init__()
        self.stage1, self.stage2, self.stage3 = cbr(3, 8), cbr(8, 8), cbr(8, 8)
        self.stage2d, self.stage1d = cbr(16, 8), cbr(16, 8)
        self.side1, self.side2, self.side3 = (conv(8, out) for _ in range(3))
        self.outconv = nn.Conv2d(3 * out if mended else 3, out, 1)

    def forward(self, x: Tensor) -> Tensor:
        hx1 = self.stage1(x)
        hx2 = self.stage2(F.max_pool2d(hx1, 2, ceil_mode=True))
        hx3 = self.stage3(F.max_pool2d(hx2, 2, ceil_mode=True))
        up = F.interpolate(hx3, size=hx2.shape[2:], mode="bilinear")
        hx2d = self.stage2d(torch.cat((up, hx2), 1))
        up = F.interpolate(hx2d, size=hx1.shape[2:], mode="bilinear")
        hx1d = self.stage1d(torch.cat((up, hx1), 1))
        d1 = self.side1(hx1d)
        d2 = F.interpolate(self.side2(hx2d), size=d1.shape[2:], mode="bilinear")
        d3 = F.interpolate(self.side3(hx3), size=d1.shape[2:], mode="bilinear")
        d0 = self.outconv(torch.cat((d1, d2, d3), 1))
        return torch.sigmoid(d0), torch.sigmoid(d1), torch.sigmoid(d2), torch.sigmoid(d3)


class KeypointHourglass(nn.Module):
    def __init__(self, blocks: int) -> None:
        super().__init__()
        width = [min(32, 4 * 2**i) for i in range(blocks + 1)]
        self.down = nn.ModuleList(
            nn.Sequential(conv(a, b), nn.BatchNorm2d(b), nn.ReLU(), nn.AvgPool2d(2))
            for a, b in itertools.pairwise(width)
        )
        ups, a = [], width[-1]
        for skip in reversed(width[:-1]):
            ups.append(nn.Sequential(nn.Upsample(scale_factor=2), conv(a, skip), nn.ReLU()))
            a = 2 * skip
        self.up = nn.ModuleList(ups)
        self.kp = nn.Conv2d(a, 5, 7, padding=3)

    def forward(self, x: Tensor) -> Tensor:
        outs = [x]
        for block in self.down:
            outs.append(block(outs[-1]))
        out = outs.pop()
        for block in self.up:
            out = block(out)
            skip = outs.pop()
            out = torch.cat([out, skip], dim=1)
        return self.kp(out)


class FaceLinkNet(nn.Module):
    """The features are kept, fetched in the decoder, and not added."""

    def __init__(self) -> None:
        super().__init__()
        widths = (8, 8, 16, 32)
        steps = tuple(itertools.pairwise(widths))
        self.stem, self.head = cbr(4, 8), nn.Conv2d(8, 5, 1)
        self.encoders = nn.ModuleList(cbr(a, b, 2) for a, b in steps)
        self.decoders = nn.ModuleList(LinkDecoder(b, a) for a, b in reversed(steps))

    def down(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        x, residuals = self.stem(x), []
        for encoder in self.encoders:
            residuals.append(x)
            x = encoder(x)
        return x, residuals

    def forward(self, x: Tensor) -> Tensor:
        x, residuals = self.down(x)
        for i, decoder in enumerate(self.decoders):
            residual = residuals[-(i + 1)]  # noqa: F841
            x = decoder(x)
        return self.head(x)


class FaceLinkNetMended(FaceLinkNet):
    def forward(self, x: Tensor) -> Tensor:
        x, residuals = self.down(x)
        for i, decoder in enumerate(self.decoders):
            residual = residuals[-(i + 1)]
            x = decoder(x) + residual
        return self.head(x)


CASES = (
    Case(
        "linknet-residual-unread",
        "e-lab/pytorch-demos#1",
        "TS201",
        FaceLinkNet,
        FaceLinkNetMended,
    ),
    Case("linknet-reads-decoder3", "liuhengli/LinkNet_tensorflow#3", "TS107", *twins(TFLinkNet)),
    Case("pix2pix-leaky-inplace", "lanpa/tensorboardX#215", "TS104", *twins(pix2pix)),
    Case(
        "crop-from-height-alone",
        "meetps/pytorch-semseg#231",
        "TS102",
        *twins(ValidUNet),
        ((2, 4, 44, 44),),
    ),
    Case(
        "skip-after-pooling",
        "lyakaap/Kaggle-Carvana-3rd-Place-Solution pull request 3",
        "TS101",
        *twins(DilatedUNet),
    ),
    Case(
        "outconv-forgets-classes",
        "xuebinqin/U-2-Net#159",
        "TS100",
        *twins(SmallU2Net),
        ((2, 3, 16, 16),),
    ),
    Case(
        "keypoint-hourglass-too-deep",
        "AliaksandrSiarohin/first-order-model#50",
        "TS101",
        lambda: KeypointHourglass(3),
        lambda: KeypointHourglass(2),
        ((2, 4, 52, 52),),
    ),
)
