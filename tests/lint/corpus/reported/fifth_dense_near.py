"""What comes near the fifth set's faults and is none."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..case import Clean, conv
from .fifth_dense_generate import DropPath
from .fifth_dense_kin import STYLED, Conditioned, Laterals, TokenBranch, Tokens


class AdaptiveBlock(nn.Module):
    """AdaIN at the end of each layer; one linear layer makes the style of both."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = conv(8, 8), conv(8, 8)
        self.norm, self.style = nn.InstanceNorm2d(8), nn.Linear(4, 32)

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        a, b, c, d = self.style(t)[:, :, None, None].chunk(4, 1)
        y = F.relu(self.norm(self.a(x)) * a + b)
        return x + self.norm(self.b(y)) * c + d


class DenseDrop(nn.Module):
    """What is dropped is concatenated: the other half carries the sample on."""

    def __init__(self) -> None:
        super().__init__()
        self.grow, self.drop_path, self.fuse = conv(4, 4), DropPath(0.2), conv(8, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.fuse(torch.cat([x, self.drop_path(self.grow(x))], 1))


class PositionsFirst(nn.Module):
    """Tokens come before samples: one position for each of the six."""

    def __init__(self) -> None:
        super().__init__()
        self.pos, self.mlp = nn.Parameter(torch.zeros(6, 1, 8)), nn.Linear(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.pos
        return x + self.mlp(x)


class FirstFrameAgain(nn.Module):
    """A causal convolution over time: the first frame pads itself."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Conv1d(4, 4, 1), nn.Conv1d(4, 4, 3)

    def forward(self, x: Tensor) -> Tensor:
        y = self.a(x)
        first = y[:, :, :1]
        return self.b(torch.cat([first, first, y], 2)) + x


class FirstTokenAgain(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(4, 4), nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        y = self.a(x)
        first = y[:, :1]
        return self.b(torch.cat([first, first, y], 1))


class Peaks(nn.Module):
    """A detector's last step: places, which are whole numbers, beside their scores."""

    def __init__(self) -> None:
        super().__init__()
        self.heat = nn.Sequential(conv(4, 8), nn.ReLU(), conv(8, 3))

    def forward(self, x: Tensor) -> Tensor:
        heat = self.heat(x)
        score, index = heat.flatten(2).max(2, keepdim=True)
        mask = (score > 0).float()
        width = heat.shape[3]
        return torch.cat([(index % width) * mask, (index // width) * mask, score], 2)


class PlainAttention(nn.Module):
    def __init__(self, residual: bool = False) -> None:
        super().__init__()
        self.q, self.kv, self.residual = nn.Linear(8, 8), nn.Linear(8, 16), residual

    def forward(self, x: Tensor) -> Tensor:
        k, v = self.kv(x).chunk(2, -1)
        y = torch.softmax(self.q(x) @ k.mT, -1) @ v
        return x + y if self.residual else y


class TemporalBlock(nn.Module):
    """Stable Video Diffusion: the flag is the block's own, which its attention does not share."""

    def __init__(self) -> None:
        super().__init__()
        self.is_res = True
        self.norm, self.ff = nn.LayerNorm(8), nn.Linear(8, 8)
        self.norm1, self.attn = nn.LayerNorm(8), PlainAttention()

    def forward(self, x: Tensor) -> Tensor:
        y = self.ff(self.norm(x))
        x = x + y if self.is_res else y
        return x + self.attn(self.norm1(x))


class LabelAgain(nn.Module):
    """DiT in diffusers: the first block's table gives the last layer its condition too."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.label = nn.Linear(4, 8), nn.Embedding(10, 8)
        self.norm, self.mlp, self.head = nn.LayerNorm(8), nn.Linear(8, 8), nn.Linear(8, 4)

    def forward(self, x: Tensor, label: Tensor) -> Tensor:
        label = label.long().squeeze(1)
        x = self.embed(x)
        x = x + self.mlp(self.norm(x) * self.label(label)[:, None])
        return self.head(x * (1 + self.label(label)[:, None]))


CLEAN = (
    Clean("label-again", "DiT: one label looked up twice", LabelAgain, ((2, 5, 4), (2, 1))),
    Clean(
        "one-style-for-both",
        "AdaIN: vectors of one linear layer are conditions, no shortcut",
        lambda: Conditioned(AdaptiveBlock(), AdaptiveBlock()),
        STYLED,
    ),
    Clean(
        "caller-adds-the-drop",
        "the branch drops, its caller adds",
        lambda: Tokens([TokenBranch(False) for _ in range(3)], add=True),
        ((2, 5, 4),),
    ),
    Clean("dense-drop", "a dropped half of a concatenation", DenseDrop),
    Clean("positions-first", "sequence first: positions, no samples", PositionsFirst, ((6, 2, 8),)),
    Clean("first-frame-again", "CogVideoX: a border repeated", FirstFrameAgain, ((2, 4, 9),)),
    Clean("first-token-again", "DLinear: a border repeated", FirstTokenAgain, ((2, 9, 4),)),
    Clean("peaks-and-scores", "CenterNet: indices carry no stream", Peaks),
    Clean(
        "flag-of-the-block-itself",
        "the block adds, its attention is added by it",
        lambda: nn.Sequential(TemporalBlock(), TemporalBlock()),
        ((2, 5, 8),),
    ),
    Clean("idle-aux-heads", "auxiliary heads without a call", lambda: Laterals(True)),
)
