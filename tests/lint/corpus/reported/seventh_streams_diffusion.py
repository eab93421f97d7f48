"""The seventh set. Streams. Diffusion."""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import nn

from ..case import Case


class Residual(nn.Module):
    def __init__(self, fn):
        super().__init__()
        self.fn = fn

    def forward(self, x):
        return self.fn(x) + x


class Rezero(nn.Module):
    """The first Rezero of denoising-diffusion-pytorch: it never calls its function."""

    def __init__(self, fn):
        super().__init__()
        self.fn = fn
        self.g = nn.Parameter(torch.zeros(1))

    def forward(self, x):
        return x * self.g


class RezeroMended(Rezero):
    def forward(self, x):
        return self.fn(x) * self.g


class LinearAttention(nn.Module):
    def __init__(self, width, heads=2, head=4):
        super().__init__()
        self.heads = heads
        self.to_qkv = nn.Conv2d(width, 3 * heads * head, 1, bias=False)
        self.to_out = nn.Conv2d(heads * head, width, 1)

    def forward(self, x):
        b, _, h, w = x.shape
        q, k, v = self.to_qkv(x).view(b, 3, self.heads, -1, h * w).unbind(1)
        context = k.softmax(-1) @ v.transpose(2, 3)
        out = context.transpose(2, 3) @ q
        return self.to_out(out.reshape(b, -1, h, w))


class ResnetBlock(nn.Module):
    def __init__(self, a, b, time):
        super().__init__()
        self.mlp = nn.Sequential(nn.SiLU(), nn.Linear(time, b))
        self.block1 = nn.Sequential(nn.Conv2d(a, b, 3, padding=1), nn.GroupNorm(2, b), nn.SiLU())
        self.block2 = nn.Sequential(nn.Conv2d(b, b, 3, padding=1), nn.GroupNorm(2, b), nn.SiLU())
        self.res_conv = nn.Conv2d(a, b, 1) if a != b else nn.Identity()

    def forward(self, x, t):
        h = self.block1(x)
        h = h + self.mlp(t)[:, :, None, None]
        return self.block2(h) + self.res_conv(x)


def time_mlp(width):
    return nn.Sequential(nn.Linear(1, width), nn.SiLU(), nn.Linear(width, width))


class Unet(nn.Module):
    def __init__(self, rezero, dim=8):
        super().__init__()
        dims = [3, dim, 2 * dim]
        self.time_mlp = time_mlp(dim)
        self.downs = nn.ModuleList()
        self.ups = nn.ModuleList()
        for i, (a, b) in enumerate(pairwise(dims)):
            last = i == 1
            self.downs.append(
                nn.ModuleList(
                    [
                        ResnetBlock(a, b, dim),
                        ResnetBlock(b, b, dim),
                        Residual(rezero(LinearAttention(b))),
                        nn.Identity() if last else nn.Conv2d(b, b, 3, 2, 1),
                    ]
                )
            )
        mid = dims[-1]
        self.mid_block1 = ResnetBlock(mid, mid, dim)
        self.mid_attn = Residual(rezero(LinearAttention(mid)))
        self.mid_block2 = ResnetBlock(mid, mid, dim)
        self.ups.append(
            nn.ModuleList(
                [
                    ResnetBlock(2 * mid, dim, dim),
                    ResnetBlock(dim, dim, dim),
                    Residual(rezero(LinearAttention(dim))),
                    nn.ConvTranspose2d(dim, dim, 4, 2, 1),
                ]
            )
        )
        self.final_conv = nn.Sequential(
            nn.Conv2d(dim, dim, 3, padding=1), nn.GroupNorm(2, dim), nn.SiLU(), nn.Conv2d(dim, 3, 1)
        )

    def forward(self, x, time):
        t = self.time_mlp(time)
        h = []
        for resnet, resnet2, attn, downsample in self.downs:
            x = resnet(x, t)
            x = resnet2(x, t)
            x = attn(x)
            h.append(x)
            x = downsample(x)
        x = self.mid_block1(x, t)
        x = self.mid_attn(x)
        x = self.mid_block2(x, t)
        for resnet, resnet2, attn, upsample in self.ups:
            x = torch.cat((x, h.pop()), dim=1)
            x = resnet(x, t)
            x = resnet2(x, t)
            x = attn(x)
            x = upsample(x)
        return self.final_conv(x)


class ResnetBlock1D(nn.Module):
    def __init__(self, a, b, time):
        super().__init__()
        self.mlp = nn.Sequential(nn.SiLU(), nn.Linear(time, 2 * b))
        self.proj1 = nn.Conv1d(a, b, 3, padding=1)
        self.norm1 = nn.GroupNorm(1, b)
        self.proj2 = nn.Conv1d(b, b, 3, padding=1)
        self.norm2 = nn.GroupNorm(1, b)
        self.res_conv = nn.Conv1d(a, b, 1) if a != b else nn.Identity()

    def forward(self, x, t):
        scale, shift = self.mlp(t)[:, :, None].chunk(2, 1)
        h = F.silu(self.norm1(self.proj1(x)) * (scale + 1) + shift)
        h = F.silu(self.norm2(self.proj2(h)))
        return h + self.res_conv(x)


