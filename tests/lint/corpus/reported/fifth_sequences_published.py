"""The fifth set. More designs that are meant: audio, flows, windows."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..case import Clean
from .fifth_sequences import Attention, FeedForward


def center_trim(tensor, reference):
    delta = tensor.size(-1) - reference.size(-1)
    return tensor[..., delta // 2 : -(delta - delta // 2)] if delta else tensor


class Demucs(nn.Module):
    """Demucs v2: skips are trimmed to the decoder's length and added."""

    def __init__(self, depth=3, c=4):
        super().__init__()
        self.encoder, self.decoder = nn.ModuleList(), nn.ModuleList()
        cin = 1
        for i in range(depth):
            self.encoder.append(
                nn.Sequential(nn.Conv1d(cin, c, 8, 4), nn.ReLU(), nn.Conv1d(c, 2 * c, 1), nn.GLU(1))
            )
            out = [nn.ReLU()] if i else []
            self.decoder.insert(
                0,
                nn.Sequential(
                    nn.Conv1d(c, 2 * c, 3), nn.GLU(1), nn.ConvTranspose1d(c, cin, 8, 4), *out
                ),
            )
            cin, c = c, c * 2
        self.lstm, self.linear = nn.LSTM(cin, cin, bidirectional=True), nn.Linear(2 * cin, cin)

    def forward(self, x: Tensor) -> Tensor:
        saved = []
        for encode in self.encoder:
            x = encode(x)
            saved.append(x)
        y = self.lstm(x.permute(2, 0, 1))[0]
        x = self.linear(y).permute(1, 2, 0)
        for decode in self.decoder:
            skip = center_trim(saved.pop(-1), x)
            x = decode(x + skip)
        return x


class GatedResidualNetwork(nn.Module):
    """Temporal fusion transformer: skip resampled, gated, normalised after."""

    def __init__(self, cin, hidden, cout, context=None):
        super().__init__()
        self.fc1, self.elu, self.fc2 = nn.Linear(cin, hidden), nn.ELU(), nn.Linear(hidden, hidden)
        self.context = nn.Linear(context, hidden, bias=False) if context else None
        self.resample = nn.Linear(cin, cout) if cin != cout else None
        self.glu, self.norm = (
            nn.Sequential(nn.Dropout(0.1), nn.Linear(hidden, 2 * cout), nn.GLU()),
            nn.LayerNorm(cout),
        )

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        residual = x if self.resample is None else self.resample(x)
        x = self.fc1(x)
        if context is not None:
            x = x + self.context(context)[:, None]
        x = self.fc2(self.elu(x))
        return self.norm(self.glu(x) + residual)


class TFT(nn.Module):
    def __init__(self, d=8):
        super().__init__()
        self.static, self.inputs = GatedResidualNetwork(4, d, d), GatedResidualNetwork(4, d, d)
        self.lstm = nn.LSTM(d, d, batch_first=True)
        self.gate, self.norm = nn.Sequential(nn.Linear(d, 2 * d), nn.GLU()), nn.LayerNorm(d)
        self.enrich, self.attn, self.final = (
            GatedResidualNetwork(d, d, d, d),
            Attention(d),
            GatedResidualNetwork(d, d, d),
        )
        self.gate2, self.norm2 = nn.Sequential(nn.Linear(d, 2 * d), nn.GLU()), nn.LayerNorm(d)
        self.out = nn.Linear(d, 3)

    def forward(self, x: Tensor, s: Tensor) -> Tensor:
        static = self.static(s)
        x = self.inputs(x)
        y, _ = self.lstm(x)
        x = self.norm(self.gate(y) + x)
        enriched = self.enrich(x, static)
        y = self.norm2(self.gate2(self.attn(enriched)) + enriched)
        return self.out(self.final(y) + x)


