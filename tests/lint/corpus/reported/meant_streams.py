"""Correct designs on sequences that look like faults: no rule may call them errors."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..case import Clean
from .sums import TOKENS, Attention

SERIES = ((2, 4, 24),)


class DropPath(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return x
        mask = torch.rand((x.shape[0],) + (1,) * (x.ndim - 1), device=x.device) < 0.8
        return x * mask / 0.8


class OneDropPath(nn.Module):
    """The module holds no weights and draws anew at every call: two uses are fine."""

    def __init__(self) -> None:
        super().__init__()
        self.attn, self.norm1, self.norm2 = Attention(), nn.LayerNorm(8), nn.LayerNorm(8)
        self.mlp, self.drop_path1 = nn.Sequential(nn.Linear(8, 8), nn.GELU()), DropPath()

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.drop_path1(self.attn(self.norm1(x)))
        return x + self.drop_path1(self.mlp(self.norm2(x)))


class LayerDrop(nn.Module):
    """QANet: one coin for the batch decides whether a layer runs at all."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            nn.Sequential(nn.LayerNorm(8), nn.Linear(8, 8)) for _ in range(3)
        )

    def forward(self, x: Tensor) -> Tensor:
        for i, layer in enumerate(self.layers):
            if self.training and torch.rand(()).item() < 0.1 * i:
                continue
            x = x + F.gelu(layer(x))
        return x


class AdaLNZero(nn.Module):
    """Every gate comes from a layer that starts at zero."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.attn, self.mod = (
            nn.LayerNorm(8, elementwise_affine=False),
            Attention(),
            nn.Linear(8, 24),
        )
        nn.init.zeros_(self.mod.weight)
        nn.init.zeros_(self.mod.bias)

    def forward(self, x: Tensor, c: Tensor) -> Tensor:
        shift, scale, gate = self.mod(F.silu(c))[:, None].chunk(3, -1)
        return x + gate * self.attn(self.norm(x) * (1 + scale) + shift)


class AlphaGate(nn.Module):
    """A gate with zero weights and a bias of -2: a tenth of the branch at first."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.gate = nn.Linear(8, 8), nn.Linear(8, 8)
        nn.init.zeros_(self.gate.weight)
        nn.init.constant_(self.gate.bias, -2.0)

    def forward(self, x: Tensor, s: Tensor) -> Tensor:
        return x + torch.sigmoid(self.gate(s))[:, None] * self.body(x)


class SwinUNet(nn.Module):
    """Skips are kept before each stage; merging and expanding change the tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.ModuleList([nn.Linear(8, 8), nn.Linear(16, 16)])
        self.merge = nn.ModuleList([nn.Linear(16, 16, bias=False), nn.Linear(32, 32, bias=False)])
        self.expand = nn.ModuleList([nn.Linear(32, 32), nn.Linear(16, 16)])
        self.back = nn.ModuleList([nn.Linear(32, 16), nn.Linear(16, 8)])

    def forward(self, x: Tensor) -> Tensor:
        kept = []
        for layer, merge in zip(self.down, self.merge, strict=True):
            kept.append(x)
            x = x + F.gelu(layer(x))
            b, n, c = x.shape
            x = merge(x.reshape(b, n // 2, 2 * c))
        for expand, back in zip(self.expand, self.back, strict=True):
            b, n, c = x.shape
            x = expand(x).reshape(b, 2 * n, c // 2)
            x = back(torch.cat([x, kept.pop()], -1))
        return x


class Radiance(nn.Module):
    """The coordinates are concatenated again half-way."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(14 if i == 2 else 8 if i else 6, 8) for i in range(4))
        self.head = nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        h = x
        for i, layer in enumerate(self.layers):
            h = torch.cat([x, h], -1) if i == 2 else h
            h = F.relu(layer(h))
        return self.head(h)


