"""What becomes of the stream: normalised, overwritten, promoted."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..case import Case, conv
from .sums import TOKENS, Attention, blocks, both

VOLUME = ((1, 4, 6, 6, 6),)


def feed_forward() -> nn.Module:
    return nn.Sequential(nn.Linear(8, 16), nn.GELU(), nn.Linear(16, 8))


class RnaBlock(nn.Module):
    """The first half adds to the normalised input, the second to the raw one."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.attn, self.mlp, self.mended = Attention(), feed_forward(), mended
        self.attn_norm, self.out_norm = nn.LayerNorm(8), nn.LayerNorm(8)

    def forward(self, x: Tensor) -> Tensor:
        if self.mended:
            x = x + self.attn(self.attn_norm(x))
        else:
            x = self.attn_norm(x)
            x = x + self.attn(x)
        return x + self.mlp(self.out_norm(x))


class NaViTBlock(nn.Module):
    """A pre-normalised attention, then the sum's own name is normalised."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.attn, self.mended = nn.Sequential(nn.LayerNorm(8), Attention()), mended
        self.norm, self.mlp = nn.LayerNorm(8), feed_forward()

    def forward(self, x: Tensor) -> Tensor:
        x = self.attn(x) + x
        if self.mended:
            return self.mlp(self.norm(x)) + x
        x = self.norm(x)
        return self.mlp(x) + x


class BookViTBlock(nn.Module):
    """Both sums of the block rest on the normalised input, in one expression."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.ln1, self.ln2, self.mended = nn.LayerNorm(8), nn.LayerNorm(8), mended
        self.attention, self.mlp = nn.MultiheadAttention(8, 2, batch_first=True), feed_forward()

    def attend(self, x: Tensor) -> Tensor:
        return self.attention(x, x, x, need_weights=False)[0]

    def forward(self, x: Tensor) -> Tensor:
        if self.mended:
            x = x + self.attend(self.ln1(x))
            return x + self.mlp(self.ln2(x))
        x = self.ln1(x)
        return x + self.mlp(self.ln2(x + self.attend(x)))


class RMSNorm(nn.Module):
    def __init__(self, dim: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(dim))

    def forward(self, x: Tensor) -> Tensor:
        return self.weight * x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6)


class RmsBlock(nn.Module):
    """The same slip with a normalisation written by hand."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.attn_norm, self.mlp_norm, self.mended = RMSNorm(8), RMSNorm(8), mended
        self.attn, self.mlp = Attention(), feed_forward()

    def forward(self, x: Tensor) -> Tensor:
        if self.mended:
            x = x + self.attn(self.attn_norm(x))
        else:
            x = self.attn_norm(x)
            x = x + self.attn(x)
        return x + self.mlp(self.mlp_norm(x))


class FFDecoder(nn.Module):
    """`inp += pos_emb` writes to the tensor that the caller adds afterwards."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.layers, self.mended = nn.Sequential(Attention(), nn.Linear(8, 8)), mended
        self.pos_emb = nn.Parameter(torch.randn(1, 6, 8))

    def forward(self, inp: Tensor) -> Tensor:
        if self.mended:
            inp = inp + self.pos_emb
        else:
            inp += self.pos_emb
        return self.layers(inp)


class Speech(nn.Module):
    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.encoder, self.decoder = nn.Linear(8, 8), FFDecoder(mended)

    def forward(self, x: Tensor) -> Tensor:
        encoded = self.encoder(x)
        return self.decoder(encoded) + encoded


