"""A third set, written before its first run: graphs, controls, vocoders, gates."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..case import Case, Clean, conv
from .sums import TOKENS, Attention, blocks, both

SERIES = ((2, 4, 24),)


class EdgeSet(nn.Module):
    """A residual around a graph layer that narrows its features."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.weight, self.norm = nn.Linear(8, 6), nn.LayerNorm(6)
        self.match = nn.Linear(8, 6) if mended else nn.Identity()

    def forward(self, x: Tensor, adjacency: Tensor) -> Tensor:
        out = F.relu(self.norm(torch.bmm(adjacency, self.weight(x))))
        return out + self.match(x)


class HeteroSkip(nn.Module):
    """The learnt skip weighs its own weight, and the message passing is lost."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.message, self.out, self.mended = nn.Linear(8, 8), nn.Linear(8, 8), mended
        self.skip = nn.Parameter(torch.ones(1))

    def forward(self, x: Tensor) -> Tensor:
        out = self.out(F.gelu(self.message(x).mean(1, keepdim=True) + x))
        alpha = self.skip.sigmoid()
        return alpha * (out if self.mended else alpha) + (1 - alpha) * x


class Controlled(nn.Module):
    """The control's residuals are added in place to features that the middle reads."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.down = nn.ModuleList(conv(4, 4) for _ in range(2))
        self.control = nn.ModuleList(conv(4, 4, 1) for _ in range(2))
        self.mid, self.up, self.mended = (
            conv(4, 4),
            nn.ModuleList(conv(8, 4) for _ in range(2)),
            mended,
        )

    def forward(self, x: Tensor) -> Tensor:
        sample, kept = x, []
        for layer in self.down:
            sample = F.silu(layer(sample))
            kept.append(sample)
        for i, control in enumerate(self.control):
            if self.mended:
                kept[i] = kept[i] + control(x)
            else:
                kept[i] += control(x)
        sample = self.mid(sample)
        for layer in self.up:
            sample = layer(torch.cat([sample, kept.pop()], 1))
        return sample


class AdapterTwice(nn.Module):
    """The adapter's feature is added to the state, and to its copy in the list again."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.block, self.adapter, self.up = conv(4, 4), conv(4, 4), conv(8, 4)
        self.mended = mended

    def forward(self, x: Tensor) -> Tensor:
        extra = self.adapter(x)
        states = self.block(x)
        states = states + extra
        kept = states if self.mended else states + extra
        return self.up(torch.cat([F.silu(states), kept], 1))


class ZippedAdapter(nn.Module):
    """`zip` ends with the shorter list: the last adapter's feature meets no block."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.adapters = nn.ModuleList(conv(4, 4, 1) for _ in range(3))
        self.blocks = nn.ModuleList(conv(4, 4) for _ in range(3 if mended else 2))

    def forward(self, x: Tensor) -> Tensor:
        features = [adapter(x) for adapter in self.adapters]
        for block, feature in zip(self.blocks, features):  # noqa: B905
            x = F.silu(block(x)) + feature
        return x


