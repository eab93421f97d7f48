"""The second set on sequences: other wirings of the same faults."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..case import Case, Clean
from .sums import TOKENS, Attention, both

SERIES = ((2, 4, 24),)
PAIR = ((2, 6, 8), (2, 5, 8))


class FunctionalNorm(nn.Module):
    """The normalisation is a function, and takes the stream's name."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.a, self.b, self.mended = Attention(), nn.Linear(8, 8), mended

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.a(F.layer_norm(x, (8,)))
        if self.mended:
            return x + F.gelu(self.b(F.layer_norm(x, (8,))))
        x = F.layer_norm(x, (8,))
        return x + F.gelu(self.b(x))


class DenseUnit(nn.Module):
    """A tabular residual unit with its projection behind the layers."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.fc1, self.norm, self.fc2 = nn.Linear(8, 8), nn.LayerNorm(8), nn.Linear(8, 8)
        self.downsample, self.mended = nn.Sequential(nn.Linear(8, 8), nn.LayerNorm(8)), mended

    def forward(self, x: Tensor) -> Tensor:
        out = self.fc2(F.relu(self.norm(self.fc1(x))))
        if self.mended:
            return F.relu(out + self.downsample(x))
        return F.relu(self.downsample(out) + x)


class HeadsMemory(nn.Module):
    """Scaled dot-product attention over heads; the memory is added instead of the target."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.enc, self.dec, self.mended = nn.Linear(8, 8), nn.Linear(8, 8), mended
        self.q, self.k, self.v, self.o = (nn.Linear(8, 8) for _ in range(4))

    def heads(self, x: Tensor) -> Tensor:
        return x.view(x.shape[0], x.shape[1], 2, 4).transpose(1, 2)

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        m, x = self.enc(source).relu(), self.dec(target).relu()
        q, k, v = self.heads(self.q(x)), self.heads(self.k(m)), self.heads(self.v(m))
        y = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(x.shape)
        return (x if self.mended else m) + self.o(y)


class TorchDecoder(nn.Module):
    """torch's attention modules; the second has no residual."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.self_attn = nn.MultiheadAttention(8, 2, batch_first=True)
        self.cross_attn = nn.MultiheadAttention(8, 2, batch_first=True)
        self.ff, self.mended = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 8)), mended
        self.n1, self.n2, self.n3 = (nn.LayerNorm(8) for _ in range(3))

    def forward(self, x: Tensor, memory: Tensor) -> Tensor:
        h = self.n1(x)
        x = x + self.self_attn(h, h, h, need_weights=False)[0]
        h = self.cross_attn(self.n2(x), memory, memory, need_weights=False)[0]
        x = x + h if self.mended else h
        return x + self.ff(self.n3(x))


class Masker(nn.Module):
    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.proj, self.mended = nn.Conv1d(4, 4, 3, padding=1), mended

    def forward(self, x: Tensor) -> Tensor:
        if self.mended:
            x = x.clone()
        x[:, :, -3:] = 0
        return self.proj(x)


class MaskedNet(nn.Module):
    """A helper zeroes the end of its input, which the caller adds afterwards."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.front, self.masker = nn.Conv1d(4, 4, 3, padding=1), Masker(mended)

    def forward(self, x: Tensor) -> Tensor:
        h = self.front(x)
        return torch.tanh(self.masker(h)) + h


class FourierConcat(nn.Module):
    """Frequencies are made in float32 and concatenated to the stream."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.fc, self.mended = nn.Linear(8, 8), mended

    def forward(self, x: Tensor) -> Tensor:
        h = self.fc(x)
        freq = torch.linspace(1.0, 2.0, 8, device=h.device)
        wave = torch.sin(h * (freq.to(h.dtype) if self.mended else freq))
        return torch.cat([h, wave], -1)


class TemporalStack(nn.Module):
    """Six levels are built, and the loop stops at the third."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.levels = nn.ModuleList(nn.Conv1d(4, 4, 3, dilation=2**i) for i in range(4))
        self.mended = mended

    def forward(self, x: Tensor) -> Tensor:
        for i, level in enumerate(self.levels):
            x = x + torch.relu(level(F.pad(x, (2 * 2**i, 0))))
            if not self.mended and i == 1:
                break
        return x


class SwappedHalves(nn.Module):
    """The feed-forward runs in both halves, the attention in none."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.attention, self.norm1, self.norm2 = Attention(), nn.LayerNorm(8), nn.LayerNorm(8)
        self.feed, self.mended = (
            nn.Sequential(nn.Linear(8, 16), nn.GELU(), nn.Linear(16, 8)),
            mended,
        )

    def forward(self, x: Tensor) -> Tensor:
        first = self.attention if self.mended else self.feed
        x = self.norm1(x + first(x))
        return self.norm2(x + self.feed(x))


class CutRounds(nn.Module):
    """Each round adds to a detached stream: only the last block learns."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.rounds = nn.ModuleList(nn.Sequential(nn.Linear(8, 8), nn.Tanh()) for _ in range(3))
        self.mended = mended

    def forward(self, x: Tensor) -> Tensor:
        for block in self.rounds:
            x = (x if self.mended else x.detach()) + block(x)
        return x


