"""One module in several places, and weights that no optimizer knows."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..case import Case, conv
from .sums import TOKENS, Attention, blocks, both

SERIES = ((2, 4, 24),)


class Residual(nn.Module):
    def __init__(self, width: int = 4) -> None:
        super().__init__()
        self.block = nn.Sequential(
            nn.ReLU(), conv(width, 8, bias=False), nn.ReLU(), nn.Conv2d(8, width, 1, bias=False)
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.block(x)


class ResidualStack(nn.Module):
    """`[Residual()] * n` in a module list that is walked by index."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        layers = [Residual() for _ in range(3)] if mended else [Residual()] * 3
        self.layers = nn.ModuleList(layers)

    def forward(self, x: Tensor) -> Tensor:
        for i in range(len(self.layers)):
            x = self.layers[i](x)
        return F.relu(x)


class MedusaBlock(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        return x + F.silu(self.linear(x))


class Medusa(nn.Module):
    """Several prediction heads, each a list of the one residual block."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.body, one = nn.Linear(8, 8), MedusaBlock()
        self.heads = nn.ModuleList(
            nn.Sequential(MedusaBlock() if mended else one, nn.Linear(8, 5)) for _ in range(3)
        )

    def forward(self, x: Tensor) -> Tensor:
        hidden = torch.tanh(self.body(x))
        return torch.stack([head(hidden) for head in self.heads], 0)


class TransformerLayer(nn.Module):
    def __init__(self, attn: nn.Module, ff: nn.Module) -> None:
        super().__init__()
        self.attn, self.ff = attn, ff
        self.norm1, self.norm2 = nn.LayerNorm(8), nn.LayerNorm(8)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.norm1(x))
        return x + self.ff(self.norm2(x))


def feed_forward() -> nn.Module:
    return nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 8))


class EncodecEncoder(nn.Module):
    """The feed-forward layer is made once, outside the list of the layers."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        one = feed_forward()
        self.layers = nn.ModuleList(
            TransformerLayer(Attention(), feed_forward() if mended else one) for _ in range(3)
        )

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = layer(x)
        return x


class DiTLayer(nn.Module):
    """The second half calls the attention again, and never the MLP."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.att_norm = nn.LayerNorm(8, elementwise_affine=False)
        self.ff_norm = nn.LayerNorm(8, elementwise_affine=False)
        self.attn_block, self.mlp_block = Attention(), feed_forward()
        self.adaptive, self.mended = nn.Linear(8, 48), mended

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        a_shift, a_scale, a_gate, m_shift, m_scale, m_gate = self.adaptive(condition).chunk(6, 1)
        out = x
        h = self.att_norm(out) * (1 + a_scale.unsqueeze(1)) + a_shift.unsqueeze(1)
        out = out + a_gate.unsqueeze(1) * self.attn_block(h)
        h = self.ff_norm(out) * (1 + m_scale.unsqueeze(1)) + m_shift.unsqueeze(1)
        second = self.mlp_block if self.mended else self.attn_block
        return out + m_gate.unsqueeze(1) * second(h)


class MeshFlow(nn.Module):
    """Three normalisations are built, and the first serves all three layers."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.conv1, self.conv2, self.conv3 = (nn.Conv1d(4, 4, 1) for _ in range(3))
        self.norm1, self.norm2, self.norm3 = (nn.BatchNorm1d(4) for _ in range(3))
        self.mended = mended

    def forward(self, x: Tensor) -> Tensor:
        h = F.relu(self.norm1(self.conv1(x)))
        h = F.relu((self.norm2 if self.mended else self.norm1)(self.conv2(h)))
        h = (self.norm3 if self.mended else self.norm1)(self.conv3(h))
        return torch.tanh(h + x)


class Downscale(nn.Module):
    """Blocks written out one after the other, with one convolution for all of them."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.conv1, self.conv2, self.bn2 = conv(4, 8), conv(8, 8), nn.BatchNorm2d(8)
        self.conv3, self.bn3 = (conv(8, 8), nn.BatchNorm2d(8)) if mended else (None, None)
        self.out = conv(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.conv1(x))
        y = F.relu(self.bn2(self.conv2(x)))
        if self.conv3 is not None and self.bn3 is not None:
            y = self.bn3(self.conv3(y))
        else:
            y = self.bn2(self.conv2(y))
        return self.out(x + y)


class AmpBlock(nn.Module):
    """The slopes of a periodic activation are parameters in a plain list."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.convs = nn.ModuleList(nn.Conv1d(4, 4, 3, padding=d, dilation=d) for d in (1, 3, 5))
        alphas = [nn.Parameter(torch.ones(1, 4, 1)) for _ in self.convs]
        self.alpha1 = nn.ParameterList(alphas) if mended else alphas

    def forward(self, x: Tensor) -> Tensor:
        for c, alpha in zip(self.convs, self.alpha1, strict=True):
            x = x + c(x + (1.0 / alpha) * torch.sin(alpha * x) ** 2)
        return x


class Dice(nn.Module):
    """The learnt part of an activation is a plain tensor."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.fc, self.bn = nn.Linear(8, 8), nn.BatchNorm1d(6)
        alpha = torch.full((8,), 0.25)
        self.alpha = nn.Parameter(alpha) if mended else alpha

    def forward(self, x: Tensor) -> Tensor:
        h = self.fc(x)
        p = torch.sigmoid(self.bn(h))
        return x + p * h + (1 - p) * self.alpha * h


class MovedGamma(nn.Module):
    """`nn.Parameter(...)` times a number, or on another device, is no parameter any more."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.dw, self.pw = conv(4, 4, 7, groups=4), nn.Conv2d(4, 4, 1)
        if mended:
            self.gamma = nn.Parameter(1e-2 * torch.ones(4))
        else:
            self.gamma = nn.Parameter(torch.ones(4), requires_grad=True) * 1e-2  # type: ignore

    def forward(self, x: Tensor) -> Tensor:
        return x + self.gamma[:, None, None] * self.pw(F.gelu(self.dw(x)))


CASES = (
    Case("vq-stack", "zalandoresearch/pytorch-vq-vae#2", "TS203", *blocks(ResidualStack)),
    Case("medusa-heads", "linkedin/Liger-Kernel pull request 269", "TS203", *both(Medusa), TOKENS),
    Case("encodec-ff", "habla-liaa/encodecmae#3", "TS203", *both(EncodecEncoder), TOKENS),
    Case(
        "dit-attention-twice",
        "explainingai-code/DiT-PyTorch#1",
        "TS203",
        *both(DiTLayer),
        ((2, 6, 8), (2, 8)),
    ),
    Case("mesh-norms", "ethz-asl/3dsnet#2", "TS203", *both(MeshFlow), SERIES),
    Case("downscale-conv", "raspstephan/nwp-downscale#29", "TS203", *blocks(Downscale)),
    Case("bigvgan-alphas", "sh-lee-prml/BigVGAN#10", "TS207", *both(AmpBlock), SERIES),
    Case("dice-alpha", "shenweichen/DeepCTR-Torch#93", "TS207", *both(Dice), TOKENS),
    Case("moved-gamma", "pytorch/pytorch#20089", "TS207", *blocks(MovedGamma)),
)
