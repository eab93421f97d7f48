"""Faults of what is read, kept and normalised: each beside its mended twin."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .case import Case, conv, net, pair

TOKENS = ((2, 5, 8),)


class InPlaceRMS(nn.Module):
    """`x.float()` is x itself when x is float32: the caller's residual is normalised too."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.weight, self.mended = nn.Parameter(torch.ones(8)), mended

    def forward(self, x: Tensor) -> Tensor:
        h = x.float()
        scale = torch.rsqrt(h.pow(2).mean(-1, keepdim=True) + 1e-6)
        h = h * scale if self.mended else h.mul_(scale)
        return h * self.weight


class Gated(nn.Module):
    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.norm = InPlaceRMS(mended)
        self.up, self.down = nn.Linear(8, 16), nn.Linear(16, 8)

    def forward(self, hidden: Tensor) -> Tensor:
        residual = hidden
        hidden = self.norm(hidden)
        return residual + self.down(F.silu(self.up(hidden)))


class InPlaceDropout(nn.Module):
    """Only in training is the shortcut overwritten."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.pre, self.conv = conv(4, 4), conv(4, 4)
        self.drop = nn.Dropout(0.3, inplace=not mended)

    def forward(self, x: Tensor) -> Tensor:
        x = self.pre(x)
        return x + self.conv(self.drop(x))


class Dueling(nn.Module):
    """(N, A) - (N,) fits a batch of A alone."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.hidden, self.value, self.gain = nn.Linear(8, 16), nn.Linear(16, 1), nn.Linear(16, 3)
        self.mended = mended

    def forward(self, x: Tensor) -> Tensor:
        h = F.relu(self.hidden(x))
        gain = self.gain(h)
        return self.value(h) + gain - gain.mean(1, keepdim=self.mended)


class Halves(nn.Module):
    """Pre-normalised halves; the second may normalise the stream, or add to the block's input."""

    def __init__(self, fault: str = "") -> None:
        super().__init__()
        self.fault = fault
        self.norm1, self.norm2 = nn.LayerNorm(8), nn.LayerNorm(8)
        self.mix = nn.Linear(8, 8)
        self.mlp = nn.Sequential(nn.Linear(8, 16), nn.GELU(), nn.Linear(16, 8))

    def forward(self, x: Tensor) -> Tensor:
        start = x
        x = x + self.mix(self.norm1(x))
        h = (self.norm1 if self.fault == "norm" else self.norm2)(x)
        base = {"stream": h, "start": start}.get(self.fault, x)
        return base + self.mlp(h)


def halves(fault: str):  # type: ignore[no-untyped-def]
    return lambda: nn.Sequential(nn.Linear(8, 8), Halves(fault), Halves(fault))


class Activated(nn.Module):
    """Normalised and activated before the split, in every block."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.bn, self.conv, self.mended = nn.BatchNorm2d(4), conv(4, 4), mended

    def forward(self, x: Tensor) -> Tensor:
        h = F.relu(self.bn(x))
        return self.conv(h) + (x if self.mended else h)


class OneNorm(nn.Module):
    """One normalisation for both arms of a sum."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.conv, self.project = conv(4, 4), conv(4, 4, 1)
        self.bn = nn.BatchNorm2d(4)
        self.other = nn.BatchNorm2d(4) if mended else None

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.bn(self.conv(x)) + (self.other or self.bn)(self.project(x)))


class Laterals(nn.Module):
    """`zip` stops before the last lateral layer."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.encoder = nn.ModuleList(conv(4, 4, stride=1 + (i > 0)) for i in range(3))
        self.lateral = nn.ModuleList(conv(4, 4, 1) for _ in range(count))

    def forward(self, x: Tensor) -> Tensor:
        features = []
        for layer in self.encoder:
            x = F.relu(layer(x))
            features.append(x)
        for layer, feature in zip(self.lateral, features[-2::-1], strict=False):
            x = F.interpolate(x, size=feature.shape[-2:]) + layer(feature)
        return x


class Level(nn.Module):
    """The last level of a decoder has nothing to enlarge."""

    def __init__(self, last: bool, mended: bool) -> None:
        super().__init__()
        self.body, self.flow, self.last = conv(4, 4), conv(4, 2), last
        if not (last and mended):
            self.enlarge = nn.ConvTranspose2d(4, 4, 2, 2)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        x = F.relu(self.body(x))
        return self.flow(x), None if self.last else self.enlarge(x)


class Levels(nn.Module):
    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.down = conv(4, 4, stride=2)
        self.coarse, self.fine = Level(False, mended), Level(True, mended)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        coarse, up = self.coarse(self.down(x))
        return coarse, self.fine(x + F.interpolate(up, size=x.shape[-2:]))[0]


class PlainList(nn.Module):
    def __init__(self, mended: bool) -> None:
        super().__init__()
        layers = [conv(4, 4) for _ in range(2)]
        self.layers = nn.ModuleList(layers) if mended else layers

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = x + F.relu(layer(x))
        return x


class TwiceZero(nn.Module):
    """Zero weights behind a zero scale: only the last bias learns."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.a, self.b = conv(4, 4), conv(4, 4)
        self.bn1, self.bn2 = nn.BatchNorm2d(4), nn.BatchNorm2d(4)
        nn.init.zeros_(self.bn2.weight)
        if not mended:
            nn.init.zeros_(self.b.weight)
            nn.init.zeros_(self.b.bias)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.bn2(self.b(F.relu(self.bn1(self.a(x)))))


