"""A fifth set, by reports alone: classifiers, layers that run for nothing."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..case import Case, conv
from .fifth_classifiers_parts import cb, cbr, head


class RevF(nn.Module):
    """tensorflow/tensor2tensor pull request 1883"""

    def __init__(self, c, mended) -> None:
        super().__init__()
        self.bn_a, self.conv_a = nn.BatchNorm2d(c), conv(c, c)
        self.bn_b, self.conv_b = nn.BatchNorm2d(c), conv(c, c)
        self.mended = mended

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv_a(F.relu(self.bn_a(x)))
        y = F.relu(self.bn_b(y if self.mended else x))
        return self.conv_b(y)


class RevUnit(nn.Module):
    def __init__(self, c, mended) -> None:
        super().__init__()
        self.f, self.g = RevF(c, mended), RevF(c, mended)

    def forward(self, x: Tensor) -> Tensor:
        x1, x2 = x.chunk(2, dim=1)
        y1 = x1 + self.f(x2)
        y2 = x2 + self.g(y1)
        return torch.cat([y1, y2], 1)


def revnet(mended):
    return nn.Sequential(
        cbr(3, 16),
        *(RevUnit(8, mended) for _ in range(3)),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        *head(16),
    )


class PeleeLayer(nn.Module):
    """yxlijun/Pelee.Pytorch#9"""

    def __init__(self, c, growth, mended) -> None:
        super().__init__()
        growth //= 2
        mid = growth * 2
        self.branch1a, self.branch1b = cbr(c, mid, 1), cbr(mid, growth)
        self.branch2a, self.branch2b, self.branch2c = (
            cbr(c, mid, 1),
            cbr(mid, growth),
            cbr(growth, growth),
        )
        self.mended = mended

    def forward(self, x: Tensor) -> Tensor:
        out1 = self.branch1b(self.branch1a(x))
        out2 = self.branch2a(x)
        out2 = self.branch2b(out2)
        out3 = self.branch2c(out2)
        return torch.cat([x, out1, out3 if self.mended else out2], dim=1)


class PeleeBlock(nn.Sequential):
    def __init__(self, n, c, growth, mended) -> None:
        super().__init__()
        for i in range(n):
            self.add_module(f"denselayer{i + 1}", PeleeLayer(c + i * growth, growth, mended))


def pelee(mended):
    return nn.Sequential(cbr(3, 8), PeleeBlock(3, 8, 8, mended), cbr(32, 16, 1), *head(16))


class ResNeXtBlock(nn.Module):
    """GeorgeSeif/Semantic-Segmentation-Suite#131"""

    def __init__(self, c, mid, cardinality, mended) -> None:
        super().__init__()
        self.d = mid // cardinality
        self.reduce = cbr(c, mid, 1)
        self.groups = nn.ModuleList(conv(self.d, self.d) for _ in range(cardinality))
        self.bn = nn.BatchNorm2d(mid)
        self.expand = cbr(mid, c, 1)
        self.mended = mended

    def forward(self, inputs: Tensor) -> Tensor:
        net_ = self.reduce(inputs)
        group_list = []
        for k, layer in enumerate(self.groups):
            group_list.append(layer(net_[:, k * self.d : (k + 1) * self.d]))
        group = F.relu(self.bn(torch.cat(group_list, dim=1)))
        out = self.expand(group if self.mended else net_)
        return out + inputs


def resnext(mended):
    return nn.Sequential(cbr(3, 16), *(ResNeXtBlock(16, 8, 4, mended) for _ in range(2)), *head(16))


class SplitLayer(nn.Module):
    def __init__(self, i, depth, stride, cardinality) -> None:
        super().__init__()
        self.paths = nn.ModuleList(
            nn.Sequential(cbr(i, depth, 1), cbr(depth, depth, 3, stride))
            for _ in range(cardinality)
        )

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([path(x) for path in self.paths], dim=1)