class Coupling(nn.Module):
    """RealNVP: residual subnetwork, half of the channels passes unchanged, order flipped."""

    def __init__(self, c=8, hidden=16):
        super().__init__()
        self.inp, self.out = nn.Conv2d(c // 2, hidden, 3, 1, 1), nn.Conv2d(hidden, c, 1)
        self.res = nn.ModuleList(
            nn.Sequential(nn.BatchNorm2d(hidden), nn.ReLU(), nn.Conv2d(hidden, hidden, 3, 1, 1))
            for _ in range(2)
        )
        self.skips = nn.ModuleList(nn.Conv2d(hidden, hidden, 1) for _ in range(3))
        self.scale = nn.Parameter(torch.ones(c // 2, 1, 1) * 0.1)

    def forward(self, x: Tensor, logdet: Tensor) -> Tensor:
        a, b = x.chunk(2, 1)
        h = self.inp(a)
        skip = self.skips[0](h)
        for block, conv in zip(self.res, self.skips[1:], strict=True):
            h = h + block(h)
            skip = skip + conv(h)
        s, t = self.out(F.relu(skip)).chunk(2, 1)
        s = self.scale * torch.tanh(s)
        b = (b + t) * s.exp()
        return torch.cat([b, a], 1), logdet + s.flatten(1).sum(1)


class RealNVP(nn.Module):
    def __init__(self):
        super().__init__()
        self.steps = nn.ModuleList(Coupling() for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        logdet = x.new_zeros(x.shape[0])
        for step in self.steps:
            x, logdet = step(x, logdet)
        return x, logdet


class ConvGRU(nn.Module):
    """RAFT: one cell for all iterations, estimates refined by residuals, detached between."""

    def __init__(self, c=8):
        super().__init__()
        self.fnet, self.cnet = nn.Conv2d(4, c, 3, 1, 1), nn.Conv2d(4, c, 3, 1, 1)
        self.convz, self.convr, self.convq = (nn.Conv2d(2 * c + 2, c, 3, 1, 1) for _ in range(3))
        self.delta = nn.Sequential(nn.Conv2d(c, c, 3, 1, 1), nn.ReLU(), nn.Conv2d(c, 2, 3, 1, 1))

    def forward(self, image: Tensor) -> Tensor:
        f, h = self.fnet(image), torch.tanh(self.cnet(image))
        flow = torch.zeros_like(f[:, :2])
        out = []
        for _ in range(3):
            flow = flow.detach()
            x = torch.cat([f, flow], 1)
            hx = torch.cat([h, x], 1)
            z, r = torch.sigmoid(self.convz(hx)), torch.sigmoid(self.convr(hx))
            q = torch.tanh(self.convq(torch.cat([r * h, x], 1)))
            h = (1 - z) * h + z * q
            flow = flow + self.delta(h)
            out.append(flow)
        return tuple(out)


class DropPath(nn.Module):
    def __init__(self, p):
        super().__init__()
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        return drop_path(x, self.p, self.training)


def drop_path(x, p, training):
    if p == 0.0 or not training:
        return x
    keep = 1 - p
    mask = keep + torch.rand((x.shape[0],) + (1,) * (x.ndim - 1), dtype=x.dtype, device=x.device)
    return x.div(keep) * mask.floor_()


class SwinBlock3d(nn.Module):
    def __init__(self, d=8, window=(2, 4, 4), shift=(0, 0, 0)):
        super().__init__()
        self.window, self.shift = window, shift
        self.norm1, self.norm2, self.attn, self.mlp = (
            nn.LayerNorm(d),
            nn.LayerNorm(d),
            Attention(d),
            FeedForward(d),
        )
        self.drop_path = DropPath(0.1)

    def part1(self, x):
        b, t, h, w, c = x.shape
        x = self.norm1(x)
        pt, ph, pw = (-s % k for s, k in zip((t, h, w), self.window, strict=True))
        x = F.pad(x, (0, 0, 0, pw, 0, ph, 0, pt))
        shifted = torch.roll(x, tuple(-s for s in self.shift), (1, 2, 3)) if any(self.shift) else x
        tp, hp, wp = shifted.shape[1:4]
        kt, kh, kw = self.window
        windows = shifted.view(b, tp // kt, kt, hp // kh, kh, wp // kw, kw, c).permute(
            0, 1, 3, 5, 2, 4, 6, 7
        )
        y = self.attn(windows.reshape(-1, kt * kh * kw, c))
        y = (
            y.view(b, tp // kt, hp // kh, wp // kw, kt, kh, kw, c)
            .permute(0, 1, 4, 2, 5, 3, 6, 7)
            .reshape(b, tp, hp, wp, c)
        )
        y = torch.roll(y, self.shift, (1, 2, 3)) if any(self.shift) else y
        return y[:, :t, :h, :w].contiguous()

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x
        x = shortcut + self.drop_path(self.part1(x))
        return x + self.drop_path(self.mlp(self.norm2(x)))


class VideoSwin(nn.Module):
    def __init__(self, d=8):
        super().__init__()
        self.patch = nn.Conv3d(3, d, (2, 4, 4), (2, 4, 4))
        self.blocks = nn.ModuleList([SwinBlock3d(d), SwinBlock3d(d, shift=(1, 2, 2))])
        self.norm, self.head = nn.LayerNorm(d), nn.Linear(d, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patch(x).permute(0, 2, 3, 4, 1)
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x).mean((1, 2, 3)))


CLEAN: tuple[Clean, ...] = (
    Clean(
        "demucs",
        "Demucs v2: center trim before the sum, valid convolutions",
        Demucs,
        ((2, 1, 596),),
    ),
    Clean(
        "temporal_fusion",
        "Lim 2021: gated residual networks of several widths",
        TFT,
        ((2, 12, 4), (2, 4)),
    ),
    Clean(
        "realnvp",
        "Dinh 2017: residual subnetwork with skips, flipped halves",
        RealNVP,
        ((2, 8, 8, 8),),
    ),
    Clean(
        "raft_gru",
        "RAFT: one cell in a loop, detached estimate refined",
        ConvGRU,
        ((2, 4, 16, 16),),
    ),
    Clean(
        "video_swin",
        "Video Swin: padded, rolled and cropped windows",
        VideoSwin,
        ((2, 3, 6, 24, 24),),
    ),
)
