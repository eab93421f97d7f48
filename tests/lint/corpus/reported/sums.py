"""Sums of the wrong values: added twice, to themselves, from the wrong place."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..case import Case, Maker, conv, net

TOKENS = ((2, 6, 8),)


def both(kind: type[nn.Module]) -> tuple[Maker, Maker]:
    return lambda: kind(False), lambda: kind(True)


def blocks(kind: type[nn.Module], times: int = 2) -> tuple[Maker, Maker]:
    return tuple(  # type: ignore[return-value]
        lambda mended=mended: net(*(kind(mended) for _ in range(times))) for mended in (False, True)
    )


class Attention(nn.Module):
    def __init__(self, dim: int = 8) -> None:
        super().__init__()
        self.qkv, self.out = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(x).chunk(3, -1)
        return self.out(torch.softmax(q @ k.transpose(1, 2) / 3, -1) @ v)


class FlatLattice(nn.Module):
    """A post-processing step is given the sublayer's output twice."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.attn, self.ff = Attention(), nn.Linear(8, 8)
        self.norm1, self.norm2, self.mended = nn.LayerNorm(8), nn.LayerNorm(8), mended

    def post(self, norm: nn.Module, before: Tensor, after: Tensor) -> Tensor:
        return norm(before + after)

    def forward(self, x: Tensor) -> Tensor:
        out = self.attn(x)
        out = self.post(self.norm1, x if self.mended else out, out)
        hidden = F.relu(self.ff(out))
        return self.post(self.norm2, out if self.mended else hidden, hidden)


class Block(nn.Module):
    def __init__(self, dim: int = 8) -> None:
        super().__init__()
        self.norm, self.mlp = nn.LayerNorm(dim), nn.Sequential(nn.Linear(dim, dim), nn.GELU())

    def forward(self, x: Tensor) -> Tensor:
        return x + self.mlp(self.norm(x))


class MambaHybrid(nn.Module):
    """The blocks are residual, and the loop that calls them adds their input again."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.blocks, self.mended = nn.ModuleList(Block() for _ in range(3)), mended

    def forward(self, hidden_states: Tensor) -> Tensor:
        for block in self.blocks:
            block_residual = hidden_states
            hidden_states = block(hidden_states)
            if not self.mended:
                hidden_states = hidden_states + block_residual
        return hidden_states


class MugenLayer(nn.Module):
    """The stream's name is given to the attention's result before the sum."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.attn, self.dropout, self.norm = Attention(), nn.Dropout(0.1), nn.LayerNorm(8)
        self.mended = mended

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.attn(self.norm(x))
        if not self.mended:
            x = hidden
        return x + self.dropout(hidden)


class DewarpDense(nn.Module):
    """A dense block whose layers after the first are never applied, only sums of sums."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            nn.Sequential(nn.BatchNorm2d(4), nn.ELU(), conv(4, 4)) for _ in range(4)
        )
        self.mended = mended

    def forward(self, inputs: Tensor) -> Tensor:
        outputs: list[Tensor] = []
        for i, layer in enumerate(self.layers):
            if i == 0:
                outputs.append(layer(inputs))
                continue
            total: Tensor | int = 0
            for output in outputs:
                total = total + output
            outputs.append(layer(total) if self.mended else total)  # type: ignore[arg-type]
        return outputs[-1]


class MacaronFeed(nn.Module):
    def __init__(self, own: bool) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.LayerNorm(8), nn.Linear(8, 16), nn.SiLU(), nn.Linear(16, 8))
        self.own = own

    def forward(self, x: Tensor) -> Tensor:
        return x + self.net(x) if self.own else self.net(x)


class Conformer(nn.Module):
    """The half-step feed-forward adds its input, and so does the block around it."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.ffn1, self.ffn2 = MacaronFeed(not mended), MacaronFeed(not mended)
        self.attn, self.norm = Attention(), nn.LayerNorm(8)

    def forward(self, x: Tensor) -> Tensor:
        x = x + 0.5 * self.ffn1(x)
        x = x + self.attn(x)
        x = x + 0.5 * self.ffn2(x)
        return self.norm(x)