class Albert(nn.Module):
    """One block, applied four times."""

    def __init__(self) -> None:
        super().__init__()
        self.attn, self.norm, self.ff = Attention(), nn.LayerNorm(8), nn.Linear(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        for _ in range(4):
            x = self.norm(x + self.attn(x))
            x = x + F.gelu(self.ff(x))
        return x


class Equilibrium(nn.Module):
    """A fixed point is sought: the input enters every round."""

    def __init__(self) -> None:
        super().__init__()
        self.inject, self.cell, self.norm = nn.Linear(8, 8), nn.Linear(8, 8), nn.LayerNorm(8)

    def forward(self, x: Tensor) -> Tensor:
        u = self.inject(x)
        z = torch.zeros_like(u)
        for _ in range(4):
            z = self.norm(torch.tanh(self.cell(z)) + u)
        return z


class IterativeFlow(nn.Module):
    """RAFT: the estimate is detached between the rounds, and every round is an output."""

    def __init__(self) -> None:
        super().__init__()
        self.context, self.cell = nn.Linear(8, 8), nn.GRUCell(10, 8)
        self.delta = nn.Linear(8, 2)

    def forward(self, x: Tensor) -> list[Tensor]:
        inputs = torch.relu(self.context(x))
        hidden = torch.tanh(self.context(x))
        coords, steps = x.new_zeros(x.shape[0], 2), []
        for _ in range(3):
            coords = coords.detach()
            hidden = self.cell(torch.cat([inputs, coords], -1), hidden)
            coords = coords + self.delta(hidden)
            steps.append(coords)
        return steps


class GatedResidual(nn.Module):
    """Temporal fusion transformer: a GLU before the sum, the normalisation after it."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.glu = nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(8, 16)
        self.norm = nn.LayerNorm(8)

    def forward(self, x: Tensor) -> Tensor:
        h = self.b(F.elu(self.a(x)))
        return self.norm(x + F.glu(self.glu(h), -1))


class Parallel(nn.Module):
    """GPT-J: attention and feed-forward from one normalisation, added together."""

    def __init__(self) -> None:
        super().__init__()
        self.ln, self.attn, self.mlp = nn.LayerNorm(8), Attention(), nn.Linear(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        h = self.ln(x)
        return x + self.attn(h) + F.gelu(self.mlp(h))


class MixtureOfDepths(nn.Module):
    """Only the chosen tokens pass the block; the others keep their value."""

    def __init__(self) -> None:
        super().__init__()
        self.router, self.body = nn.Linear(8, 1), nn.Linear(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        weight, index = self.router(x).squeeze(-1).topk(3, dim=1)
        index = index[..., None].expand(-1, -1, x.shape[2])
        chosen = x.gather(1, index)
        update = self.body(chosen) * torch.sigmoid(weight)[..., None]
        return x.scatter_add(1, index, update)


class MonteCarlo(nn.Module):
    """Dropout that stays on in evaluation, for uncertainty."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(8, 8) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = x + F.dropout(F.relu(layer(x)), 0.3, training=True)
        return x


class Wave(nn.Module):
    """Causal layers with skips; the last layer's residual has no reader."""

    def __init__(self) -> None:
        super().__init__()
        self.front = nn.Conv1d(4, 4, 1)
        self.gates = nn.ModuleList(nn.Conv1d(4, 8, 2, dilation=2**i) for i in range(3))
        self.res, self.skip = (nn.ModuleList(nn.Conv1d(4, 4, 1) for _ in range(3)) for _ in "rs")
        self.out = nn.Conv1d(4, 6, 1)

    def forward(self, x: Tensor) -> Tensor:
        x, total = self.front(x), 0
        for i, (gate, res, skip) in enumerate(zip(self.gates, self.res, self.skip, strict=True)):
            a, b = gate(F.pad(x, (2**i, 0))).chunk(2, 1)
            z = torch.tanh(a) * torch.sigmoid(b)
            total = total + skip(z)
            x = x + res(z)
        return self.out(F.relu(total))  # type: ignore[arg-type]


class TwoStacks(nn.Module):
    """Gated PixelCNN in 1-D: one stack feeds the other, each with its residual."""

    def __init__(self) -> None:
        super().__init__()
        self.v, self.h, self.v2h = nn.Conv1d(4, 8, 3), nn.Conv1d(4, 8, 2), nn.Conv1d(8, 8, 1)
        self.h_out = nn.Conv1d(4, 4, 1)

    def forward(self, v: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        both = self.v(F.pad(v, (2, 0)))
        row = self.h(F.pad(h, (1, 0))) + self.v2h(both)
        a, b = row.chunk(2, 1)
        c, d = both.chunk(2, 1)
        return torch.tanh(c) * torch.sigmoid(d), h + self.h_out(torch.tanh(a) * torch.sigmoid(b))


CLEAN = (
    Clean("one-drop-path", "LibreYOLO/libreyolo pull request 422", OneDropPath, TOKENS),
    Clean("layer-drop", "localminimum/QANet#56", LayerDrop, TOKENS),
    Clean("adaln-zero", "Peebles & Xie, 2023", AdaLNZero, ((2, 6, 8), (2, 8))),
    Clean(
        "alpha-gate",
        "lucidrains/alphafold3-pytorch pull request 303",
        AlphaGate,
        ((2, 6, 8), (2, 8)),
    ),
    Clean("swin-unet", "HuCaoFighting/Swin-Unet#29", SwinUNet, ((2, 8, 8),)),
    Clean("radiance", "google/nerfactor#27", Radiance, ((5, 6),)),
    Clean("albert", "Lan et al., 2020", Albert, TOKENS),
    Clean("equilibrium", "Bai et al., 2019", Equilibrium, TOKENS),
    Clean("iterative-flow", "Teed & Deng, 2020", IterativeFlow, ((3, 8),)),
    Clean("gated-residual", "Lim et al., 2021", GatedResidual, TOKENS),
    Clean("parallel", "GPT-J", Parallel, TOKENS),
    Clean("mixture-of-depths", "Raposo et al., 2024", MixtureOfDepths, TOKENS),
    Clean("monte-carlo", "BogiHsu/Tacotron2-PyTorch#8", MonteCarlo, TOKENS),
    Clean("wave", "van den Oord et al., 2016", Wave, SERIES),
    Clean("two-stacks", "van den Oord et al., 2016b", TwoStacks, (SERIES[0], SERIES[0])),
)
