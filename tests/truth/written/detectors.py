"""Detectors: cross-stage partial blocks and their necks."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from tests.truth.row import Row
from torch import nn

__all__ = ["ROWS", "YOLOv5", "YOLOv7Tiny", "YOLOv8"]


def _cbs(inputs, outputs, k=1, s=1):
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, k, s, k // 2, bias=False), nn.BatchNorm2d(outputs), nn.SiLU()
    )


class _YOLOBottleneck(nn.Module):
    def __init__(self, c1, c2, shortcut=True):
        super().__init__()
        self.cv1, self.cv2 = _cbs(c1, c2, 3), _cbs(c2, c2, 3)
        self.add = shortcut and c1 == c2

    def forward(self, x):
        return x + self.cv2(self.cv1(x)) if self.add else self.cv2(self.cv1(x))


class _C3(nn.Module):
    def __init__(self, c1, c2, n=1, shortcut=True):
        super().__init__()
        c_ = c2 // 2
        self.cv1, self.cv2, self.cv3 = _cbs(c1, c_), _cbs(c1, c_), _cbs(2 * c_, c2)
        self.m = nn.Sequential(*(_YOLOBottleneck(c_, c_, shortcut) for _ in range(n)))

    def forward(self, x):
        return self.cv3(torch.cat((self.m(self.cv1(x)), self.cv2(x)), 1))


class _SPPF(nn.Module):
    def __init__(self, c1, c2, k=5):
        super().__init__()
        c_ = c1 // 2
        self.cv1, self.cv2 = _cbs(c1, c_), _cbs(c_ * 4, c2)
        self.m = nn.MaxPool2d(kernel_size=k, stride=1, padding=k // 2)

    def forward(self, x):
        x = self.cv1(x)
        y1 = self.m(x)
        y2 = self.m(y1)
        return self.cv2(torch.cat((x, y1, y2, self.m(y2)), 1))


class YOLOv5(nn.Module):
    """A small YOLOv5: C3 blocks, SPPF, top down and bottom up."""

    size = ((3, 64, 64),)

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(_cbs(3, 8, 3, 2), _cbs(8, 16, 3, 2), _C3(16, 16, 1))
        self.p4 = nn.Sequential(_cbs(16, 32, 3, 2), _C3(32, 32, 2))
        self.p5 = nn.Sequential(_cbs(32, 64, 3, 2), _C3(64, 64, 1), _SPPF(64, 64))
        self.reduce5, self.reduce4 = _cbs(64, 32), _cbs(32, 16)
        self.td4, self.td3 = _C3(64, 32, 1, False), _C3(32, 16, 1, False)
        self.down3, self.down4 = _cbs(16, 16, 3, 2), _cbs(32, 32, 3, 2)
        self.bu4, self.bu5 = _C3(32, 32, 1, False), _C3(64, 64, 1, False)
        self.detect = nn.ModuleList(nn.Conv2d(c, 18, 1) for c in (16, 32, 64))

    def forward(self, x):
        p3 = self.stem(x)
        p4 = self.p4(p3)
        p5 = self.p5(p4)
        h5 = self.reduce5(p5)
        t4 = self.td4(torch.cat([F.interpolate(h5, scale_factor=2), p4], 1))
        h4 = self.reduce4(t4)
        n3 = self.td3(torch.cat([F.interpolate(h4, scale_factor=2), p3], 1))
        n4 = self.bu4(torch.cat([self.down3(n3), h4], 1))
        n5 = self.bu5(torch.cat([self.down4(n4), h5], 1))
        return [layer(n) for layer, n in zip(self.detect, (n3, n4, n5))]


class _C2f(nn.Module):
    def __init__(self, c1, c2, n=1, shortcut=False):
        super().__init__()
        self.c = c2 // 2
        self.cv1, self.cv2 = _cbs(c1, 2 * self.c), _cbs((2 + n) * self.c, c2)
        self.m = nn.ModuleList(_YOLOBottleneck(self.c, self.c, shortcut) for _ in range(n))

    def forward(self, x):
        y = list(self.cv1(x).chunk(2, 1))
        y.extend(m(y[-1]) for m in self.m)
        return self.cv2(torch.cat(y, 1))


class YOLOv8(nn.Module):
    """A small backbone of YOLOv8."""

    size = ((3, 64, 64),)

    def __init__(self):
        super().__init__()
        self.model = nn.Sequential(
            _cbs(3, 8, 3, 2),
            _cbs(8, 16, 3, 2),
            _C2f(16, 16, 1, True),
            _cbs(16, 32, 3, 2),
            _C2f(32, 32, 2, True),
            _C2f(32, 32, 1, False),
            _SPPF(32, 32),
        )

    def forward(self, x):
        return self.model(x)


class YOLOv7Tiny(nn.Module):
    """An ELAN block and a downsampling by pooling beside a strided convolution."""

    size = ((3, 64, 64),)

    def __init__(self):
        super().__init__()
        self.stem = _cbs(3, 16, 3, 2)
        self.down1, self.down2 = _cbs(16, 16), nn.Sequential(_cbs(16, 16), _cbs(16, 16, 3, 2))
        self.cv1, self.cv2 = _cbs(32, 16), _cbs(32, 16)
        self.cv3, self.cv4 = _cbs(16, 16, 3), _cbs(16, 16, 3)
        self.cv5 = _cbs(64, 32)

    def forward(self, x):
        x = self.stem(x)
        x = torch.cat([self.down1(F.max_pool2d(x, 2)), self.down2(x)], 1)
        x1 = self.cv1(x)
        x2 = self.cv2(x)
        x3 = self.cv3(x2)
        x4 = self.cv4(x3)
        return self.cv5(torch.cat([x4, x3, x2, x1], 1))


ROWS: tuple[Row, ...] = (
    Row(
        "written/YOLOv5",
        {"identity": 4, "split-concat": 7, "concat": 3, "long": 2},
        "C3: seven, those of the backbone with 1+2+1 residual bottlenecks; SPPF; two features "
        "concatenated top down; bottom up two reduced features go past what is above them",
        (
            (7, "split-concat", "*", "return self.cv3(torch.cat(*", "*"),
            (1, "concat", "p5.2", "return self.cv2(torch.cat(*", "p5.2.cv1.2"),
            (1, "long", "", "t4 = *", "p4.1.cv3.2"),
            (1, "long", "", "n3 = *", "stem.2.cv3.2"),
            (1, "concat", "", "n4 = *", "reduce4.2"),
            (1, "concat", "", "n5 = *", "reduce5.2"),
        ),
    ),
    Row(
        "written/YOLOv8",
        {"identity": 3, "split-concat": 3, "concat": 1},
        "three C2f, two of them with 1+2 residual bottlenecks; SPPF",
        (
            (3, "split-concat", "model.?", "return self.cv2(torch.cat(y, 1))", "model.?.cv1.2"),
            (3, "identity", "model.?.m.?", "return x + *", "*"),
            (1, "concat", "model.6", "return self.cv2(torch.cat(*", "model.6.cv1.2"),
        ),
    ),
    Row(
        "written/YOLOv7Tiny",
        {"concat": 1},
        "one aggregation, which takes a convolution's input beside its output; pooling and a "
        "pointwise convolution beside a strided one are two ways to downsample",
        ((1, "concat", "", "return self.cv5(torch.cat(*", "cv2.2"),),
    ),
)
