"""The seventh set. Streams, once more. Blocks that leave out or double what they add."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from ..case import Case, Clean

IMG = ((2, 3, 16, 16),)


class Attn(nn.Module):
    def __init__(self, dim, heads=2):
        super().__init__()
        self.heads = heads
        self.to_q = nn.Linear(dim, dim)
        self.to_kv = nn.Linear(dim, dim * 2, bias=False)
        self.to_out = nn.Linear(dim, dim)

    def forward(self, x, context=None):
        context = x if context is None else context
        b, n, d = x.shape
        q = self.to_q(x).view(b, n, self.heads, -1).transpose(1, 2)
        k, v = (
            t.view(b, t.shape[1], self.heads, -1).transpose(1, 2)
            for t in self.to_kv(context).chunk(2, dim=-1)
        )
        sim = q @ k.transpose(-1, -2) * q.shape[-1] ** (-0.5)
        return self.to_out((sim.softmax(-1) @ v).transpose(1, 2).reshape(b, n, d))


class Transition(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.w1, self.w2, self.w3 = (
            nn.Linear(dim, 2 * dim),
            nn.Linear(dim, 2 * dim),
            nn.Linear(2 * dim, dim),
        )

    def forward(self, x):
        return self.w3(F.silu(self.w1(x)) * self.w2(x))


class DropPath(nn.Module):
    def __init__(self, p=0.0):
        super().__init__()
        self.p = p

    def forward(self, x):
        if self.p == 0.0 or not self.training:
            return x
        keep = 1 - self.p
        mask = x.new_empty((x.shape[0],) + (1,) * (x.ndim - 1)).bernoulli_(keep)
        return x * mask.div_(keep)


class LayerScale(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.gamma = nn.Parameter(0.1 * torch.ones(dim))

    def forward(self, x):
        return x * self.gamma


class DinoBlock(nn.Module):
    """kornia#3780."""

    def __init__(self, mended, dim, drop_path=0.05):
        super().__init__()
        self.mended = mended
        self.norm1, self.attn, self.ls1 = (nn.LayerNorm(dim), Attn(dim), LayerScale(dim))
        self.drop_path1 = DropPath(drop_path) if drop_path > 0.0 else nn.Identity()
        self.norm2, self.mlp, self.ls2 = (nn.LayerNorm(dim), Transition(dim), LayerScale(dim))
        self.drop_path2 = DropPath(drop_path) if drop_path > 0.0 else nn.Identity()
        self.sample_drop_ratio = drop_path

    def forward(self, x):

        def attn_residual_func(x):
            return self.ls1(self.attn(self.norm1(x)))

        def ffn_residual_func(x):
            return self.ls2(self.mlp(self.norm2(x)))

        if self.training and self.sample_drop_ratio > 0.0:
            x = x + self.drop_path1(attn_residual_func(x))
            x = x + (self.drop_path2 if self.mended else self.drop_path1)(ffn_residual_func(x))
        else:
            x = x + attn_residual_func(x)
            x = x + ffn_residual_func(x)
        return x


class DinoViT(nn.Module):
    def __init__(self, mended):
        super().__init__()
        self.patch = nn.Conv2d(3, 8, 4, 4)
        self.pos = nn.Parameter(torch.zeros(1, 16, 8))
        self.blocks = nn.ModuleList([DinoBlock(mended, 8) for _ in range(2)])
        self.norm = nn.LayerNorm(8)

    def forward(self, x):
        x = self.patch(x).flatten(2).transpose(1, 2) + self.pos
        for b in self.blocks:
            x = b(x)
        return self.norm(x)


class DiscriminatorResidual(nn.Module):
    """RVGAN#12: adds the saved input to itself."""

    def __init__(self, mended, a):
        super().__init__()
        self.mended = mended
        self.conv1, self.bn1 = (nn.Conv2d(a, a, 3, padding=1), nn.BatchNorm2d(a))
        self.conv2, self.bn2 = (nn.Conv2d(a, a, 3, padding=1, dilation=1), nn.BatchNorm2d(a))

    def forward(self, x):
        skip = x
        h = F.leaky_relu(self.bn1(self.conv1(x)), 0.2)
        h = F.leaky_relu(self.bn2(self.conv2(h)), 0.2)
        return (h if self.mended else skip) + skip


