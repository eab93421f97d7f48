"""Correct designs on images that look like faults: no rule may call them errors."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..case import Clean, conv, maker

WIDE = ((1, 3, 32, 32),)


class SimSiam(nn.Module):
    """The target side of each pair carries no gradient."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(
            conv(4, 8), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(1)
        )
        self.predictor = nn.Sequential(
            nn.Linear(8, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 8)
        )

    def forward(self, x1: Tensor, x2: Tensor) -> tuple[Tensor, ...]:
        z1, z2 = self.encoder(x1).flatten(1), self.encoder(x2).flatten(1)
        return self.predictor(z1), self.predictor(z2), z1.detach(), z2.detach()


class BootstrapTwins(nn.Module):
    """A momentum copy runs without a gradient, and the loss is part of forward."""

    def __init__(self) -> None:
        super().__init__()
        self.online, self.target = (nn.Sequential(conv(4, 8), nn.ReLU(), conv(8, 4)) for _ in "ab")
        self.predictor = nn.Conv2d(4, 4, 1)
        for p in self.target.parameters():
            p.requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        guess = self.predictor(self.online(x))
        with torch.no_grad():
            goal = self.target(torch.flip(x, (3,)))
        return 2 - 2 * F.cosine_similarity(guess.flatten(1), goal.flatten(1)).mean()


class DepthAttention(nn.Module):
    """A learnt scale that starts at zero."""

    def __init__(self) -> None:
        super().__init__()
        self.q, self.k, self.v = (nn.Conv2d(4, c, 1) for c in (2, 2, 4))
        self.gamma = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        b, c, h, w = x.shape
        q, k = self.q(x).flatten(2).transpose(1, 2), self.k(x).flatten(2)
        a = torch.softmax(torch.bmm(q, k), -1)
        out = torch.bmm(self.v(x).flatten(2), a.transpose(1, 2)).view(b, c, h, w)
        return self.gamma * out + x


