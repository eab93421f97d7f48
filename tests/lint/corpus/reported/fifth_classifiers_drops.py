"""A fifth set, by reports alone: classifiers, stochastic depth."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..case import Case, conv
from .fifth_classifiers_parts import DropPath, cb, cbr, head


class MBConv(nn.Module):
    """pytorch/ignite#2072"""

    def __init__(self, i, o, expand, k, s, skip, rate=0.2, mended=False) -> None:
        super().__init__()
        e = i * expand
        self.expand_conv = cbr(i, e, 1) if expand != 1 else nn.Identity()
        self.depthwise_conv = cbr(e, e, k, s, e)
        self.squeeze = nn.Conv2d(e, max(1, i // 4), 1)
        self.expand = nn.Conv2d(max(1, i // 4), e, 1)
        self.project_conv = cb(e, o, 1)
        self.with_skip = skip and s == 1 and i == o
        self.drop_connect_rate = torch.tensor(rate, requires_grad=False)
        self.mended = mended

    def _drop_connect(self, x):
        keep = 1.0 - self.drop_connect_rate
        drop_mask = torch.rand(x.shape[0], 1, 1, 1) + keep
        drop_mask = drop_mask.type_as(x)
        drop_mask.floor_()
        return drop_mask * x / keep

    def forward(self, inputs: Tensor) -> Tensor:
        x = self.depthwise_conv(self.expand_conv(inputs))
        s = F.adaptive_avg_pool2d(x, 1)
        s = torch.sigmoid(self.expand(F.silu(self.squeeze(s))))
        x = s * x
        x = self.project_conv(x)
        if self.with_skip:
            if self.training and self.drop_connect_rate is not None:
                if self.mended:
                    x = self._drop_connect(x)
                else:
                    self._drop_connect(x)
            x = x + inputs
        return x


def mbnet(mended):
    spec = ((8, 8, 1, 3, 1), (8, 16, 2, 3, 2), (16, 16, 2, 5, 1), (16, 16, 2, 5, 1))
    return nn.Sequential(
        cbr(3, 8, 3, 2), *(MBConv(*row, True, mended=mended) for row in spec), *head(16)
    )


class RdnetDense(nn.Module):
    """naver-ai/rdnet#5"""

    def __init__(self, c, growth, drop_path, mended) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(c, c, 7, padding=3, groups=c),
            nn.GroupNorm(1, c),
            nn.Conv2d(c, 2 * growth, 1),
            nn.GELU(),
            nn.Conv2d(2 * growth, growth, 1),
        )
        self.gamma = nn.Parameter(1e-6 * torch.ones(growth))
        self.drop_path = DropPath(drop_path) if drop_path > 0.0 else nn.Identity()
        self.mended = mended

    def forward(self, x: Tensor) -> Tensor:
        if isinstance(x, list):
            x = torch.cat(x, 1)
        x = self.layers(x)
        x = x.mul(self.gamma.reshape(1, -1, 1, 1))
        return self.drop_path(x) if self.mended else x


class RdnetStage(nn.Module):
    def __init__(self, n, c, growth, rate, mended) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            RdnetDense(c + i * growth, growth, rate, mended) for i in range(n)
        )

    def forward(self, x: Tensor) -> Tensor:
        features = [x]
        for block in self.blocks:
            features.append(block(features))
        return torch.cat(features, 1)


def rdnet(mended):
    return nn.Sequential(
        nn.Conv2d(3, 12, 4, 4),
        RdnetStage(3, 12, 4, 0.15, mended),
        nn.Conv2d(24, 16, 2, 2),
        RdnetStage(3, 16, 4, 0.15, mended),
        *head(28),
    )


class ShakeDropFunction(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, alpha, beta, bl):
        ctx.save_for_backward(x, alpha, beta, bl)
        return (bl + alpha - bl * alpha) * x

    @staticmethod
    def backward(ctx, grad):
        _x, _alpha, beta, bl = ctx.saved_tensors
        return grad * (bl + beta - bl * beta), None, None, None


class ShakeDropBlock(nn.Module):
    """automl/Auto-PyTorch#283"""

    def __init__(self, c, index, total, mended) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.BatchNorm2d(c),
            nn.ReLU(),
            conv(c, c),
            nn.BatchNorm2d(c),
            nn.ReLU(),
            conv(c, c),
            nn.BatchNorm2d(c),
        )
        self.pl = 1 - (index + 1) / total * 0.5
        self.mended = mended

    def get_bl(self):
        fixed = self.training if not self.mended else not self.training
        if fixed:
            return torch.tensor(self.pl)
        return torch.tensor(1.0) if torch.rand(1) <= self.pl else torch.tensor(0.0)

    def get_alpha_beta(self):
        if not self.training:
            return torch.tensor([0.0]), torch.tensor([0.0])
        return torch.rand(1) * 2 - 1, torch.rand(1)

    def forward(self, x: Tensor) -> Tensor:
        residual = x
        x = self.layers(x)
        alpha, beta = self.get_alpha_beta()
        x = ShakeDropFunction.apply(x, alpha, beta, self.get_bl())
        return x + residual


def shakedrop(mended):
    return nn.Sequential(conv(3, 8), *(ShakeDropBlock(8, i, 3, mended) for i in range(3)), *head(8))


class RexBottleneck(nn.Module):
    """huggingface/pytorch-image-models pull request 685"""

    def __init__(self, i, o, s, expand, rate, mended) -> None:
        super().__init__()
        self.use_shortcut = s == 1 and i <= o
        self.in_channels = i
        e = i * expand
        self.conv_exp = cbr(i, e, 1)
        self.conv_dw = cb(e, e, 3, s, e)
        self.act_dw = nn.ReLU6()
        self.conv_pwl = cb(e, o, 1)
        self.drop_path = DropPath(rate)
        self.mended = mended

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x
        x = self.act_dw(self.conv_dw(self.conv_exp(x)))
        x = self.conv_pwl(x)
        if not self.mended or self.use_shortcut:
            x = self.drop_path(x)
        if self.use_shortcut:
            x = torch.cat([x[:, 0 : self.in_channels] + shortcut, x[:, self.in_channels :]], dim=1)
        return x


def rexnet(mended):
    spec = ((8, 12, 1), (12, 16, 2), (16, 20, 1), (20, 24, 2))
    return nn.Sequential(
        cbr(3, 8, 3, 2), *(RexBottleneck(i, o, s, 2, 0.1, mended) for i, o, s in spec), *head(24)
    )


class WideUnit(nn.Module):
    """hypnopump/keras-wrn pull request 2"""

    def __init__(self, i, o, stride, rate, mended) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(i)
        self.conv1 = nn.Conv2d(i, o, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(o)
        self.conv2 = nn.Conv2d(o, o, 3, 1, 1, bias=False)
        self.short = nn.Conv2d(i, o, 1, stride, bias=False) if i != o or stride != 1 else None
        self.rate = rate
        self.mended = mended

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.bn1(x)) if self.short is not None else x
        x_res = self.conv1(x if self.short is not None else F.relu(self.bn1(x)))
        x_res = F.relu(self.bn2(x_res))
        if self.rate and self.short is None:
            x_res = F.dropout(x_res if self.mended else x, self.rate, self.training)
        x_res = self.conv2(x_res)
        x = x if self.short is None else self.short(x)
        return x + x_res


def wide(mended):
    return nn.Sequential(
        conv(3, 8),
        WideUnit(8, 16, 1, 0.3, mended),
        WideUnit(16, 16, 1, 0.3, mended),
        WideUnit(16, 16, 1, 0.3, mended),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        *head(16),
    )


class WideBasic(nn.Module):
    """pytorch/pytorch#26338"""

    def __init__(self, c, mended) -> None:
        super().__init__()
        self.bn1, self.conv1 = nn.BatchNorm2d(c), conv(c, c)
        self.bn2, self.conv2 = nn.BatchNorm2d(c), conv(c, c)
        self.mended = mended

    def forward(self, x: Tensor) -> Tensor:
        out = self.conv1(F.relu(self.bn1(x)))
        out = F.dropout(out, 0.3, training=self.training or not self.mended)
        return x + self.conv2(F.relu(self.bn2(out)))


CASES: tuple[Case, ...] = (
    Case(
        "drop_connect_thrown_away",
        "pytorch/ignite#2072",
        "TS111",
        lambda: mbnet(False),
        lambda: mbnet(True),
        ((4, 3, 32, 32),),
    ),
    Case(
        "drop_path_built_and_not_applied",
        "naver-ai/rdnet#5",
        "TS111",
        lambda: rdnet(False),
        lambda: rdnet(True),
        ((4, 3, 32, 32),),
    ),
    Case(
        "shake_drop_conditions_exchanged",
        "automl/Auto-PyTorch#283",
        "TS111",
        lambda: shakedrop(False),
        lambda: shakedrop(True),
        ((4, 3, 16, 16),),
    ),
    Case(
        "stochastic_depth_without_a_shortcut",
        "huggingface/pytorch-image-models PR 685",
        "TS111",
        lambda: rexnet(False),
        lambda: rexnet(True),
        ((4, 3, 32, 32),),
    ),
    Case(
        "dropout_of_the_wrong_value",
        "hypnopump/keras-wrn PR 2",
        "TS107",
        lambda: wide(False),
        lambda: wide(True),
        ((2, 3, 16, 16),),
    ),
    Case(
        "functional_dropout_stays_on",
        "pytorch/pytorch#26338",
        "TS111",
        lambda: nn.Sequential(conv(3, 8), WideBasic(8, False), WideBasic(8, False), *head(8)),
        lambda: nn.Sequential(conv(3, 8), WideBasic(8, True), WideBasic(8, True), *head(8)),
        ((2, 3, 16, 16),),
    ),
)
