"""What shows in training: gradients, masks, starts."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..case import Case, conv
from .sums import TOKENS, Attention, blocks, both

SERIES = ((2, 4, 24),)


def drop_path(x: Tensor, p: float, training: bool, divide: float | None = None) -> Tensor:
    if p == 0.0 or not training:
        return x
    keep = 1 - p
    shape = (x.shape[0],) + (1,) * (x.ndim - 1)
    mask = x.new_empty(shape).bernoulli_(keep)
    return x * mask / (keep if divide is None else divide)


class DropPath(nn.Module):
    def __init__(self, p: float = 0.2) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        return drop_path(x, self.p, self.training)


class AdaptImage(nn.Module):
    """CLIP's layout is tokens first; the mask falls on the tokens."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.ln, self.mlp = nn.LayerNorm(8), nn.Sequential(nn.Linear(8, 8), nn.GELU())
        self.drop_path, self.mended = DropPath(), mended

    def forward(self, x: Tensor) -> Tensor:
        x = x.permute(1, 0, 2)
        h = self.mlp(self.ln(x))
        if self.mended:
            x = x + self.drop_path(h.permute(1, 0, 2)).permute(1, 0, 2)
        else:
            x = x + self.drop_path(h)
        return x.permute(1, 0, 2)


class NasBlock(nn.Module):
    """The documented use of a drop path, on the identity."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.conv = nn.Sequential(conv(4, 4, bias=False), nn.BatchNorm2d(4), nn.ReLU())
        self.drop_path, self.mended = DropPath(), mended

    def forward(self, x: Tensor) -> Tensor:
        if self.mended:
            return x + self.drop_path(self.conv(x))
        return self.drop_path(x) + self.conv(x)


class InvertedResidual(nn.Module):
    """A channel dropout under the name of drop connect."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.expand, self.dw = nn.Conv2d(4, 8, 1), conv(8, 8, groups=8)
        self.project, self.bn = nn.Conv2d(8, 4, 1), nn.BatchNorm2d(4)
        self.drop_connect = DropPath() if mended else nn.Dropout2d(0.2)

    def forward(self, x: Tensor) -> Tensor:
        out = F.silu(self.dw(F.silu(self.expand(x))))
        return x + self.drop_connect(self.bn(self.project(out)))


class HybridDrop(nn.Module):
    """The surviving rows are divided by the chance to be dropped."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.body, self.mended = nn.Sequential(conv(4, 4), nn.BatchNorm2d(4)), mended

    def forward(self, x: Tensor) -> Tensor:
        y = self.body(x)
        return x + drop_path(y, 0.2, self.training, None if self.mended else 0.2)


class Extractor(nn.Module):
    """Wraps an encoder and hands out what its hook has kept."""

    def __init__(self, body: nn.Module, layer: nn.Module, detach: bool) -> None:
        super().__init__()
        self.body, self.latents, self.detach = body, None, detach
        layer.register_forward_hook(self.keep)

    def keep(self, _module: nn.Module, _inputs: object, output: Tensor) -> None:
        self.latents = output.clone().detach() if self.detach else output  # type: ignore

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.body(x), self.latents  # type: ignore[return-value]


class Captioner(nn.Module):
    """A decoder that fuses the tokens of an extractor which detaches them."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        body = nn.Sequential(conv(4, 8), nn.ReLU(), nn.MaxPool2d(2), conv(8, 8))
        self.extract = Extractor(body, body[1], not mended)
        self.up, self.fuse = nn.ConvTranspose2d(8, 8, 2, 2), conv(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        deep, tokens = self.extract(x)
        return self.fuse(F.relu(self.up(deep) + tokens))


class QuestionAttention(nn.Module):
    """A softmax over scores of shape (length * batch, 1)."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.rnn, self.attn, self.mended = nn.Linear(8, 8), nn.Linear(16, 1), mended

    def forward(self, x: Tensor) -> Tensor:
        outputs = torch.tanh(self.rnn(x))
        scores = self.attn(torch.cat((x, outputs), 2))
        weights = torch.softmax(scores, dim=1 if self.mended else 2)
        return x + weights * outputs


class CapsuleAttention(nn.Module):
    """Two maps are weighed, each by a softmax of its own single score."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.a, self.b, self.mended = conv(4, 4), conv(4, 4, 5), mended
        self.score = nn.Linear(4, 1)

    def forward(self, x: Tensor) -> Tensor:
        maps = torch.stack([F.relu(self.a(x)), F.relu(self.b(x))], 1)
        score = self.score(maps.mean((3, 4)))
        weight = torch.softmax(score, dim=1 if self.mended else 2)
        return x + (maps * weight[..., None, None]).sum(1)


class ZeroBlock(nn.Module):
    """An 'identity' start that sets every layer of the branch to zero."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.c1, self.c2 = nn.Conv1d(4, 4, 3, padding=1), nn.Conv1d(4, 4, 3, padding=1)
        for layer in (self.c2,) if mended else (self.c1, self.c2):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        return x + self.c2(F.elu(self.c1(x)))


class PlainResidual(nn.Module):
    """ResNet without its normalisation, at He's start."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.conv1, self.conv2 = conv(4, 16), conv(16, 4)
        self.scale = 0.1 if mended else 1.0
        for layer in (self.conv1, self.conv2):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        return x + self.scale * self.conv2(F.relu(self.conv1(x)))


class TokensFirst(nn.Module):
    """A post-norm layer whose mask keeps or drops the whole sum."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.attn, self.norm, self.drop, self.mended = (
            Attention(),
            nn.LayerNorm(8),
            DropPath(),
            mended,
        )

    def forward(self, x: Tensor) -> Tensor:
        if self.mended:
            return self.norm(x + self.drop(self.attn(x)))
        return self.norm(self.drop(x + self.attn(x)))


CASES = (
    Case(
        "adapt-tokens",
        "taoyang1122/adapt-image-models#50",
        "TS111",
        *both(AdaptImage),
        ((4, 6, 8),),
    ),
    Case("nas-identity", "Deci-AI/super-gradients pull request 1221", "TS111", *blocks(NasBlock)),
    Case(
        "channel-drop",
        "WZMIAOMIAO/deep-learning-for-image-processing pull request 267",
        "TS111",
        *blocks(InvertedResidual),
    ),
    Case("hybrid-divide", "ayrna/dlordinal pull request 138", "TS111", *blocks(HybridDrop)),
    Case(
        "post-norm-drop",
        "Huang et al., 2016, eq. 2, on a post-norm layer",
        "TS111",
        *both(TokensFirst),
        TOKENS,
    ),
    Case("extractor-detach", "lucidrains/CoCa-pytorch#6", "TS105", *both(Captioner)),
    Case("question-softmax", "DEEP-PolyU/KEQA_WSDM19#2", "TS205", *both(QuestionAttention), TOKENS),
    Case(
        "capsule-softmax",
        "phanideepgampa/stacked-capsule-networks pull request 5",
        "TS205",
        *blocks(CapsuleAttention),
    ),
    Case("zero-block", "DrChainsaw/NaiveGAflux.jl#39", "TS205", *both(ZeroBlock), SERIES),
    Case("plain-residual", "huangleiBuaa/ONI#1", "TS304", *blocks(PlainResidual, 6)),
)
