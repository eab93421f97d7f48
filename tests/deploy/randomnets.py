"""Random residual networks: what people write, in every mixture, some of it nasty."""

from dataclasses import dataclass

import torch
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

ACTIVATIONS = {
    "relu": lambda: nn.ReLU(),
    "relu_": lambda: nn.ReLU(inplace=True),
    "relu6_": lambda: nn.ReLU6(inplace=True),
    "silu": lambda: nn.SiLU(),
    "gelu": lambda: nn.GELU(),
    "leaky_": lambda: nn.LeakyReLU(0.1, inplace=True),
    "hardswish": lambda: nn.Hardswish(),
    "sigmoid": lambda: nn.Sigmoid(),
    "elu": lambda: nn.ELU(),
    "none": lambda: nn.Identity(),
}
MERGES = {
    "x + y": lambda x, y: x + y,
    "y += x": lambda x, y: y.add_(x),
    "x + 0.5 y": lambda x, y: torch.add(x, y, alpha=0.5),
    "y - x": lambda x, y: y - x,
    "x - y": lambda x, y: x - y,
    "0.3 x + y": lambda x, y: 0.3 * x + y,
    "x + x + y": lambda x, y: x + x + y,
    "y + relu(y)": lambda x, y: y + torch.relu(y) + x,
    "max": lambda x, y: torch.maximum(x, y),
    "x * y": lambda x, y: x * torch.sigmoid(y),
    "stack": lambda x, y: torch.stack([x, y]).sum(0),
    "slice": lambda x, y: _slice_add(x, y),
    "cat": lambda x, y: torch.cat([x, y], 1)[:, ::2],
}


def _slice_add(x, y):
    out = torch.zeros_like(x)
    half = x.shape[1] // 2
    out[:, :half] = x[:, :half]
    out[:, half:] += y[:, half:]
    return out


@dataclass(frozen=True)
class Block:
    kernel: int
    stride: int
    dilation: int
    groups: int
    norm: str
    act: str
    last: str
    merge: str
    pre: bool
    double: bool
    shortcut: str
    widen: int
    extra: str


blocks = st.builds(
    Block,
    kernel=st.sampled_from([1, 3, 3, 5]),
    stride=st.sampled_from([1, 1, 2]),
    dilation=st.sampled_from([1, 1, 2]),
    groups=st.sampled_from([1, 1, 2, 4, 8]),
    norm=st.sampled_from(["batch", "batch", "none", "group", "plain"]),
    act=st.sampled_from(sorted(ACTIVATIONS)),
    last=st.sampled_from(["relu", "relu_", "none", "silu"]),
    merge=st.sampled_from(sorted(MERGES)),
    pre=st.booleans(),
    double=st.booleans(),
    shortcut=st.sampled_from(["identity", "identity", "bn", "conv", "convbn", "pool"]),
    widen=st.sampled_from([1, 1, 2]),
    extra=st.sampled_from(["", "", "", "se", "repvgg", "scale", "shuffle", "tap", "shared"]),
)
nets = st.lists(blocks, min_size=1, max_size=4)


def norm(kind, channels):
    if kind == "batch":
        return nn.BatchNorm2d(channels)
    if kind == "group":
        return nn.GroupNorm(4, channels)
    if kind == "plain":
        return nn.BatchNorm2d(channels, affine=False)
    return nn.Identity()


class Net(nn.Module):
    """A stem, residual blocks, a head; every number drawn so that a mistake shows."""

    def __init__(self, spec, seed=0, head=True):
        super().__init__()
        self.spec = spec
        generator = torch.Generator().manual_seed(seed)
        channels = 8
        self.stem = nn.Conv2d(3, channels, 3, padding=1)
        self.parts = nn.ModuleList()
        for b in spec:
            wide = channels * b.widen
            pad = (b.kernel - 1) * b.dilation // 2
            part = nn.ModuleDict()
            part["norm"] = norm(b.norm, channels if b.pre else wide)
            part["act"] = ACTIVATIONS[b.act]()
            part["conv"] = nn.Conv2d(
                channels, wide, b.kernel, b.stride, pad, b.dilation, b.groups, bias=b.norm == "none"
            )
            if b.double:
                part["conv2"] = nn.Conv2d(wide, wide, 3, padding=1, groups=b.groups)
                part["norm2"] = norm(b.norm, wide)
            if b.shortcut in ("conv", "convbn") or b.stride > 1 or b.widen > 1:
                side = [nn.Conv2d(channels, wide, 1, b.stride, bias=b.shortcut == "conv")]
                if b.shortcut == "pool" and b.stride > 1:
                    side = [
                        nn.AvgPool2d(2, 2, ceil_mode=True, count_include_pad=False),
                        nn.Conv2d(channels, wide, 1, bias=False),
                    ]
                part["side"] = nn.Sequential(
                    *side, norm("batch", wide) if b.shortcut != "conv" else nn.Identity()
                )
            elif b.shortcut == "bn":
                part["side"] = nn.Sequential(norm("batch", wide))
            else:
                part["side"] = nn.Identity()
            if b.extra == "se":
                part["down"], part["up"] = nn.Conv2d(wide, 4, 1), nn.Conv2d(4, wide, 1)
            if b.extra == "repvgg":
                part["one"] = nn.Conv2d(channels, wide, 1, b.stride, groups=b.groups, bias=False)
                part["onenorm"] = norm("batch", wide)
            if b.extra == "scale":
                part.gamma = nn.Parameter(torch.rand(wide, 1, 1, generator=generator))
            part["last"] = ACTIVATIONS[b.last]()
            self.parts.append(part)
            channels = wide
        self.head = nn.Linear(channels, 5) if head else None
        for p in self.parameters():
            with torch.no_grad():
                fan = p[0].numel() if p.dim() > 1 else 4
                p.copy_(torch.randn(p.shape, generator=generator) / fan**0.5)
        for m in self.modules():
            if isinstance(m, nn.BatchNorm2d):
                m.running_mean.copy_(torch.randn(m.num_features, generator=generator) * 0.3)
                m.running_var.copy_(torch.rand(m.num_features, generator=generator) + 0.3)
                if m.affine:
                    m.weight.data.abs_().add_(0.3)
        self.eval()

    def forward(self, x):
        x = self.stem(x)
        taps = []
        for b, part in zip(self.spec, self.parts, strict=True):
            kept = x
            if b.pre:
                y = part["norm"](x)
                y = part["act"](y.clone() if y is x else y)
                y = part["conv"](y)
            else:
                y = part["act"](part["norm"](part["conv"](x)))
            if b.extra == "repvgg":
                y = y + part["onenorm"](part["one"](kept))
            if b.double:
                y = part["norm2"](part["conv2"](y))
            if b.extra == "shared":
                y = part["act"](y * 0.5) + part["act"](y - 0.25)
            if b.extra == "se":
                gate = y.mean((2, 3), keepdim=True)
                y = y * torch.sigmoid(part["up"](F.relu(part["down"](gate))))
            if b.extra == "scale":
                y = y * part.gamma
            if b.extra == "shuffle":
                n, c, h, w = y.shape
                y = y.view(n, 2, c // 2, h, w).transpose(1, 2).reshape(n, c, h, w)
            side = part["side"](kept)
            if b.extra == "tap":
                taps.append(y.mean())
            x = part["last"](MERGES[b.merge](side, y))
        for tap in taps:
            x = x * (1 + torch.tanh(tap))
        if self.head is None:
            return x
        return self.head(F.adaptive_avg_pool2d(x, 1).flatten(1))
