"""The fourth set: designs that look like faults and are meant."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..case import Clean, conv
from .fourth_series import CROSS, SERIES, TOKENS
from .fourth_tokens import Attention, mlp


class NormReluInplace(nn.Module):
    """Pre-activation whose ReLU in place overwrites only the normalisation's result."""

    def __init__(self) -> None:
        super().__init__()
        self.bn, self.conv = nn.BatchNorm2d(4), conv(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv(F.relu_(self.bn(x)))


class Highway(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.h, self.t = nn.Linear(4, 4), nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        t = torch.sigmoid(self.t(x))
        return t * F.relu(self.h(x)) + (1 - t) * x


class Siamese(nn.Module):
    """SimSiam: the target is detached beside the prediction."""

    def __init__(self) -> None:
        super().__init__()
        self.enc, self.pred = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4)), mlp()

    def forward(self, x: Tensor, y: Tensor) -> tuple[Tensor, ...]:
        a, b = self.enc(x), self.enc(y)
        return self.pred(a), self.pred(b), a.detach(), b.detach()


class StraightThrough(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.enc, self.dec = conv(4, 4), conv(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        z = self.enc(x)
        return self.dec(z + (z.round() - z).detach())


class Recurrent(nn.Module):
    """R2U-Net: one convolution, fed its own result and its input."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.point = nn.Sequential(conv(4, 4), nn.BatchNorm2d(4), nn.ReLU()), conv(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.point(x)
        y = self.conv(x)
        for _ in range(2):
            y = self.conv(x + y)
        return x + y


class ShakeShake(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = conv(4, 4), conv(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        w = torch.rand_like(x[:, :1, :1, :1]) if self.training else 0.5
        return x + w * self.a(F.relu(x)) + (1 - w) * self.b(F.relu(x))


class BiFusion(nn.Module):
    """BiFPN: normalised positive weights."""

    def __init__(self) -> None:
        super().__init__()
        self.w, self.down, self.out = nn.Parameter(torch.ones(2)), conv(4, 4), conv(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        w = F.relu(self.w)
        w = w / (w.sum() + 1e-4)
        y = F.interpolate(self.down(F.max_pool2d(x, 2)), size=x.shape[-2:])
        return self.out(F.silu(w[0] * x + w[1] * y))


class Albert(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.n, self.m, self.attn, self.ff = nn.LayerNorm(4), nn.LayerNorm(4), Attention(), mlp()

    def forward(self, x: Tensor) -> Tensor:
        for _ in range(3):
            x = self.n(x + self.attn(x))
            x = self.m(x + self.ff(x))
        return x


class Sandwich(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norms = nn.ModuleList([nn.LayerNorm(4) for _ in range(4)])
        self.attn, self.ff = Attention(), mlp()

    def forward(self, x: Tensor) -> Tensor:
        a, b, c, d = self.norms
        x = x + b(self.attn(a(x)))
        return x + d(self.ff(c(x)))


class Reversible(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.f, self.g = conv(2, 2), conv(2, 2)

    def forward(self, x: Tensor) -> Tensor:
        a, b = x.chunk(2, 1)
        a = a + self.f(F.relu(b))
        b = b + self.g(F.relu(a))
        return torch.cat([a, b], 1)


class TimeBlock(nn.Module):
    """A diffusion block: the time's embedding is stretched over the image on purpose."""

    def __init__(self) -> None:
        super().__init__()
        self.c1, self.c2, self.t = conv(4, 4), conv(4, 4), nn.Linear(4, 4)

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        h = self.c1(F.silu(x)) + self.t(F.silu(t))[:, :, None, None]
        return x + self.c2(F.silu(h))


class Denoiser(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(conv(4, 8), nn.ReLU(True), conv(8, 8), nn.ReLU(True), conv(8, 4))

    def forward(self, x: Tensor) -> Tensor:
        return x - self.net(x)


class Parallel(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm, self.attn, self.ff = nn.LayerNorm(4), Attention(), mlp()

    def forward(self, x: Tensor) -> Tensor:
        n = self.norm(x)
        return x + self.attn(n) + self.ff(n)


class ResidualLstm(nn.Module):
    """GNMT: the residuals begin at the second layer."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.LSTM(4, 4, batch_first=True) for _ in range(3)])

    def forward(self, x: Tensor) -> Tensor:
        for i, layer in enumerate(self.layers):
            y = layer(x)[0]
            x = x + y if i >= 1 else y
        return x


class WaveNet(nn.Module):
    """The last residual is of no use; every skip is summed."""

    def __init__(self) -> None:
        super().__init__()
        self.gates = nn.ModuleList([nn.Conv1d(4, 8, 3, padding=1) for _ in range(3)])
        self.mix = nn.ModuleList([nn.Conv1d(4, 8, 1) for _ in range(3)])

    def forward(self, x: Tensor) -> Tensor:
        total = 0
        for gate, mix in zip(self.gates, self.mix, strict=True):
            a, b = gate(x).chunk(2, 1)
            res, skip = mix(a.tanh() * b.sigmoid()).chunk(2, 1)
            x, total = (x + res) * 0.5**0.5, total + skip
        return F.relu(total)


class Auxiliary(nn.Module):
    """Deep supervision: the side heads run in training alone."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.side, self.head = conv(4, 4), conv(4, 4), conv(4, 2, 1), conv(4, 2, 1)

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        x = x + self.a(x)
        side = self.side(x) if self.training else None
        out = self.head(x + self.b(x))
        return out if side is None else (out, side)


class ProjectedBehind(nn.Module):
    """One half of a block, and a projection that widens nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.n, self.m, self.attn = nn.LayerNorm(4), nn.LayerNorm(4), Attention()
        self.head = nn.Sequential(nn.Linear(4, 4), nn.GELU(), nn.Linear(4, 4))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.n(x))
        return self.head(self.m(x))


class AttentionHalf(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm, self.attn = nn.LayerNorm(4), Attention()

    def forward(self, x: Tensor) -> Tensor:
        return x + self.attn(self.norm(x))


class NormedBehind(nn.Module):
    """Every half of a block is a module of its own, and the last norm follows."""

    def __init__(self) -> None:
        super().__init__()
        self.halves = nn.Sequential(AttentionHalf(), AttentionHalf(), nn.LayerNorm(4))

    def forward(self, x: Tensor) -> Tensor:
        return self.halves(x)


class StridedFlag(nn.Module):
    """The flag is set for every block; this one has nothing to add."""

    def __init__(self) -> None:
        super().__init__()
        self.use_residual, self.conv = True, nn.Conv2d(4, 4, 3, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.conv(x))
        return x + y if self.use_residual and x.shape == y.shape else y


class Brightened(nn.Module):
    """An input is scaled before the first layer."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = conv(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = x + 0.1 * x
        return x + self.conv(x)


class AttendedBlock(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm, self.attn = nn.LayerNorm(4), Attention()

    def forward(self, x: Tensor) -> Tensor:
        return x + self.attn(self.norm(x))


class BetweenBlocks(nn.Sequential):
    """An attention of its own, as a change of stage, between blocks that add for themselves."""

    def __init__(self) -> None:
        super().__init__(AttendedBlock(), Attention(), AttendedBlock())


IMAGE_TIME = ((2, 4, 16, 16), (2, 4))
CLEAN = (
    Clean("norm-relu-inplace", "relu_ of a normalisation", NormReluInplace),
    Clean("highway-4", "a gate and its complement", Highway, TOKENS),
    Clean("siamese-4", "detached targets", Siamese, CROSS),
    Clean("straight-through-4", "a detached difference", StraightThrough),
    Clean("recurrent-conv", "one layer in a loop", Recurrent),
    Clean("shake-shake-4", "random weights of the branches", ShakeShake),
    Clean("bi-fusion-4", "normalised fusion weights", BiFusion),
    Clean("albert-4", "one layer for every depth", Albert, TOKENS),
    Clean("sandwich-4", "norms on both sides of the branch", Sandwich, TOKENS),
    Clean("reversible-4", "coupled halves", Reversible),
    Clean("time-block", "an embedding over the image", TimeBlock, IMAGE_TIME),
    Clean("denoiser", "x - f(x)", Denoiser),
    Clean("parallel-4", "one norm for two branches", Parallel, TOKENS),
    Clean("residual-lstm", "no residual at the first layer", ResidualLstm, TOKENS),
    Clean("wavenet-4", "last residual unused", WaveNet, SERIES),
    Clean("projected-behind", "a head behind half a block", ProjectedBehind, TOKENS),
    Clean("normed-behind", "a norm behind the block", NormedBehind, TOKENS),
    Clean("strided-flag", "a flag where shapes differ", StridedFlag),
    Clean("brightened", "an input that is scaled", Brightened),
    Clean("auxiliary-4", "heads in training alone", Auxiliary),
    Clean("between-blocks", "attention between blocks, not halves", BetweenBlocks, TOKENS),
)