class NonLocal(nn.Module):
    """The last normalisation of the branch starts at zero, weight and bias."""

    def __init__(self) -> None:
        super().__init__()
        self.g, self.theta, self.phi = (nn.Conv2d(4, 2, 1) for _ in range(3))
        self.w = nn.Sequential(nn.Conv2d(2, 4, 1), nn.BatchNorm2d(4))
        nn.init.zeros_(self.w[1].weight)  # type: ignore[arg-type]
        nn.init.zeros_(self.w[1].bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        b, _, h, w = x.shape
        g = self.g(F.max_pool2d(x, 2)).flatten(2).transpose(1, 2)
        f = self.theta(x).flatten(2).transpose(1, 2) @ self.phi(F.max_pool2d(x, 2)).flatten(2)
        y = (f / f.shape[-1]) @ g
        return self.w(y.transpose(1, 2).reshape(b, 2, h, w)) + x


class StochasticDepth(nn.Module):
    """Drops the branch for the whole batch at once, as the paper has it."""

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return x
        noise = torch.empty([1] * x.ndim, dtype=x.dtype).bernoulli_(1 - self.p)
        return x * noise / (1 - self.p)


class BatchDepth(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body, self.depth = nn.Sequential(conv(4, 4), nn.BatchNorm2d(4)), StochasticDepth(0.2)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x + self.depth(self.body(x)))


class Exits(nn.Module):
    """Every stage has a classifier; all of them are outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = conv(3, 4)
        self.stages = nn.ModuleList(nn.Sequential(conv(4, 4), nn.BatchNorm2d(4)) for _ in range(3))
        self.exits = nn.ModuleList(nn.Linear(4, 5) for _ in range(3))

    def forward(self, x: Tensor) -> list[Tensor]:
        x, logits = self.stem(x), []
        for stage, head in zip(self.stages, self.exits, strict=True):
            x = F.relu(x + stage(x))
            logits.append(head(x.mean((2, 3))))
        return logits


class DeepSupervision(nn.Module):
    """Auxiliary heads run in training alone."""

    def __init__(self) -> None:
        super().__init__()
        self.e1, self.e2, self.d1 = conv(4, 4), conv(4, 8), conv(12, 4)
        self.aux, self.head = nn.Conv2d(8, 2, 1), nn.Conv2d(4, 2, 1)

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        a = F.relu(self.e1(x))
        b = F.relu(self.e2(F.max_pool2d(a, 2)))
        up = F.interpolate(b, size=a.shape[2:], mode="nearest")
        out = self.head(F.relu(self.d1(torch.cat([a, up], 1))))
        return (out, self.aux(b)) if self.training else out


class SuperResolution(nn.Module):
    """The picture itself is enlarged and added to what the pixel shuffle gives."""

    def __init__(self) -> None:
        super().__init__()
        self.head, self.body = conv(3, 8), nn.ModuleList(conv(8, 8) for _ in range(2))
        self.tail = nn.Sequential(conv(8, 12), nn.PixelShuffle(2))
        self.register_buffer("mean", torch.tensor([0.4, 0.5, 0.4]).view(1, 3, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        x = x - self.mean
        h = start = self.head(x)
        for layer in self.body:
            h = h + 0.1 * layer(F.relu(h))
        out = self.tail(h + start)
        return out + F.interpolate(x, scale_factor=2.0, mode="bicubic") + self.mean


class Reversible(nn.Module):
    """Two half streams, each added to by a function of the other."""

    def __init__(self) -> None:
        super().__init__()
        self.f, self.g = conv(2, 2), conv(2, 2)

    def forward(self, x: Tensor) -> Tensor:
        x1, x2 = x.chunk(2, 1)
        y1 = x1 + self.f(x2)
        return torch.cat([y1, x2 + self.g(y1)], 1)


class Coupling(nn.Module):
    """A flow's affine coupling: half of the input passes as it is."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(conv(2, 8), nn.ReLU(), conv(8, 4))
        nn.init.zeros_(self.net[2].weight)  # type: ignore[arg-type]
        nn.init.zeros_(self.net[2].bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        a, b = x.chunk(2, 1)
        s, t = self.net(a).chunk(2, 1)
        s = torch.tanh(s)
        return torch.cat([a, b * torch.exp(s) + t], 1), s.sum((1, 2, 3))


class NoiseInjection(nn.Module):
    """One noise map for all channels, weighed for each."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.weight = conv(4, 4), nn.Parameter(torch.zeros(1, 4, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        noise = torch.randn(x.shape[0], 1, *x.shape[2:], device=x.device)
        return F.leaky_relu(x + self.weight * noise, 0.2)


class Frozen(nn.Module):
    """A frozen backbone under no_grad, a decoder with its features, trained."""

    def __init__(self) -> None:
        super().__init__()
        self.low, self.deep = conv(3, 4), nn.Conv2d(4, 8, 3, 2, 1)
        self.dec = conv(12, 4)
        for p in (*self.low.parameters(), *self.deep.parameters()):
            p.requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            a = F.relu(self.low(x))
            b = F.relu(self.deep(a))
        return self.dec(torch.cat([a, F.interpolate(b, size=a.shape[2:])], 1))


class BiFusion(nn.Module):
    """Fast normalised fusion: positive weights that sum to one."""

    def __init__(self) -> None:
        super().__init__()
        self.p3, self.p4, self.out = conv(4, 4), nn.Conv2d(4, 4, 3, 2, 1), conv(4, 4)
        self.w = nn.Parameter(torch.ones(2))

    def forward(self, x: Tensor) -> Tensor:
        fine, coarse = self.p3(x), self.p4(x)
        w = F.relu(self.w)
        w = w / (w.sum() + 1e-4)
        up = F.interpolate(coarse, size=fine.shape[2:], mode="nearest")
        return self.out(F.silu(w[0] * fine + w[1] * up))


class Pyramid(nn.Module):
    """Lateral 1x1 layers, a top-down path, an extra level by subsampling."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.ModuleList(nn.Conv2d(a, b, 3, 2, 1) for a, b in ((3, 4), (4, 8), (8, 16)))
        self.lateral = nn.ModuleList(nn.Conv2d(c, 6, 1) for c in (4, 8, 16))
        self.smooth = nn.ModuleList(conv(6, 6) for _ in range(3))

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        maps = []
        for layer, lateral in zip(self.body, self.lateral, strict=True):
            x = F.relu(layer(x))
            maps.append(lateral(x))
        for i in (1, 0):
            maps[i] = maps[i] + F.interpolate(maps[i + 1], size=maps[i].shape[-2:])
        outs = {f"p{i}": s(m) for i, (s, m) in enumerate(zip(self.smooth, maps, strict=True))}
        outs["pool"] = F.max_pool2d(outs["p2"], 1, 2)
        return outs


class HighPass(nn.Module):
    """What a blur leaves over goes through the layers, and is put back."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(conv(4, 4), nn.ReLU(), conv(4, 4))

    def forward(self, x: Tensor) -> Tensor:
        low = F.avg_pool2d(x, 5, 1, 2)
        return low + self.body(x - low)


CLEAN = (
    Clean("simsiam", "stop-gradient on the targets", SimSiam, ((4, 4, 16, 16),) * 2),
    Clean("bootstrap-twins", "an EMA target under no_grad", BootstrapTwins),
    Clean("depth-attention", "harlanhong/CVPR2022-DaGAN#14", maker(DepthAttention)),
    Clean("non-local", "AlexHex7/Non-local_pytorch#38", maker(NonLocal)),
    Clean("batch-depth", "felixgwu/img_classification_pk_pytorch#3", maker(BatchDepth)),
    Clean("exits", "BranchyNet", Exits, WIDE),
    Clean("deep-supervision", "Sllambias/yucca pull request 68", DeepSupervision),
    Clean("super-resolution", "EDSR with a bicubic skip", SuperResolution, WIDE),
    Clean("half-streams", "Gomez et al., 2017", maker(Reversible)),
    Clean("coupling", "Dinh et al., 2017", Coupling),
    Clean("noise-injection", "StyleGAN", maker(NoiseInjection)),
    Clean("frozen", "a frozen encoder", Frozen, WIDE),
    Clean("bi-fusion", "EfficientDet", maker(BiFusion)),
    Clean("pyramid-dict", "FPN", Pyramid, WIDE),
    Clean("high-pass", "a Laplacian branch", maker(HighPass)),
)