class YarnRope(nn.Module):
    """Part of the input is scaled in place before it is turned."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.mended = mended
        self.register_buffer("angle", torch.arange(6.0)[:, None] * torch.tensor([1.0, 0.1]))

    def forward(self, x: Tensor) -> Tensor:
        if self.mended:
            x = x.clone()
        x[..., :4] = 1.5 * x[..., :4]
        a, b = x[..., 0:4:2], x[..., 1:4:2]
        cos, sin = self.angle.cos(), self.angle.sin()
        return torch.cat([a * cos - b * sin, a * sin + b * cos, x[..., 4:]], -1)


class RopeBlock(nn.Module):
    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.embed, self.rope, self.mix = nn.Linear(8, 8), YarnRope(mended), Attention()

    def forward(self, x: Tensor) -> Tensor:
        h = self.embed(x)
        return h + self.mix(self.rope(h))


class AutoRegressive(nn.Module):
    """`h = x` copies nothing, and the layers write into it."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.stem, self.mended = nn.Linear(8, 8), mended
        self.layers = nn.ModuleList(nn.Linear(8, 8) for _ in range(2))
        self.skip_layer = nn.Linear(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        h = x.clone() if self.mended else x
        for layer in self.layers:
            value = torch.tanh(layer(h))
            if self.mended:
                h = value
            else:
                h[...] = value
        return h + self.skip_layer(x)


class LateShortcut(nn.Module):
    """The branch begins in place, and the shortcut reads the input after it."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.residual = nn.Sequential(
            nn.BatchNorm2d(4), nn.ReLU(inplace=True), conv(4, 4), nn.BatchNorm2d(4)
        )
        self.pre, self.shortcut = nn.LeakyReLU(0.1, inplace=not mended), nn.Conv2d(4, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        resd = self.residual(self.pre(x))
        sc = self.shortcut(x)
        return resd + sc


class EarlyShortcut(nn.Module):
    """The other order: a convolution has kept the input that the branch overwrites."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.stem = nn.Sequential(conv(4, 4), nn.BatchNorm2d(4))
        self.residual = nn.Sequential(nn.ReLU(inplace=not mended), conv(4, 4), nn.BatchNorm2d(4))
        self.shortcut = nn.Conv2d(4, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        sc = self.shortcut(x)
        return self.residual(x) + sc


class VesselBlock(nn.Module):
    """In 3-D: the last rectifier's result is added to in place."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv3d(4, 4, 3, padding=1), nn.BatchNorm3d(4)
        self.conv2, self.bn2, self.mended = nn.Conv3d(4, 4, 3, padding=1), nn.BatchNorm3d(4), mended

    def forward(self, x: Tensor) -> Tensor:
        residual = x
        out = F.relu(self.bn1(self.conv1(x)))
        out = F.relu(self.bn2(self.conv2(out)))
        if self.mended:
            return out + residual
        out += residual
        return out


class Convolutional(nn.Module):
    def __init__(self, a: int, b: int, size: int, activate: str) -> None:
        super().__init__()
        self.conv = nn.Sequential(conv(a, b, size, bias=False), nn.BatchNorm2d(b))
        acts = {"relu": nn.ReLU(inplace=True), "mish": nn.Mish(), "leaky": nn.LeakyReLU(0.1, True)}
        self.act = acts[activate]

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.conv(x))


class CspBlock(nn.Module):
    """A block that was written for Mish, with the activation chosen by name."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        act = "mish" if mended else "relu"
        self.block = nn.Sequential(Convolutional(4, 2, 1, act), Convolutional(2, 4, 3, act))

    def forward(self, x: Tensor) -> Tensor:
        residual = x
        out = self.block(x)
        out += residual
        return out


class Sinusoidal(nn.Module):
    """Positions are made in forward, in float32 whatever the stream is."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.embed, self.mended = nn.Linear(8, 8), mended

    def forward(self, x: Tensor) -> Tensor:
        h = self.embed(x)
        length, dim = h.shape[1:]
        freq = torch.exp(torch.arange(0, dim, 2, device=h.device) * -0.5)
        angle = torch.arange(length, device=h.device)[:, None] * freq
        turn = torch.cat([angle.sin(), angle.cos()], -1)
        if self.mended:
            turn = turn.to(h.dtype)
        return h + torch.tanh(h) * turn


CASES = (
    Case("rna-norm", "lbcb-sci/RiNALMo#9", "TS202", *both(RnaBlock), TOKENS),
    Case("navit-norm", "Project-MONAI/MONAI pull request 9011", "TS202", *both(NaViTBlock), TOKENS),
    Case("book-vit", "d2l-ai/d2l-en pull request 2283", "TS202", *both(BookViTBlock), TOKENS),
    Case("rms-norm", "lbcb-sci/RiNALMo#9, with RMSNorm", "TS202", *both(RmsBlock), TOKENS),
    Case("nemo-position", "NVIDIA-NeMo/Speech pull request 7440", "TS104", *both(Speech), TOKENS),
    Case("yarn-scale", "ml-explore/mlx-lm pull request 1003", "TS104", *both(RopeBlock), TOKENS),
    Case("alias-ellipsis", "pyro-ppl/pyro#3154", "TS104", *both(AutoRegressive), TOKENS),
    Case("late-shortcut", "pytorch/pytorch#15428", "TS104", *blocks(LateShortcut)),
    Case("early-shortcut", "pytorch/pytorch#15428", "TS112", *blocks(EarlyShortcut)),
    Case("vessel-add", "iMED-Lab/ER-Net pull request 3", "TS112", *both(VesselBlock), VOLUME),
    Case("csp-relu", "argusswift/YOLOv4-pytorch#247", "TS112", *blocks(CspBlock)),
    Case(
        "sinusoidal-float",
        "huggingface/transformers pull request 13665",
        "TS110",
        *both(Sinusoidal),
        TOKENS,
    ),
)
