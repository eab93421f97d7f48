"""The fifth set, continued: diffusion, with its conditions and controls."""

from __future__ import annotations

import itertools

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..case import Case, conv
from .fourth_images import twins


class ResnetBlock2D(nn.Module):
    """A diffusion block: two normalised convolutions, the time between them."""

    def __init__(self, a: int, b: int, temb: int = 16) -> None:
        super().__init__()
        self.norm1, self.conv1 = nn.GroupNorm(4, a), conv(a, b)
        self.time_emb_proj = nn.Linear(temb, b)
        self.norm2, self.conv2 = nn.GroupNorm(4, b), conv(b, b)
        self.conv_shortcut = nn.Conv2d(a, b, 1) if a != b else None

    def forward(self, x: Tensor, temb: Tensor) -> Tensor:
        h = self.conv1(F.silu(self.norm1(x)))
        h = h + self.time_emb_proj(F.silu(temb))[:, :, None, None]
        h = self.conv2(F.silu(self.norm2(h)))
        if self.conv_shortcut is not None:
            x = self.conv_shortcut(x)
        return x + h


class ControlledUNet(nn.Module):
    """The residuals of a ControlNet are added to the kept features before the middle block."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.mended = mended
        self.time = nn.Sequential(nn.Linear(1, 16), nn.SiLU(), nn.Linear(16, 16))
        self.conv_in = conv(4, 8)
        self.down = nn.ModuleList([ResnetBlock2D(8, 8), ResnetBlock2D(8, 16)])
        self.downsample = nn.Conv2d(8, 8, 3, 2, 1)
        self.control = nn.ModuleList([conv(4, 8), nn.Conv2d(4, 16, 3, 2, 1)])
        self.mid = ResnetBlock2D(16, 16)
        self.up = nn.ModuleList([ResnetBlock2D(32, 16), ResnetBlock2D(24, 8)])
        self.out = conv(8, 4)
        self.requires_grad_(False)
        self.control.requires_grad_(True)

    def forward(self, sample: Tensor, t: Tensor, hint: Tensor) -> Tensor:
        emb = self.time(t)
        extra = [layer(hint) for layer in self.control]
        sample = self.down[0](self.conv_in(sample), emb)
        res_samples = (sample,)
        sample = self.down[1](self.downsample(sample), emb)
        res_samples += (sample,)

        new = ()
        for down, residual in zip(res_samples, extra, strict=False):
            if self.mended:
                down = down + residual
            else:
                down += residual
            new += (down,)
        res_samples = new

        sample = self.mid(sample, emb)
        for i, block in enumerate(self.up):
            res, res_samples = res_samples[-1], res_samples[:-1]
            if i:
                sample = F.interpolate(sample, scale_factor=2.0, mode="nearest")
            sample = block(torch.cat([sample, res], dim=1), emb)
        return self.out(sample)


class AdaptedDownBlock(nn.Module):
    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.mended = mended
        self.resnets = nn.ModuleList([ResnetBlock2D(8, 8), ResnetBlock2D(8, 8)])
        self.downsampler = nn.Conv2d(8, 8, 3, 2, 1)

    def forward(self, hidden_states: Tensor, temb: Tensor, additional_residuals: Tensor) -> Tensor:
        output_states = ()
        for resnet in self.resnets:
            hidden_states = resnet(hidden_states, temb)
            output_states = (*output_states, hidden_states)
        if self.mended:
            hidden_states = hidden_states + additional_residuals
        else:
            hidden_states += additional_residuals
        output_states = (*output_states[:-1], output_states[-1] + additional_residuals)
        return self.downsampler(hidden_states), output_states


class AdapterUNet(nn.Module):
    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.time = nn.Linear(1, 16)
        self.conv_in, self.adapter = conv(4, 8), nn.Sequential(conv(4, 8), nn.ReLU(), conv(8, 8))
        self.down = AdaptedDownBlock(mended)
        self.mid = ResnetBlock2D(8, 8)
        self.up = nn.ModuleList([ResnetBlock2D(16, 8), ResnetBlock2D(16, 8)])
        self.out = conv(8, 4)

    def forward(self, sample: Tensor, t: Tensor, hint: Tensor) -> Tensor:
        emb = self.time(t)
        sample, states = self.down(self.conv_in(sample), emb, self.adapter(hint))
        sample = F.interpolate(self.mid(sample, emb), scale_factor=2.0)
        for block in self.up:
            sample = block(torch.cat([sample, states[-1]], 1), emb)
            states = states[:-1]
        return self.out(sample)


def modulate(x, shift, scale):
    return x * (1 + scale.unsqueeze(1)) + shift.unsqueeze(1)


class DiTBlock(nn.Module):
    def __init__(self, mended: bool, dim: int = 16, heads: int = 4) -> None:
        super().__init__()
        self.mended = mended
        self.norm1 = nn.LayerNorm(dim, elementwise_affine=False, eps=1e-6)
        self.attn = nn.MultiheadAttention(dim, heads, batch_first=True)
        self.norm2 = nn.LayerNorm(dim, elementwise_affine=False, eps=1e-6)
        self.mlp = nn.Sequential(nn.Linear(dim, 4 * dim), nn.GELU("tanh"), nn.Linear(4 * dim, dim))
        self.ada = nn.Sequential(nn.SiLU(), nn.Linear(dim, 6 * dim))

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        shift_a, scale_a, gate_a, shift_m, scale_m, gate_m = self.ada(t).chunk(6, dim=1)
        if self.mended:
            y = modulate(self.norm1(x), shift_a, scale_a)
            x = x + gate_a.unsqueeze(1) * self.attn(y, y, y)[0]
        else:
            x = modulate(self.norm1(x), shift_a, scale_a)
            x = x + gate_a.unsqueeze(1) * self.attn(x, x, x)[0]
        y = modulate(self.norm2(x), shift_m, scale_m)
        return x + gate_m.unsqueeze(1) * self.mlp(y)


class DiT1d(nn.Module):
    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.x_proj, self.t_proj = nn.Linear(6, 16), nn.Linear(1, 16)
        self.blocks = nn.ModuleList(DiTBlock(mended) for _ in range(3))
        self.final = nn.Linear(16, 6)

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        x, t = self.x_proj(x), self.t_proj(t)
        for block in self.blocks:
            x = block(x, t)
        return self.final(x)


def zero_module(module):
    for p in module.parameters():
        nn.init.zeros_(p)
    return module


class CondResidual1D(nn.Module):
    def __init__(self, a: int, b: int) -> None:
        super().__init__()
        self.block = nn.Sequential(nn.Conv1d(a, b, 3, padding=1), nn.GroupNorm(4, b), nn.Mish())
        self.residual_conv = nn.Conv1d(a, b, 1) if a != b else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.block(x) + self.residual_conv(x)


class DiffControl(nn.Module):
    """A locked U-Net on actions, and a copy of its encoder with zero convolutions."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.mended = mended
        widths = (4, 8, 16)
        down = lambda: nn.ModuleList(CondResidual1D(a, b) for a, b in itertools.pairwise(widths))  # noqa: E731
        self.down_modules, self.copy_down = down(), down()
        self.controlnet_blocks = nn.ModuleList(zero_module(nn.Conv1d(b, b, 1)) for b in widths[1:])
        self.mid, self.copy_mid = CondResidual1D(16, 16), CondResidual1D(16, 16)
        self.mid_controlnet_block = zero_module(nn.Conv1d(16, 16, 1))
        self.up_modules = nn.ModuleList([CondResidual1D(32, 8), CondResidual1D(16, 8)])
        self.final = nn.Conv1d(8, 4, 1)

    def forward(self, x: Tensor, cond: Tensor) -> Tensor:
        h, h_hat, y = [], [], x + cond
        for i, (layer, copy) in enumerate(zip(self.down_modules, self.copy_down, strict=False)):
            x, y = layer(x), copy(y)
            h.append(x)
            h_hat.append(self.controlnet_blocks[i](y) if self.mended else y)
            x, y = F.avg_pool1d(x, 2), F.avg_pool1d(y, 2)
        x = self.mid(x) + self.mid_controlnet_block(self.copy_mid(y))
        for layer in self.up_modules:
            x = F.interpolate(x, scale_factor=2)
            x = layer(torch.cat((x, h.pop() + h_hat.pop()), dim=1))
        return self.final(x)


LATENT = ((2, 4, 16, 16), (2, 1), (2, 4, 16, 16))
CASES = (
    Case(
        "control-added-in-place",
        "huggingface/diffusers pull request 3234",
        "TS104",
        *twins(ControlledUNet),
        LATENT,
    ),
    Case(
        "adapter-added-twice",
        "huggingface/diffusers pull request 3932",
        "TS106",
        *twins(AdapterUNet),
        LATENT,
    ),
    Case(
        "dit-modulated-shortcut",
        "Josh00-Lu/DiffusionVeteran#3",
        "TS202",
        *twins(DiT1d),
        ((2, 5, 6), (2, 1)),
    ),
    Case(
        "zero-convolutions-unused",
        "ir-lab/Diff-Control#1",
        "TS108",
        *twins(DiffControl),
        ((2, 4, 16), (2, 4, 16)),
    ),
)