class ResidualStage(nn.Module):
    """taki0112/ResNeXt-Tensorflow#1"""

    def __init__(self, i, o, blocks, mended) -> None:
        super().__init__()
        self.splits = nn.ModuleList()
        self.transitions = nn.ModuleList()
        for k in range(blocks):
            width = (o if k else i) if mended else i
            self.splits.append(SplitLayer(width, 4, 1 if (k or i == o) else 2, 2))
            self.transitions.append(cb(8, o, 1))
        self.i, self.o, self.mended = i, o, mended

    def forward(self, input_x: Tensor) -> Tensor:
        x = input_x
        for k in range(len(self.splits)):
            source = x if self.mended else input_x
            y = self.transitions[k](self.splits[k](source))
            x = F.relu(y + source)
        return x


def resnext_tf(mended):
    return nn.Sequential(
        cbr(3, 16), ResidualStage(16, 16, 3, mended), ResidualStage(16, 16, 2, mended), *head(16)
    )


class DlaBasic(nn.Module):
    def __init__(self, i, o, stride=1) -> None:
        super().__init__()
        self.conv1, self.conv2 = cbr(i, o, 3, stride), cb(o, o)

    def forward(self, x, residual=None):
        if residual is None:
            residual = x
        out = self.conv2(self.conv1(x))
        out += residual
        return F.relu(out)


class DlaRoot(nn.Module):
    def __init__(self, i, o) -> None:
        super().__init__()
        self.conv = cb(i, o, 1)

    def forward(self, *x):
        return F.relu(self.conv(torch.cat(x, 1)))


class UcbTree(nn.Module):
    """ucbdrive/dla#21: the projection of a deeper tree is made again one level below."""

    def __init__(
        self, levels, block, i, o, stride=1, level_root=False, root_dim=0, mended=False
    ) -> None:
        super().__init__()
        if root_dim == 0:
            root_dim = 2 * o
        if level_root:
            root_dim += i
        if levels == 1:
            self.tree1, self.tree2 = block(i, o, stride), block(o, o)
            self.root = DlaRoot(root_dim, o)
        else:
            self.tree1 = UcbTree(levels - 1, block, i, o, stride, mended=mended)
            self.tree2 = UcbTree(levels - 1, block, o, o, root_dim=root_dim + o, mended=mended)
        self.level_root, self.levels = level_root, levels
        self.downsample = nn.MaxPool2d(stride, stride) if stride > 1 else None
        self.project = cb(i, o, 1) if i != o and (levels == 1 or not mended) else None

    def forward(self, x, residual=None, children=None):
        children = [] if children is None else children
        bottom = self.downsample(x) if self.downsample else x
        residual = self.project(bottom) if self.project else bottom
        if self.level_root:
            children.append(bottom)
        x1 = self.tree1(x, residual)
        if self.levels == 1:
            x2 = self.tree2(x1)
            x = self.root(x2, x1, *children)
        else:
            children.append(x1)
            x = self.tree2(x1, children=children)
        return x


def ucb(mended):
    return nn.Sequential(
        cbr(3, 8),
        UcbTree(1, DlaBasic, 8, 12, 2, mended=mended),
        UcbTree(2, DlaBasic, 12, 16, 2, level_root=True, mended=mended),
        *head(16),
    )


CASES: tuple[Case, ...] = (
    Case(
        "reversible_unit_skips_its_first_convolution",
        "tensorflow/tensor2tensor PR 1883",
        "TS107",
        lambda: revnet(False),
        lambda: revnet(True),
        ((2, 3, 16, 16),),
    ),
    Case(
        "dense_layer_concatenates_the_middle",
        "yxlijun/Pelee.Pytorch#9",
        "TS107",
        lambda: pelee(False),
        lambda: pelee(True),
        ((2, 3, 16, 16),),
    ),
    Case(
        "groups_computed_and_skipped",
        "GeorgeSeif/Semantic-Segmentation-Suite#131",
        "TS107",
        lambda: resnext(False),
        lambda: resnext(True),
        ((2, 3, 16, 16),),
    ),
    Case(
        "every_round_from_the_input",
        "taki0112/ResNeXt-Tensorflow#1",
        "TS107",
        lambda: resnext_tf(False),
        lambda: resnext_tf(True),
        ((2, 3, 16, 16),),
    ),
    Case(
        "projection_overwritten_one_level_below",
        "ucbdrive/dla#21",
        "TS107",
        lambda: ucb(False),
        lambda: ucb(True),
        ((2, 3, 32, 32),),
    ),
)