class LiteFuse(nn.Module):
    """The fusion starts from the first scale and meets it again in its loop."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.first, self.down = conv(4, 4), nn.Conv2d(4, 4, 3, stride=2, padding=1)
        self.low, self.up = conv(4, 4), conv(4, 4, 1)
        self.fuse = nn.ModuleList([nn.Identity(), self.up])
        self.mended = mended

    def forward(self, x: Tensor) -> Tensor:
        out = [self.first(x), self.low(self.down(x))]
        y = out[0]
        for j in range(1 if self.mended else 0, 2):
            level = self.fuse[j](out[j])
            y = y + (level if j == 0 else F.interpolate(level, scale_factor=2.0))
        return F.relu(y)


class FlowResidual(nn.Module):
    """The projection is applied to the branch's result, and the input is added as it is."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.conv1, self.bn1 = conv(4, 4), nn.BatchNorm2d(4)
        self.conv2, self.bn2 = conv(4, 4), nn.BatchNorm2d(4)
        self.shortcut, self.mended = nn.Conv2d(4, 4, 1), mended

    def forward(self, x: Tensor) -> Tensor:
        res = x
        x = F.relu(self.bn1(self.conv1(x)))
        x = self.bn2(self.conv2(x))
        if self.mended:
            res = self.shortcut(res)
        else:
            x = self.shortcut(x)
        return F.relu(x + res)


class SpeckleGenerator(nn.Module):
    """The residual is taken once, before the loop over the blocks."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.input, self.output = conv(4, 8), conv(8, 3)
        self.residuals = nn.ModuleList(
            nn.Sequential(conv(8, 8), nn.PReLU(), conv(8, 8)) for _ in range(4)
        )
        self.mended = mended

    def forward(self, x: Tensor) -> Tensor:
        out = self.input(x)
        residual = out
        for block in self.residuals:
            out = block(out)
            out = out * 0.1
            out = torch.add(out, residual)
            if self.mended:
                residual = out
        return self.output(out)


class CrossResidual(nn.Module):
    """The cross-attention's residual is the memory, not the decoder's own stream."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.encoder, self.embed, self.self_attn = nn.Linear(8, 8), nn.Linear(8, 8), Attention()
        self.q, self.kv, self.norm = nn.Linear(8, 8), nn.Linear(8, 16), nn.LayerNorm(8)
        self.mended = mended

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        memory, x = torch.tanh(self.encoder(source)), self.embed(target)
        x = x + self.self_attn(x)
        k, v = self.kv(memory).chunk(2, -1)
        out = torch.softmax(self.q(x) @ k.transpose(1, 2), -1) @ v
        return self.norm((x if self.mended else memory) + out)


CASES = (
    Case(
        "flat-lattice",
        "LeeSureman/Flat-Lattice-Transformer#111",
        "TS106",
        *both(FlatLattice),
        TOKENS,
    ),
    Case("map-doubled", "yunzeliu/MAP#3", "TS106", *both(MambaHybrid), TOKENS),
    Case("mugen", "facebookresearch/multimodal#305", "TS106", *both(MugenLayer), TOKENS),
    Case(
        "dewarp-dense", "zhixinshu/DeformingAutoencoders-pytorch#8", "TS106", *blocks(DewarpDense)
    ),
    Case("conformer-half", "flashlight/flashlight#582", "TS106", *both(Conformer), TOKENS),
    Case("lite-hrnet", "HRNet/Lite-HRNet#64", "TS106", *blocks(LiteFuse)),
    Case("flow-shortcut", "TongTong313/rectified-flow#5", "TS204", *blocks(FlowResidual)),
    Case("speckle-loop", "LianpoWang/SpeckleSRGAN#16", "TS204", *both(SpeckleGenerator)),
    Case(
        "cross-residual",
        "georgepar/slp pull request 26",
        "TS204",
        *both(CrossResidual),
        ((2, 6, 8), (2, 6, 8)),
    ),
)