class DeadRelu(nn.Module):
    """A zero-initialised normalisation behind which a ReLU passes no gradient."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.conv, self.bn, self.mended = conv(4, 4), nn.BatchNorm2d(4), mended
        nn.init.zeros_(self.bn.weight)

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn(self.conv(x))
        return x + (y if self.mended else F.relu(y))


class Overwritten(nn.Module):
    """The normalised result is assigned over."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.a, self.bn, self.mended = conv(4, 4), nn.BatchNorm2d(4), mended

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn(self.a(x))
        if not self.mended:
            y = self.a(x)
        return x + y


class Pooled(nn.Module):
    """DPCNN: the shortcut starts behind the pooling."""

    def __init__(self, add: bool) -> None:
        super().__init__()
        self.a, self.b, self.add = conv(4, 4), conv(4, 4), add

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(x, 2)
        y = self.b(F.relu(self.a(F.relu(x))))
        return x + y if self.add else y


class SameTwice(nn.Module):
    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.a, self.b, self.c, self.mended = conv(4, 6), conv(6, 6), conv(12, 4), mended

    def forward(self, x: Tensor) -> Tensor:
        skip = F.relu(self.a(x))
        up = F.relu(self.b(skip))
        return self.c(torch.cat([up, skip if self.mended else up], 1))


class Sliced(nn.Module):
    """He 2015, option A: every second pixel, padded with zero channels."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.body, self.mended = conv(4, 8, stride=2), mended
        self.last = conv(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        short = F.avg_pool2d(x, 2) if self.mended else x[:, :, ::2, ::2]
        return self.last(F.relu(self.body(x))) + F.pad(short, (0, 0, 0, 0, 2, 2))


class Unscaled(nn.Module):
    """Layer scale, declared and not multiplied by."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.conv, self.mended = conv(4, 4), mended
        self.gamma = nn.Parameter(1e-4 * torch.ones(4, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        return x + (self.gamma * y if self.mended else y)


CASES = (
    Case("rms_inplace", "GeeeekExplorer/nano-vllm#170", "TS104",
         lambda: nn.Sequential(nn.Linear(8, 8), Gated(False)),
         lambda: nn.Sequential(nn.Linear(8, 8), Gated(True)), TOKENS),
    Case("dropout_inplace", "nn.Dropout(inplace=True) first on the branch", "TS104",
         *pair(InPlaceDropout)),
    Case("dueling", "an advantage without keepdim, batch equal to the actions", "TS103",
         lambda: Dueling(False), lambda: Dueling(True), ((3, 8),)),
    Case("half_normalised", "SHI-Labs/Compact-Transformers#25", "TS202",
         halves("stream"), halves(""), TOKENS),
    Case("half_from_start", "the second residual adds the block's input", "TS204",
         halves("start"), halves(""), TOKENS),
    Case("half_shared_norm", "norm2 built, norm1 called twice", "TS108",
         halves("norm"), halves(""), TOKENS),
    Case("activated_stream", "He 2016, figure 4 against its slip", "TS202", *pair(Activated)),
    Case("one_norm", "one BatchNorm on both arms", "TS203", *pair(OneNorm)),
    Case("last_lateral", "zip drops the last layer", "TS108",
         lambda: Laterals(3), lambda: Laterals(2)),
    Case("last_level", "NVlabs/PWC-Net#110", "TS108", lambda: Levels(False), lambda: Levels(True)),
    Case("unread_scale", "a layer scale that forward forgets", "TS108", *pair(Unscaled)),
    Case("plain_list", "layers in a Python list", "TS207", *pair(PlainList)),
    Case("twice_zero", "two zeros in a row", "TS205", *pair(TwiceZero)),
    Case("dead_relu", "zero-initialised and rectified", "TS205", *pair(DeadRelu)),
    Case("assigned_over", "a normalised result thrown away", "TS107", *pair(Overwritten)),
    Case("pooled_sibling", "Cheneng/DPCNN#5", "TS201",
         lambda: net(Pooled(True), Pooled(True), Pooled(False)),
         lambda: net(Pooled(True), Pooled(True), Pooled(True))),
    Case("doubled_cat", "torch.cat([up, up], 1)", "TS106",
         lambda: SameTwice(False), lambda: SameTwice(True)),
    Case("sliced", "option A's subsampling", "TS302",
         lambda: nn.Sequential(conv(4, 4), Sliced(False)),
         lambda: nn.Sequential(conv(4, 4), Sliced(True))),
)  # fmt: skip
