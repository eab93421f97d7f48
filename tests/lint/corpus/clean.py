"""Correct models that look suspicious: nothing here may be called an error."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from .case import Clean, conv, maker, net
from .droppath import Block, DropPath


class ConvNeXt(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.dw, self.norm = conv(4, 4, 7, groups=4), nn.LayerNorm(4)
        self.pw1, self.pw2 = nn.Linear(4, 16), nn.Linear(16, 4)
        self.gamma = nn.Parameter(1e-6 * torch.ones(4))
        self.drop = DropPath(0.1)

    def forward(self, x: Tensor) -> Tensor:
        h = self.norm(self.dw(x).permute(0, 2, 3, 1))
        h = self.gamma * self.pw2(F.gelu(self.pw1(h)))
        return x + self.drop(h.permute(0, 3, 1, 2))


class NFBlock(nn.Module):
    """Normaliser-free: the activation is scaled and shared by shortcut and branch."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2, self.down = conv(4, 4), conv(4, 4), conv(4, 4, 1)
        self.skip_gain = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(x) * 0.9
        shortcut = self.down(out)
        return self.conv2(F.relu(self.conv1(out))) * 0.2 * self.skip_gain + shortcut


class ReZero(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(conv(4, 4), nn.ReLU(inplace=True), conv(4, 4))
        self.alpha = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.alpha * self.body(x)


class PreAct(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.bn1, self.conv1 = nn.BatchNorm2d(4), conv(4, 4)
        self.bn2, self.conv2 = nn.BatchNorm2d(4), conv(4, 4)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        out = self.conv1(self.relu(self.bn1(x)))
        out = self.conv2(self.relu(self.bn2(out)))
        out += x
        return out


class PreActShared(PreAct):
    """He 2016's first unit of a stage: the shortcut starts after the activation."""

    def forward(self, x: Tensor) -> Tensor:
        pre = F.relu(self.bn1(x))
        return pre + self.conv2(self.relu(self.bn2(self.conv1(pre))))


class PostAct(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1 = conv(4, 4), nn.BatchNorm2d(4)
        self.conv2, self.bn2 = conv(4, 4), nn.BatchNorm2d(4)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        identity = x
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        out += identity
        return self.relu(out)


class Reversible(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.f, self.g = conv(2, 2), conv(2, 2)

    def forward(self, x: Tensor) -> Tensor:
        a, b = x.chunk(2, 1)
        a = a + F.relu(self.f(b))
        b = b + F.relu(self.g(a))
        return torch.cat([a, b], 1)


class Highway(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.h, self.t = conv(4, 4), conv(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        t = torch.sigmoid(self.t(x))
        return t * F.relu(self.h(x)) + (1 - t) * x


class Recurrent(nn.Module):
    """Recurrent convolution (RCL, R2U-Net): one layer unrolled in time, on purpose."""

    def __init__(self) -> None:
        super().__init__()
        self.feed, self.recur = conv(4, 4), conv(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        fed = self.feed(x)
        state = F.relu(fed)
        for _ in range(3):
            state = F.relu(fed + self.recur(state))
        return state


class Siamese(nn.Module):
    """A target branch without gradient beside an online one, as in BYOL and SimSiam."""

    def __init__(self) -> None:
        super().__init__()
        self.encode, self.predict = nn.Sequential(conv(4, 4), nn.BatchNorm2d(4)), conv(4, 4, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        z = self.encode(x)
        with torch.no_grad():
            target = self.encode(x.flip(-1))
        return self.predict(z), target.detach()


class StopGradientHead(nn.Module):
    """A probe on detached features."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.main, self.probe = PostAct(), nn.Linear(4, 3), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        f = self.body(x).mean((2, 3))
        return self.main(f), self.probe(f.detach())


class Quantizer(nn.Module):
    """Straight-through estimator: `x + (q - x).detach()` is the point of it."""

    def __init__(self) -> None:
        super().__init__()
        self.enc, self.dec = conv(4, 4), conv(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        z = self.enc(x)
        q = torch.round(z)
        return self.dec(z + (q - z).detach())


class Auxiliary(nn.Module):
    """A head that runs in training only."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = PostAct(), PostAct()
        self.head, self.aux = nn.Linear(4, 3), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        mid = self.a(x)
        out = self.head(self.b(mid).mean((2, 3)))
        return (out, self.aux(mid.mean((2, 3)))) if self.training else out


class SqueezeExcite(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.down, self.up = conv(4, 4), conv(4, 2, 1), conv(2, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv(x)
        s = F.adaptive_avg_pool2d(h, 1)
        return x + h * torch.sigmoid(self.up(F.relu(self.down(s), inplace=True)))


class AttentionGate(nn.Module):
    """Attention U-Net's gate: one map for all channels of the skip."""

    def __init__(self) -> None:
        super().__init__()
        self.theta, self.phi, self.psi = conv(4, 2, 1), conv(4, 2, 1), conv(2, 1, 1)
        self.down, self.dec = conv(4, 4, stride=2), conv(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        g = F.interpolate(F.relu(self.down(x)), size=x.shape[2:])
        alpha = torch.sigmoid(self.psi(F.relu(self.theta(x) + self.phi(g))))
        return self.dec(torch.cat([x * alpha, g], 1))


class TimeEmbedding(nn.Module):
    """A diffusion model's residual block: the time embedding is a bias per channel."""

    def __init__(self) -> None:
        super().__init__()
        self.norm1, self.conv1 = nn.GroupNorm(2, 4), conv(4, 4)
        self.norm2, self.conv2 = nn.GroupNorm(2, 4), conv(4, 4)
        self.time = nn.Sequential(nn.SiLU(), nn.Linear(6, 4))

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        h = self.conv1(F.silu(self.norm1(x)))
        h = h + self.time(t)[:, :, None, None]
        return x + self.conv2(F.silu(self.norm2(h)))


class GlobalContext(nn.Module):
    """GCNet: a context vector is added to every position."""

    def __init__(self) -> None:
        super().__init__()
        self.mask = conv(4, 1, 1)
        self.transform = nn.Sequential(
            conv(4, 2, 1), nn.LayerNorm([2, 1, 1]), nn.ReLU(), conv(2, 4, 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        n, c = x.shape[:2]
        weight = self.mask(x).flatten(2).softmax(-1)
        context = (x.flatten(2) @ weight.mT).view(n, c, 1, 1)
        return x + self.transform(context)


class NonLocal(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.q, self.k, self.v, self.out = (
            conv(4, 2, 1),
            conv(4, 2, 1),
            conv(4, 4, 1),
            conv(4, 4, 1),
        )
        self.gamma = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.q(x).flatten(2), self.k(x).flatten(2), self.v(x).flatten(2)
        y = (v @ (q.mT @ k).softmax(-1).mT).view_as(x)
        return x + self.gamma * self.out(y)


class CoordinateAttention(nn.Module):
    """Height and width statistics meet by broadcasting, as designed."""

    def __init__(self) -> None:
        super().__init__()
        self.h, self.w = conv(4, 4, 1), conv(4, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        rows, columns = x.mean(3, keepdim=True), x.mean(2, keepdim=True)
        return x * torch.sigmoid(self.h(rows)) * torch.sigmoid(self.w(columns))


class RelativeBias(nn.Module):
    """Row and column embeddings summed to a map: an outer sum on purpose, of parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.rows = nn.Parameter(torch.randn(1, 4, 16, 1))
        self.columns = nn.Parameter(torch.randn(1, 4, 1, 16))
        self.conv = conv(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x + self.rows + self.columns)


class StripPooling(nn.Module):
    """SPNet: pooled rows and columns are added to a map by broadcasting, then gate it."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = (
            nn.Conv2d(4, 4, (3, 1), padding=(1, 0)),
            nn.Conv2d(4, 4, (1, 3), padding=(0, 1)),
        )
        self.out = conv(4, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        h = self.a(x.mean(3, keepdim=True)).expand_as(x)
        w = self.b(x.mean(2, keepdim=True)).expand_as(x)
        return x * torch.sigmoid(self.out(F.relu(h + w)))


class LayerScaleLoop(nn.Module):
    """Universal transformer style: one block applied several times, by contract."""

    def __init__(self) -> None:
        super().__init__()
        self.block, self.steps = PreAct(), 3

    def forward(self, x: Tensor) -> Tensor:
        for _ in range(self.steps):
            x = self.block(x)
        return x


class Checkpointed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.block = PostAct()

    def forward(self, x: Tensor) -> Tensor:
        return checkpoint(self.block, x, use_reentrant=False)  # type: ignore[no-any-return]


class Dense(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            nn.Sequential(nn.BatchNorm2d(4 + 4 * i), nn.ReLU(inplace=True), conv(4 + 4 * i, 4))
            for i in range(3)
        )
        self.close = conv(16, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        features = [x]
        for layer in self.layers:
            features.append(layer(torch.cat(features, 1)))
        return self.close(torch.cat(features, 1))


class Res2(nn.Module):
    """Res2Net: splits meet in a chain of sums, one split is passed on untouched."""

    def __init__(self) -> None:
        super().__init__()
        self.convs = nn.ModuleList(conv(1, 1) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        parts = x.chunk(4, 1)
        out, y = [], parts[0]
        for i, layer in enumerate(self.convs):
            y = F.relu(layer(parts[i] if i == 0 else y + parts[i]))
            out.append(y)
        return x + torch.cat([*out, parts[3]], 1)


class TwoBranches(nn.Module):
    """RepVGG while training: convolutions and identity side by side."""

    def __init__(self) -> None:
        super().__init__()
        self.c3 = nn.Sequential(conv(4, 4, bias=False), nn.BatchNorm2d(4))
        self.c1 = nn.Sequential(conv(4, 4, 1, bias=False), nn.BatchNorm2d(4))
        self.identity = nn.BatchNorm2d(4)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.c3(x) + self.c1(x) + self.identity(x))


class Difference(nn.Module):
    """PoolFormer: `pool(x) - x` inside a residual is the design."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.pool = nn.GroupNorm(1, 4), nn.AvgPool2d(3, 1, 1, count_include_pad=False)

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(x)
        return x + (self.pool(y) - y)


class Interpolating(nn.Module):
    """U-Net that resizes to its skip, so that every size fits."""

    def __init__(self) -> None:
        super().__init__()
        self.enc, self.mid, self.dec = conv(4, 4), conv(4, 4), conv(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        e = F.relu(self.enc(x))
        m = F.relu(self.mid(F.max_pool2d(e, 2)))
        up = F.interpolate(m, size=e.shape[2:], mode="bilinear", align_corners=False)
        return self.dec(torch.cat([e, up], 1))


class SizeChecked(nn.Module):
    """Says itself which sizes it takes."""

    def __init__(self) -> None:
        super().__init__()
        self.enc, self.mid, self.dec = conv(4, 4), conv(4, 4), conv(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        if x.shape[-1] % 2 or x.shape[-2] % 2:
            raise ValueError(f"height and width must be even, not {tuple(x.shape[2:])}")
        e = F.relu(self.enc(x))
        m = F.relu(self.mid(F.max_pool2d(e, 2)))
        return self.dec(torch.cat([e, F.interpolate(m, scale_factor=2)], 1))


class MixedPrecision(nn.Module):
    """Computes the normalisation in float32 and casts back."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.conv = nn.GroupNorm(1, 4), conv(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        h = self.norm(x.float()).to(x.dtype)
        return x + self.conv(h)


class PostNorm(nn.Module):
    """The original transformer's order: normalise after the addition."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.conv = nn.GroupNorm(1, 4), conv(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(x + self.conv(x))


class BatchMemory(nn.Module):
    """Two views of the batch are stacked along the batch, run once, and split again."""

    def __init__(self) -> None:
        super().__init__()
        self.block = PostAct()

    def forward(self, x: Tensor) -> Tensor:
        both = self.block(torch.cat([x, x.flip(-1)], 0))
        a, b = both.chunk(2, 0)
        return a + b.flip(-1)


class FrozenBackbone(nn.Module):
    """A backbone frozen by the training recipe, then trainable residual blocks."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone, self.block = conv(4, 4).requires_grad_(False), PostAct()

    def forward(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            f = self.backbone(x)
        return self.block(f)


class ScaledIdentity(nn.Module):
    """`2 * x + f(x)`, written as a product: a scaled identity."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = conv(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        return (2 * x + self.conv(x)) / 3


class SharedActivation(nn.Module):
    """Stateless modules are reused everywhere, as is common."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.act, self.pool = (
            conv(4, 4),
            conv(4, 4),
            nn.ReLU(True),
            nn.MaxPool2d(3, 1, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        h = self.act(self.a(x))
        h = self.pool(self.act(self.b(self.pool(h))))
        return x + h


class Volume(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv3d(2, 2, 3, padding=1), nn.InstanceNorm3d(2), nn.LeakyReLU(inplace=True),
            nn.Conv3d(2, 2, 3, padding=1),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        out = self.body(x)
        out += x
        return F.leaky_relu_(out)


class Wave(nn.Module):
    """WaveNet: gated residual, skip outputs summed over the layers."""

    def __init__(self) -> None:
        super().__init__()
        self.filters = nn.ModuleList(
            nn.Conv1d(4, 8, 3, padding=2**i, dilation=2**i) for i in range(3)
        )
        self.residuals = nn.ModuleList(nn.Conv1d(4, 4, 1) for _ in range(3))
        self.skips = nn.ModuleList(nn.Conv1d(4, 4, 1) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        total: Tensor | int = 0
        for f, r, s in zip(self.filters, self.residuals, self.skips, strict=True):
            a, b = f(x).chunk(2, 1)
            z = torch.tanh(a) * torch.sigmoid(b)
            total = total + s(z)
            x = x + r(z)
        return F.relu(total)  # type: ignore[arg-type]


CLEAN = (
    Clean("convnext", "Liu 2022, layer scale and stochastic depth", maker(ConvNeXt)),
    Clean("nfnet", "Brock 2021, zero-initialised skip gain", maker(NFBlock)),
    Clean("rezero", "Bachlechner 2020", maker(ReZero)),
    Clean("preact", "He 2016, in-place after normalisation, `out += x`", maker(PreAct)),
    Clean("preact_shared", "He 2016, first unit of a stage", maker(PreActShared)),
    Clean("postact", "torchvision's block, everything in place", maker(PostAct)),
    Clean("reversible", "Gomez 2017", maker(Reversible)),
    Clean("highway", "Srivastava 2015", maker(Highway)),
    Clean("recurrent", "Alom 2018, a layer unrolled on purpose", maker(Recurrent)),
    Clean("siamese", "Chen 2021, stop-gradient target", Siamese),
    Clean("stop_gradient_head", "linear probe on detached features", StopGradientHead),
    Clean("quantizer", "van den Oord 2017, straight-through", Quantizer),
    Clean("auxiliary", "Szegedy 2015, a head for training only", Auxiliary),
    Clean("squeeze_excite", "Hu 2018", maker(SqueezeExcite)),
    Clean("attention_gate", "Oktay 2018", maker(AttentionGate)),
    Clean("time_embedding", "Ho 2020", TimeEmbedding, ((2, 4, 16, 16), (2, 6))),
    Clean("global_context", "Cao 2019", maker(GlobalContext)),
    Clean("non_local", "Wang 2018 and Zhang 2019, zero gamma", maker(NonLocal)),
    Clean("coordinate_attention", "Hou 2021", maker(CoordinateAttention)),
    Clean("relative_bias", "axial position embeddings", RelativeBias),
    Clean("strip_pooling", "Hou 2020", maker(StripPooling)),
    Clean("layer_loop", "one block applied several times", maker(LayerScaleLoop, times=1)),
    Clean("checkpointed", "activation checkpointing", maker(Checkpointed)),
    Clean("dense", "Huang 2017", maker(Dense)),
    Clean("res2", "Gao 2019", maker(Res2)),
    Clean("repvgg", "Ding 2021", maker(TwoBranches)),
    Clean("poolformer", "Yu 2022", maker(Difference)),
    Clean("interpolating", "a U-Net for every size", Interpolating),
    Clean("size_checked", "a U-Net that refuses odd sizes itself", SizeChecked),
    Clean("mixed_precision", "float32 islands", maker(MixedPrecision)),
    Clean("post_norm", "Vaswani 2017", maker(PostNorm)),
    Clean("batch_memory", "two views in one batch", BatchMemory),
    Clean("frozen_backbone", "transfer learning", FrozenBackbone),
    Clean("scaled_identity", "2x + f(x) on purpose", maker(ScaledIdentity)),
    Clean("shared_activation", "stateless modules reused", maker(SharedActivation)),
    Clean("residual_volume", "3-D block", lambda: nn.Sequential(Volume(), Volume()),
          ((1, 2, 8, 8, 8),)),
    Clean("wavenet", "van den Oord 2016", Wave, ((2, 4, 32),)),
    Clean("drop_path", "per sample", lambda: net(Block("branch"), Block("branch"))),
)  # fmt: skip