class Unet1D(nn.Module):
    """denoising-diffusion-pytorch's Unet1D with init_dim different from dim."""

    def __init__(self, dim, init_dim, mended=False):
        super().__init__()
        self.init_conv = nn.Conv1d(3, init_dim, 7, padding=3)
        dims = [init_dim, dim, 2 * dim]
        self.time_mlp = time_mlp(dim)
        self.downs = nn.ModuleList()
        self.ups = nn.ModuleList()
        pairs = list(pairwise(dims))
        for i, (a, b) in enumerate(pairs):
            down = nn.Conv1d(a, b, 4, 2, 1) if i == 0 else nn.Conv1d(a, b, 3, padding=1)
            self.downs.append(
                nn.ModuleList([ResnetBlock1D(a, a, dim), ResnetBlock1D(a, a, dim), down])
            )
        mid = dims[-1]
        self.mid_block1 = ResnetBlock1D(mid, mid, dim)
        self.mid_block2 = ResnetBlock1D(mid, mid, dim)
        for i, (a, b) in enumerate(reversed(pairs)):
            up = (
                nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv1d(b, a, 3, padding=1))
                if i == 0
                else nn.Conv1d(b, a, 3, padding=1)
            )
            self.ups.append(
                nn.ModuleList([ResnetBlock1D(b + a, b, dim), ResnetBlock1D(b + a, b, dim), up])
            )
        last = init_dim if mended else dim
        self.final_res_block = ResnetBlock1D(2 * last, last, dim)
        self.final_conv = nn.Conv1d(last, 3, 1)

    def forward(self, x, time):
        x = self.init_conv(x)
        r = x.clone()
        t = self.time_mlp(time)
        h = []
        for block1, block2, downsample in self.downs:
            x = block1(x, t)
            h.append(x)
            x = block2(x, t)
            h.append(x)
            x = downsample(x)
        x = self.mid_block2(self.mid_block1(x, t), t)
        for block1, block2, upsample in self.ups:
            x = torch.cat((x, h.pop()), dim=1)
            x = block1(x, t)
            x = torch.cat((x, h.pop()), dim=1)
            x = block2(x, t)
            x = upsample(x)
        x = torch.cat((x, r), dim=1)
        return self.final_conv(self.final_res_block(x, t))


class Transformer2DModel(nn.Module):
    """diffusers' Transformer2DModel with linear projections: the norm is called twice."""

    def __init__(self, width=8, use_linear_projection=True):
        super().__init__()
        self.use_linear_projection = use_linear_projection
        self.norm = nn.GroupNorm(2, width)
        if use_linear_projection:
            self.proj_in = nn.Linear(width, width)
            self.proj_out = nn.Linear(width, width)
        else:
            self.proj_in = nn.Conv2d(width, width, 1)
            self.proj_out = nn.Conv2d(width, width, 1)
        self.norm1 = nn.LayerNorm(width)
        self.attn1 = nn.MultiheadAttention(width, 2, batch_first=True)
        self.norm3 = nn.LayerNorm(width)
        self.ff = nn.Sequential(nn.Linear(width, 16), nn.GELU(), nn.Linear(16, width))

    def transform(self, x):
        h = self.norm1(x)
        x = x + self.attn1(h, h, h)[0]
        return x + self.ff(self.norm3(x))

    def forward(self, hidden_states):
        b, c, h, w = hidden_states.shape
        residual = hidden_states
        hidden_states = self.norm(hidden_states)
        if not self.use_linear_projection:
            hidden_states = self.proj_in(hidden_states)
            hidden_states = hidden_states.permute(0, 2, 3, 1).reshape(b, h * w, c)
        else:
            hidden_states = self.norm(hidden_states)
            hidden_states = hidden_states.permute(0, 2, 3, 1).reshape(b, h * w, c)
            hidden_states = self.proj_in(hidden_states)
        hidden_states = self.transform(hidden_states)
        hidden_states = self.proj_out(hidden_states)
        hidden_states = hidden_states.reshape(b, h, w, c).permute(0, 3, 1, 2)
        return hidden_states + residual


class Transformer2DModelMended(Transformer2DModel):
    def forward(self, hidden_states):
        b, c, h, w = hidden_states.shape
        residual = hidden_states
        hidden_states = self.norm(hidden_states)
        if not self.use_linear_projection:
            hidden_states = self.proj_in(hidden_states)
            hidden_states = hidden_states.permute(0, 2, 3, 1).reshape(b, h * w, c)
        else:
            hidden_states = hidden_states.permute(0, 2, 3, 1).reshape(b, h * w, c)
            hidden_states = self.proj_in(hidden_states)
        hidden_states = self.transform(hidden_states)
        hidden_states = self.proj_out(hidden_states)
        hidden_states = hidden_states.reshape(b, h, w, c).permute(0, 3, 1, 2)
        return hidden_states + residual


class LatentNet(nn.Module):
    def __init__(self, transformer):
        super().__init__()
        self.conv_in = nn.Conv2d(4, 8, 3, padding=1)
        self.time = time_mlp(8)
        self.resnet = ResnetBlock(8, 8, 8)
        self.attention = transformer()
        self.resnet2 = ResnetBlock(8, 8, 8)
        self.conv_out = nn.Conv2d(8, 4, 3, padding=1)

    def forward(self, x, time):
        t = self.time(time)
        x = self.resnet(self.conv_in(x), t)
        x = self.resnet2(self.attention(x), t)
        return self.conv_out(x)


CASES = (
    Case(
        "rezero that never calls its attention",
        "lucidrains/denoising-diffusion-pytorch#1",
        "TS108",
        lambda: Unet(Rezero),
        lambda: Unet(RezeroMended),
        ((2, 3, 8, 8), (2, 1)),
    ),
    Case(
        "last block of the wrong width",
        "lucidrains/denoising-diffusion-pytorch#329",
        "TS100",
        lambda: Unet1D(8, 12),
        lambda: Unet1D(8, 12, mended=True),
        ((2, 3, 16), (2, 1)),
    ),
    Case(
        "group norm called twice before the projection",
        "huggingface/diffusers#1379",
        "TS203",
        lambda: LatentNet(Transformer2DModel),
        lambda: LatentNet(Transformer2DModelMended),
        ((2, 4, 8, 8), (2, 1)),
    ),
)