class Discriminator(nn.Module):
    def __init__(self, mended):
        super().__init__()
        self.down = nn.Conv2d(4, 8, 4, 2, 1)
        self.res1, self.down2, self.res2 = (
            DiscriminatorResidual(mended, 8),
            nn.Conv2d(8, 8, 4, 2, 1),
            DiscriminatorResidual(mended, 8),
        )
        self.out = nn.Conv2d(8, 1, 3, padding=1)

    def forward(self, fundus, vessel):
        x = torch.cat((fundus, vessel), dim=1)
        f1 = self.res1(F.leaky_relu(self.down(x), 0.2))
        f2 = self.res2(F.leaky_relu(self.down2(f1), 0.2))
        return (torch.tanh(self.out(f2)), f1, f2)


class AttTCNResidual(nn.Module):
    """MGP-AttTCN#4: a residual block whose loop ends without the sum."""

    def __init__(self, mended, a, b, kernel, dilation):
        super().__init__()
        self.mended = mended
        self.pad = (kernel - 1) * dilation
        self.convs = nn.ModuleList(
            [nn.Conv1d(a if i == 0 else b, b, kernel, dilation=dilation) for i in range(2)]
        )
        self.drop = nn.Dropout(0.1)
        self.match = nn.Conv1d(a, b, 1) if mended and a != b else nn.Identity()

    def forward(self, x):
        out = x
        for conv in self.convs:
            out = self.drop(F.relu(conv(F.pad(out, (self.pad, 0)))))
        if self.mended:
            return F.relu(out + self.match(x))
        return out


class AttTCNResidualBlock(AttTCNResidual):
    pass


class AttTCN(nn.Module):
    def __init__(self, mended):
        super().__init__()
        self.blocks = nn.Sequential(
            AttTCNResidualBlock(mended, 5, 8, 3, 1),
            AttTCNResidualBlock(mended, 8, 8, 3, 2),
            AttTCNResidualBlock(mended, 8, 8, 3, 4),
        )
        self.head = nn.Linear(8, 2)

    def forward(self, x):
        return self.head(self.blocks(x).transpose(1, 2))


class Stage(nn.Module):
    def __init__(self, dim, down=False, up=False):
        super().__init__()
        self.mix = nn.Sequential(nn.Linear(dim, dim), nn.GELU(), nn.Linear(dim, dim))
        self.norm = nn.LayerNorm(dim)
        self.down = nn.Linear(2 * dim, 2 * dim, bias=False) if down else None
        self.up = nn.Linear(dim, dim, bias=False) if up else None

    def forward(self, x):
        x = x + self.norm(self.mix(x))
        if self.down is not None:
            return (self.down(x.reshape(x.shape[0], x.shape[1] // 2, -1)), x)
        if self.up is not None:
            y = self.up(x)
            return (y.reshape(y.shape[0], y.shape[1] * 2, -1), None)
        return (x, None)


class Aurora(nn.Module):
    """Adds the middle skips and concatenates the outermost, as Pangu-Weather does."""

    def __init__(self, dim=8):
        super().__init__()
        self.embed = nn.Linear(3, dim)
        self.encoder_layers = nn.ModuleList(
            [Stage(dim, True), Stage(2 * dim, True), Stage(4 * dim)]
        )
        self.decoder_layers = nn.ModuleList(
            [Stage(4 * dim, up=True), Stage(2 * dim, up=True), Stage(dim)]
        )
        self.head = nn.Linear(2 * dim, 3)

    def forward(self, x):
        x = self.embed(x)
        skips = []
        for layer in self.encoder_layers:
            x, unscaled = layer(x)
            skips.append(unscaled)
        for i, layer in enumerate(self.decoder_layers):
            x, _ = layer(x)
            if i == 0:
                x = x + skips[1]
            elif i == len(self.decoder_layers) - 1:
                x = torch.cat([x, skips[0]], dim=-1)
        return self.head(x)


CASES = (
    Case(
        "first drop path on the feed-forward too",
        "kornia/kornia#3780",
        "TS111",
        lambda: DinoViT(False),
        lambda: DinoViT(True),
        IMG,
    ),
    Case(
        "discriminator block that adds its skip to itself",
        "SharifAmit/RVGAN#12",
        "TS106",
        lambda: Discriminator(False),
        lambda: Discriminator(True),
        ((2, 3, 16, 16), (2, 1, 16, 16)),
    ),
    Case(
        "temporal residual block without a sum",
        "mmr12/MGP-AttTCN#4",
        "TS201",
        lambda: AttTCN(False),
        lambda: AttTCN(True),
        ((2, 5, 12),),
    ),
)

CLEAN = (
    Clean(
        "one skip added and the outermost concatenated",
        "Aurora adds one skip and concatenates the outermost",
        lambda: Aurora(),
        ((2, 16, 3),),
    ),
)