class SeriesDrop(nn.Module):
    """A stochastic depth that draws one number per channel of a series."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.body, self.mended = nn.Conv1d(6, 6, 5, padding=2), mended

    def drop_path(self, y: Tensor) -> Tensor:
        if not self.training:
            return y
        rows = (y.shape[0], 1, 1) if self.mended else (1, y.shape[1], 1)
        return y * torch.empty(rows, device=y.device).bernoulli_(0.8) / 0.8

    def forward(self, x: Tensor) -> Tensor:
        return x + self.drop_path(self.body(x))


class SeriesCoder(nn.Module):
    """A strided convolution and its transpose, added to the signal of any length."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.down, self.up = nn.Conv1d(4, 8, 4, 2, 1), nn.ConvTranspose1d(8, 4, 4, 2, 1)
        self.mended = mended

    def forward(self, x: Tensor) -> Tensor:
        y = self.up(F.relu(self.down(x)))
        return x + (F.interpolate(y, x.shape[-1]) if self.mended else y)


class Relaxed(nn.Module):
    """A damped step: the two parts of the stream make one."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Linear(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        for _ in range(2):
            x = 0.7 * x + 0.3 * (x + torch.tanh(self.body(x)))
        return x


class NormedEmbedding(nn.Module):
    """BLOOM: the embedding is normalised once, and every half again."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.first = nn.Linear(8, 8), nn.LayerNorm(8)
        self.n1, self.n2, self.attn, self.ff = (
            nn.LayerNorm(8),
            nn.LayerNorm(8),
            Attention(),
            nn.Linear(8, 8),
        )

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(self.embed(x))
        x = x + self.attn(self.n1(x))
        return x + F.gelu(self.ff(self.n2(x)))


class TwoWay(nn.Module):
    """Segment Anything: both streams ask each other, each with its own residual."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(8, 8), nn.Linear(8, 8)
        self.to_b, self.to_a = (nn.MultiheadAttention(8, 2, batch_first=True) for _ in "ab")

    def forward(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        x, y = self.a(x), self.b(y)
        x = x + self.to_b(x, y, y, need_weights=False)[0]
        return x, y + self.to_a(y, x, x, need_weights=False)[0]


class Pooled(nn.Module):
    """Attention without a residual between two halves that have one: a pooling to other tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.pool, self.b = Attention(), nn.Linear(8, 4), nn.Linear(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.a(x)
        x = torch.softmax(self.pool(x), 1).transpose(1, 2) @ x
        return x + F.gelu(self.b(x))


class SharedTwice(nn.Module):
    """A siamese encoder runs on both inputs; a head of its width waits for another task."""

    def __init__(self) -> None:
        super().__init__()
        self.encode = nn.Sequential(nn.Linear(8, 8), nn.GELU(), nn.Linear(8, 8))
        self.predict = nn.Sequential(nn.Linear(8, 4), nn.GELU(), nn.Linear(4, 8))

    def forward(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        a, b = x + self.encode(x), y + self.encode(y)
        return self.predict(a), b.detach()


CASES = (
    Case(
        "functional-norm", "norm on the stream, functional", "TS202", *both(FunctionalNorm), TOKENS
    ),
    Case("dense-unit", "a projection behind the layers", "TS204", *both(DenseUnit), TOKENS),
    Case(
        "heads-memory",
        "the memory as the residual",
        "TS204",
        *both(HeadsMemory),
        (TOKENS[0], TOKENS[0]),
    ),
    Case("torch-decoder", "a cross-attention without residual", "TS201", *both(TorchDecoder), PAIR),
    Case("masked-net", "a helper that writes to its input", "TS104", *both(MaskedNet), SERIES),
    Case("fourier-concat", "float32 frequencies", "TS110", *both(FourierConcat), TOKENS),
    Case("temporal-stack", "a loop that stops half-way", "TS108", *both(TemporalStack), SERIES),
    Case("swapped-halves", "one layer in both halves", "TS203", *both(SwappedHalves), TOKENS),
    Case("cut-rounds", "a detached stream", "TS105", *both(CutRounds), TOKENS),
    Case("series-drop", "stochastic depth on channels", "TS111", *both(SeriesDrop), ((4, 6, 24),)),
    Case("series-coder", "odd lengths", "TS102", *both(SeriesCoder), SERIES),
)
CLEAN = (
    Clean("relaxed", "a damped fixed point", Relaxed, TOKENS),
    Clean("normed-embedding", "BLOOM", NormedEmbedding, TOKENS),
    Clean("two-way", "Segment Anything", TwoWay, PAIR),
    Clean("pooled", "attention pooling", Pooled, TOKENS),
    Clean("shared-twice", "SimSiam's halves", SharedTwice, (TOKENS[0], TOKENS[0])),
)