class ResidualBlock(nn.Module):
    """The docstring promises a residual around a normalised mixer."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.norm, self.mended = nn.LayerNorm(8), mended
        self.mixer = nn.Sequential(nn.Linear(8, 16), nn.SiLU(), nn.Linear(16, 8))

    def forward(self, x: Tensor) -> Tensor:
        out = self.mixer(self.norm(x))
        return x + out if self.mended else out


class Samba(nn.Module):
    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.layers = nn.ModuleList(ResidualBlock(mended) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = layer(x)
        return x


class Propagation(nn.Module):
    """The layer behind the concatenation counts the points' features alone."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.encode, self.deep = nn.Conv1d(4, 6, 1), nn.Conv1d(6, 8, 1)
        self.mlp = nn.Sequential(nn.Conv1d(14 if mended else 8, 6, 1), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        points = F.relu(self.encode(x))
        deep = F.relu(self.deep(F.max_pool1d(points, 2)))
        return self.mlp(torch.cat([points, F.interpolate(deep, size=points.shape[2:])], 1))


class Vocoder(nn.Module):
    """The results of three kernels should be summed; each replaces the one before."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.up = nn.ConvTranspose1d(4, 4, 4, 2, 1)
        self.kernels = nn.ModuleList(nn.Conv1d(4, 4, k, padding=k // 2) for k in (3, 7, 11))
        self.mended = mended

    def forward(self, x: Tensor) -> Tensor:
        x = self.up(F.leaky_relu(x, 0.1))
        xs: Tensor | None = None
        for kernel in self.kernels:
            out = x + kernel(F.leaky_relu(x, 0.1))
            xs = xs + out if self.mended and xs is not None else out
        assert xs is not None
        return torch.tanh(xs / len(self.kernels))


class Gate(nn.Module):
    """The coefficients of an attention gate are computed, and the skip passes as it is."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.w_g, self.w_x, self.psi = conv(4, 4, 1), conv(4, 4, 1), conv(4, 1, 1)
        self.mended = mended

    def forward(self, g: Tensor, x: Tensor) -> Tensor:
        psi = torch.sigmoid(self.psi(F.relu(self.w_g(g) + self.w_x(x))))
        return x * psi if self.mended else x


class GatedUNet(nn.Module):
    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.enc, self.low, self.gate = conv(4, 4), conv(4, 4), Gate(mended)
        self.dec = conv(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        skip = F.relu(self.enc(x))
        up = F.interpolate(F.relu(self.low(F.max_pool2d(skip, 2))), size=skip.shape[2:])
        return self.dec(torch.cat([self.gate(up, skip), up], 1))


class DroppedShortcut(nn.Module):
    """Dropout on the stream instead of the branch."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.attn, self.norm, self.dropout = Attention(), nn.LayerNorm(8), nn.Dropout(0.1)
        self.mended = mended

    def forward(self, x: Tensor) -> Tensor:
        if self.mended:
            return self.norm(x + self.dropout(self.attn(x)))
        return self.norm(self.dropout(x) + self.attn(x))


class ListedCat(nn.Module):
    """The list of a dense block's features is concatenated without an axis."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.layers = nn.ModuleList(conv(4, 4) for _ in range(2))
        self.fuse, self.mended = conv(12 if mended else 4, 4, 1), mended

    def forward(self, x: Tensor) -> Tensor:
        features = [x]
        for layer in self.layers:
            features.append(F.relu(layer(features[-1])))
        return self.fuse(torch.cat(features, 1) if self.mended else torch.cat(features))


class DataSkip(nn.Module):
    """The long skip of a denoiser is taken through `.data`."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.head, self.tail = nn.Conv1d(4, 4, 3, padding=1), nn.Conv1d(4, 4, 1)
        self.body = nn.Conv1d(4, 4, 5, padding=2)
        self.mended = mended

    def forward(self, x: Tensor) -> Tensor:
        h = self.head(x)
        kept = h if self.mended else h.data
        return self.tail(F.relu(self.body(h)) + kept)


class GridBlock(nn.Module):
    """The second half is multiplied by the stream, a slip of one key."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.attn, self.norm_1, self.norm_2 = Attention(), nn.LayerNorm(8), nn.LayerNorm(8)
        self.mlp, self.mended = nn.Sequential(nn.Linear(8, 8), nn.GELU(), nn.Linear(8, 8)), mended

    def forward(self, x: Tensor) -> Tensor:
        output = x + self.attn(self.norm_1(x))
        branch = self.mlp(self.norm_2(output))
        return output + branch if self.mended else output * branch


class GatedHalf(nn.Module):
    """A gate behind a residual sum, which ends with a sigmoid."""

    def __init__(self) -> None:
        super().__init__()
        self.attn, self.norm_1, self.norm_2 = Attention(), nn.LayerNorm(8), nn.LayerNorm(8)
        self.gate = nn.Linear(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        output = x + self.attn(self.norm_1(x))
        return output * torch.sigmoid(self.gate(self.norm_2(output)))


class MeanOfKernels(nn.Module):
    """HiFi-GAN: residual blocks side by side, and their mean."""

    def __init__(self) -> None:
        super().__init__()
        self.kernels = nn.ModuleList(nn.Conv1d(4, 4, k, padding=k // 2) for k in (3, 5, 7))

    def forward(self, x: Tensor) -> Tensor:
        xs = x + self.kernels[0](F.relu(x))
        for kernel in self.kernels[1:]:
            xs = xs + (x + kernel(F.relu(x)))
        return xs / 3


CASES = (
    Case(
        "edge-set",
        "davidbuterez/edge-set-attention#4",
        "TS101",
        *both(EdgeSet),
        ((2, 5, 8), (2, 5, 5)),
    ),
    Case("hetero-skip", "pyg-team/pytorch_geometric#3391", "TS107", *both(HeteroSkip), TOKENS),
    Case("controlled", "huggingface/diffusers pull request 3234", "TS104", *both(Controlled)),
    Case(
        "adapter-twice", "huggingface/diffusers pull request 3932", "TS106", *blocks(AdapterTwice)
    ),
    Case("zipped-adapter", "cloneofsimo/t2i-adapter-diffusers#2", "TS107", *blocks(ZippedAdapter)),
    Case("samba", "Ali-Meh619/SAMBA#9", "TS201", *both(Samba), TOKENS),
    Case(
        "propagation",
        "pyg-team/pytorch_geometric pull request 1082",
        "TS100",
        *both(Propagation),
        SERIES,
    ),
    Case("vocoder", "kernels of a vocoder, overwritten", "TS107", *both(Vocoder), SERIES),
    Case("gated-unet", "an attention gate without its product", "TS107", *both(GatedUNet)),
    Case("dropped-shortcut", "dropout on the stream", "TS111", *both(DroppedShortcut), TOKENS),
    Case("listed-cat", "a list concatenated along the batch", "TS109", *blocks(ListedCat, 1)),
    Case("grid-block", "ChristophReich1996/MaxViT#8", "TS201", *both(GridBlock), TOKENS),
    Case("data-skip", "a long skip through `.data`", "TS105", *both(DataSkip), SERIES),
)
CLEAN = (
    Clean("gated-half", "a gate of the stream", GatedHalf, TOKENS),
    Clean("mean-of-kernels", "Kong et al., 2020", MeanOfKernels, SERIES),
)
