"""Correct models one step from a fault of the corpus: names, views, loops, resizes, statistics."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .case import Clean, conv, maker

SERIES = ((2, 4, 20),)
TOKENS = ((2, 6, 8),)
WIDE = ((1, 3, 32, 32),)


class FilledThroughViews(nn.Module):
    """A new tensor, filled through two named views of it."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = conv(4, 2), conv(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        out = x.new_empty(x.shape)
        top, low = out[:, :2], out[:, 2:]
        top.copy_(self.a(x))
        low.copy_(self.b(x))
        return out + x


class OneNameForTwo(nn.Module):
    """`y = x`, and `y` is all that is used from there on."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.act = conv(4, 4), nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        y = x
        y = self.act(y)
        return y + self.conv(y)


class MaskedInPlace(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(8, 8), nn.Linear(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        x = self.a(x)
        x[:, -2:] = 0
        return x + self.b(x)


class LastValue(nn.Module):
    """What is taken off before the layers is put back after them."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(20, 8)

    def forward(self, x: Tensor) -> Tensor:
        last = x[:, :, -1:].detach()
        return self.layer(x - last) + last


class FixedPoint(nn.Module):
    """The steps to the fixed point run without autograd, the last one with."""

    def __init__(self) -> None:
        super().__init__()
        self.inject, self.layer = conv(4, 4, 1), conv(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.inject(x)
        with torch.no_grad():
            z = torch.zeros_like(x)
            for _ in range(3):
                z = F.relu(self.layer(z) + x)
        return F.relu(self.layer(z) + x)


class Commitment(nn.Module):
    """A quantizer with both of its losses in forward."""

    def __init__(self) -> None:
        super().__init__()
        self.encode, self.decode, self.book = conv(4, 4), conv(4, 4), nn.Embedding(8, 4)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        z = self.encode(x)
        flat = z.permute(0, 2, 3, 1)
        nearest = torch.cdist(flat.reshape(-1, 4), self.book.weight).argmin(1)
        q = self.book(nearest).view_as(flat).permute(0, 3, 1, 2)
        loss = ((q.detach() - z) ** 2).mean() + ((q - z.detach()) ** 2).mean()
        return self.decode(z + (q - z).detach()), loss


class Hypercolumn(nn.Module):
    """Features of all levels but the finest, brought to its size."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.d1, self.d2 = conv(3, 4), conv(4, 4, stride=2), conv(4, 4, stride=2)
        self.head = conv(8, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        a = F.relu(self.stem(x))
        b = F.relu(self.d1(a))
        levels = [F.interpolate(f, size=a.shape[2:]) for f in (b, F.relu(self.d2(b)))]
        return self.head(torch.cat(levels, 1))


class FullScale(nn.Module):
    """UNet 3+: every level of the decoder reads every level of the encoder."""

    def __init__(self) -> None:
        super().__init__()
        self.e = nn.ModuleList([conv(3, 4), conv(4, 4, stride=2), conv(4, 4, stride=2)])
        self.d = nn.ModuleList([conv(12, 4), conv(12, 4)])

    def forward(self, x: Tensor) -> Tensor:
        levels = []
        for layer in self.e:
            x = F.relu(layer(x))
            levels.append(x)
        for i, layer in ((1, self.d[0]), (0, self.d[1])):
            size = levels[i].shape[2:]
            levels[i] = F.relu(layer(torch.cat([F.interpolate(f, size) for f in levels], 1)))
        return levels[0]


class FullPrecisionStream(nn.Module):
    """The stream is float32 from the start, whatever the layers compute in."""

    def __init__(self) -> None:
        super().__init__()
        self.norms = nn.ModuleList([nn.LayerNorm(8), nn.LayerNorm(8)])
        self.layers = nn.ModuleList([nn.Linear(8, 8), nn.Linear(8, 8)])

    def forward(self, x: Tensor) -> Tensor:
        stream = x.float()
        for norm, layer in zip(self.norms, self.layers, strict=True):
            stream = stream + layer(norm(stream.to(layer.weight.dtype)))
        return stream.to(x.dtype)


class Downsampled(nn.Module):
    """A block that halves the image, then adds."""

    def __init__(self) -> None:
        super().__init__()
        self.down, self.body = conv(4, 4, stride=2), conv(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.down(x))
        return x + self.body(x)


class NoiseOfNumpy(nn.Module):
    """A tensor from outside torch that the input does not change."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = conv(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        ramp = torch.linspace(0, 1, x.shape[-1]).numpy()
        return self.conv(x) + torch.from_numpy(ramp).expand(x.shape) * 1


CLEAN = (
    Clean("filled_through_views", "a buffer and two views of it", maker(FilledThroughViews)),
    Clean("one_name_for_two", "an alias in place of its original", maker(OneNameForTwo)),
    Clean("masked_in_place", "padding zeroed before a residual", MaskedInPlace, TOKENS),
    Clean("last_value", "Zeng 2023, NLinear", LastValue, SERIES),
    Clean("fixed_point", "Bai 2019, deep equilibrium", maker(FixedPoint)),
    Clean("commitment", "van den Oord 2017, equation 3", Commitment),
    Clean("hypercolumn", "Hariharan 2015", Hypercolumn, WIDE),
    Clean("full_scale", "Huang 2020, UNet 3+", FullScale, WIDE),
    Clean("full_precision_stream", "Gu 2023, residual_in_fp32", FullPrecisionStream, TOKENS),
    Clean("downsampled", "a strided layer before the shortcut", maker(Downsampled, times=1)),
    Clean("noise_of_numpy", "a ramp made by numpy", maker(NoiseOfNumpy)),
)
