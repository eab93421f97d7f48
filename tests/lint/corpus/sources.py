"""Shortcuts that start from the wrong value, and decoders that read the wrong level."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .case import Case, conv, pair

IMAGE = ((1, 3, 32, 32),)


class ResBlock(nn.Module):
    """The shortcut is saved behind the first layer."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.conv1, self.conv2, self.mended = conv(4, 4), conv(4, 4), mended

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.conv1(x))
        return F.relu(self.conv2(y) + (x if self.mended else y))


class PostNormStale(nn.Module):
    """The feed-forward half adds to the block's input, not to the attention's sum."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.attend, self.feed, self.mended = nn.Linear(8, 8), nn.Linear(8, 8), mended
        self.norm1, self.norm2 = nn.LayerNorm(8), nn.LayerNorm(8)

    def forward(self, x: Tensor) -> Tensor:
        h = self.norm1(x + self.attend(x))
        return self.norm2((h if self.mended else x) + F.relu(self.feed(h)))


class OwnNorm(nn.Module):
    """The normalisation on the shortcut reads the branch."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.a, self.b, self.norm, self.mended = conv(4, 4), conv(4, 4), nn.BatchNorm2d(4), mended

    def forward(self, x: Tensor) -> Tensor:
        y = self.b(F.relu(self.a(x)))
        return F.relu(y + self.norm(x if self.mended else y))


class Decoder(nn.Module):
    """A decoder that resizes whatever it is given; `levels` says which level each step reads."""

    def __init__(self, *levels: int) -> None:
        super().__init__()
        self.encoder = nn.ModuleList(
            [conv(3, 4), conv(4, 4, stride=2), conv(4, 4, stride=2), conv(4, 4, stride=2)]
        )
        self.decoder, self.levels = nn.ModuleList([conv(8, 4) for _ in levels]), levels

    def forward(self, x: Tensor) -> Tensor:
        features = []
        for layer in self.encoder:
            x = F.relu(layer(x))
            features.append(x)
        for level, layer in zip(self.levels, self.decoder, strict=True):
            x = F.interpolate(x, scale_factor=2)
            skip = F.interpolate(features[level], size=x.shape[2:])
            x = F.relu(layer(torch.cat([x, skip], 1)))
        return x


class SameLevel(nn.Module):
    """Two steps read one level: the second enlarges nothing, and the finest level is not read."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.e1, self.e2, self.e3 = conv(3, 4), conv(4, 4, stride=2), conv(4, 4, stride=2)
        self.d2, self.d1, self.mended = conv(8, 4), conv(8, 4), mended

    def forward(self, x: Tensor) -> Tensor:
        a = F.relu(self.e1(x))
        b = F.relu(self.e2(a))
        y = self._join(self.d2, self.e3(b), b)
        return self._join(self.d1, y, a if self.mended else b)

    def _join(self, layer: nn.Module, x: Tensor, skip: Tensor) -> Tensor:
        return layer(torch.cat([F.interpolate(x, size=skip.shape[2:], mode="bilinear"), skip], 1))


CASES = (
    Case("late_identity", "a residual saved behind the first layer", "TS204", *pair(ResBlock)),
    Case("post_norm_stale", "strutive07/transformer-tensorflow2.0#14", "TS204",
         lambda: PostNormStale(False), lambda: PostNormStale(True), ((2, 6, 8),)),
    Case("own_norm", "jackyko1991/vnet-tensorflow#12", "TS204", *pair(OwnNorm)),
    Case("one_level_off", "a skip list read one level off", "TS204",
         lambda: Decoder(3, 2, 1), lambda: Decoder(2, 1, 0), IMAGE),
    Case("reversed_levels", "a skip list read from its beginning", "TS204",
         lambda: Decoder(0, 1, 2), lambda: Decoder(2, 1, 0), IMAGE),
    Case("same_level", "one level read twice", "TS204",
         lambda: SameLevel(False), lambda: SameLevel(True), IMAGE),
)  # fmt: skip
