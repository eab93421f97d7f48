"""Loops over branches and levels that return in their first round, an indentation too deep."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from ..case import Case

IMAGES = ((2, 3, 32, 32),)


def cbr(a, b, stride=1):
    return nn.Sequential(
        nn.Conv2d(a, b, 3, stride, 1, bias=False), nn.BatchNorm2d(b), nn.ReLU(inplace=True)
    )


# ---- hfslyc/AdvSemiSeg#65: of four atrous convolutions two are summed


class Classifier(nn.Module):
    def __init__(self, channels, classes):
        super().__init__()
        self.conv2d_list = nn.ModuleList(
            [nn.Conv2d(channels, classes, 3, padding=d, dilation=d) for d in (1, 2, 3, 4)]
        )


class ShortClassifier(Classifier):
    def forward(self, x):
        out = self.conv2d_list[0](x)
        for i in range(len(self.conv2d_list) - 1):
            out += self.conv2d_list[i + 1](x)
            return out
        return None


class WholeClassifier(Classifier):
    def forward(self, x):
        out = self.conv2d_list[0](x)
        for i in range(len(self.conv2d_list) - 1):
            out += self.conv2d_list[i + 1](x)
        return out


def deeplab(head):
    return nn.Sequential(cbr(3, 8, 2), cbr(8, 8), head(8, 4))


# ---- sxhxliang/detectron2_backbone PR 14: a BiFPN makes the first of its nodes


class Nodes(nn.Module):
    READS = ((1, 2), (0, 3), (1, 4, 3), (2, 5))

    def __init__(self, channels):
        super().__init__()
        self.nodes = nn.ModuleList([cbr(channels, channels) for _ in self.READS])

    def make(self, node, reads, features):
        size = features[reads[0]].shape[2:]
        return node(sum(F.interpolate(features[i], size=size) for i in reads))


class ShortNodes(Nodes):
    def forward(self, features):
        features = list(features)
        for node, reads in zip(self.nodes, self.READS, strict=True):
            features.append(self.make(node, reads, features))
            return features[-3:]
        return None


class AllNodes(Nodes):
    def forward(self, features):
        features = list(features)
        for node, reads in zip(self.nodes, self.READS, strict=True):
            features.append(self.make(node, reads, features))
        return features[-3:]


class Detector(nn.Module):
    def __init__(self, neck):
        super().__init__()
        self.stages = nn.ModuleList([cbr(3, 8, 2), cbr(8, 8, 2), cbr(8, 8, 2)])
        self.neck, self.head = neck(8), nn.Conv2d(8, 4, 3, padding=1)

    def forward(self, x):
        features = []
        for stage in self.stages:
            x = stage(x)
            features.append(x)
        return torch.cat([self.head(f).flatten(2) for f in self.neck(features)], 2)


CASES = (
    Case(
        "atrous_branches_return_in_the_loop",
        "hfslyc/AdvSemiSeg#65",
        "TS108",
        lambda: deeplab(ShortClassifier),
        lambda: deeplab(WholeClassifier),
        IMAGES,
    ),
    Case(
        "bifpn_nodes_return_in_the_loop",
        "sxhxliang/detectron2_backbone PR 14",
        "TS108",
        lambda: Detector(ShortNodes),
        lambda: Detector(AllNodes),
        IMAGES,
    ),
)
