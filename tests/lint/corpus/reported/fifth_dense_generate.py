"""The fifth set, continued: generators, necks and the backbones of dense prediction."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..case import Case, conv
from .fourth_images import twins


class NonLocalBlock(nn.Module):
    def __init__(self, mended: bool, channels: int) -> None:
        super().__init__()
        self.mended = mended
        self.gn = nn.GroupNorm(4, channels)
        self.q = nn.Conv2d(channels, channels, 1)
        self.k = nn.Conv2d(channels, channels, 1)
        self.v = nn.Conv2d(channels, channels, 1)
        self.proj_out = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        h_ = self.gn(x)
        q, k, v = self.q(h_), self.k(h_), self.v(h_)
        b, c, h, w = q.shape
        q = q.reshape(b, c, h * w).permute(0, 2, 1)
        k, v = k.reshape(b, c, h * w), v.reshape(b, c, h * w)
        attn = F.softmax(torch.bmm(q, k) * c**-0.5, dim=2).permute(0, 2, 1)
        a = torch.bmm(v, attn).reshape(b, c, h, w)
        if self.mended:
            a = self.proj_out(a)
        return x + a


class VQResidual(nn.Module):
    def __init__(self, a: int, b: int) -> None:
        super().__init__()
        self.block = nn.Sequential(
            nn.GroupNorm(4, a), nn.SiLU(), conv(a, b), nn.GroupNorm(4, b), nn.SiLU(), conv(b, b)
        )
        if a != b:
            self.channel_up = nn.Conv2d(a, b, 1)

    def forward(self, x: Tensor) -> Tensor:
        skip = self.channel_up(x) if hasattr(self, "channel_up") else x
        return skip + self.block(x)


class VQGANEncoder(nn.Module):
    def __init__(self, mended: bool) -> None:
        super().__init__()
        res = lambda a, b: VQResidual(a, b)  # noqa: E731
        self.model = nn.Sequential(
            conv(3, 8),
            res(8, 8),
            nn.Conv2d(8, 8, 3, 2, 1),
            res(8, 16),
            NonLocalBlock(mended, 16),
            res(16, 16),
            nn.GroupNorm(4, 16),
            nn.SiLU(),
            conv(16, 4),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.model(x)


class PreActResidual(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.convolution1, self.convolution2 = conv(width, width), conv(width, width)

    def forward(self, hidden_state: Tensor) -> Tensor:
        residual = hidden_state
        hidden_state = self.convolution1(F.relu(hidden_state))
        hidden_state = self.convolution2(F.relu(hidden_state))
        return hidden_state + residual


class FusionLayer(nn.Module):
    def __init__(self, width: int, first: bool = False) -> None:
        super().__init__()
        self.projection = nn.Conv2d(width, width, 1)
        if not first:
            self.residual_layer1 = PreActResidual(width)
        self.residual_layer2 = PreActResidual(width)

    def forward(self, hidden_state: Tensor, residual: Tensor = None) -> Tensor:
        if residual is not None:
            hidden_state = hidden_state + self.residual_layer1(residual)
        hidden_state = self.residual_layer2(hidden_state)
        hidden_state = F.interpolate(hidden_state, scale_factor=2, mode="bilinear")
        return self.projection(hidden_state)


class DPTNeck(nn.Module):
    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 2, 2)
        self.stages = nn.ModuleList(nn.Conv2d(8, 8, 3, 2, 1) for _ in range(2))
        self.convs = nn.ModuleList(conv(8, 8, bias=False) for _ in range(3))
        self.layers = nn.ModuleList(FusionLayer(8, mended and i == 0) for i in range(3))
        self.head = nn.Sequential(conv(8, 4), nn.ReLU(), nn.Conv2d(4, 1, 1))

    def forward(self, pixel_values: Tensor) -> Tensor:
        states = [self.stem(pixel_values)]
        for stage in self.stages:
            states.append(F.gelu(stage(states[-1])))
        states = [layer(s) for layer, s in zip(self.convs, states, strict=False)]
        fused = None
        for hidden_state, layer in zip(states[::-1], self.layers, strict=False):
            fused = layer(hidden_state) if fused is None else layer(fused, hidden_state)
        return self.head(fused).squeeze(1)


class ASPP(nn.Module):
    def __init__(self, a: int, depth: int) -> None:
        super().__init__()
        self.image, self.one = nn.Conv2d(a, depth, 1), nn.Conv2d(a, depth, 1)
        self.rates = nn.ModuleList(nn.Conv2d(a, depth, 3, padding=r, dilation=r) for r in (2, 3, 4))

    def forward(self, x: Tensor) -> Tensor:
        size = x.shape[2:]
        image = F.interpolate(self.image(x.mean((2, 3), keepdim=True)), size=size)
        return torch.cat([image, self.one(x)] + [layer(x) for layer in self.rates], dim=1)


class DeepLabV3Plus(nn.Module):
    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.mended = mended
        self.pool2 = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU())
        self.pool4 = nn.Sequential(
            nn.Conv2d(8, 16, 3, 2, 1), nn.ReLU(), nn.Conv2d(16, 40, 3, 2, 1), nn.ReLU()
        )
        self.aspp, self.reduce = ASPP(40, 8), nn.Conv2d(8, 4, 1)
        after = 4 + 40
        self.conv1, self.conv2 = conv(after if mended else 4, 16), conv(16, 16)
        self.logits = nn.Conv2d(16, 5, 1)

    def forward(self, inputs: Tensor) -> Tensor:
        encoder_features = self.pool2(inputs)
        net = self.aspp(self.pool4(encoder_features))
        decoder_features = F.interpolate(net, size=encoder_features.shape[2:], mode="bilinear")
        encoder_features = self.reduce(encoder_features)
        net = torch.cat((encoder_features, decoder_features), dim=1)
        net = F.relu(self.conv1(net if self.mended else encoder_features))
        net = F.relu(self.conv2(net))
        return self.logits(F.interpolate(net, size=inputs.shape[2:], mode="bilinear"))


class DropPath(nn.Module):
    def __init__(self, drop_prob: float = 0.0) -> None:
        super().__init__()
        self.drop_prob = drop_prob

    def forward(self, x: Tensor) -> Tensor:
        if self.drop_prob == 0.0 or not self.training:
            return x
        keep = 1 - self.drop_prob
        mask = x.new_empty((x.shape[0],) + (1,) * (x.ndim - 1)).bernoulli_(keep)
        return x * mask.div_(keep)


class LinearBottleneck(nn.Module):
    def __init__(self, mended: bool, a: int, b: int, stride: int = 1) -> None:
        super().__init__()
        self.use_shortcut = stride == 1 and a <= b
        self.in_channels = a
        mid = a * 2
        self.conv_exp = nn.Sequential(
            nn.Conv2d(a, mid, 1, bias=False), nn.BatchNorm2d(mid), nn.SiLU()
        )
        self.conv_dw = nn.Sequential(
            nn.Conv2d(mid, mid, 3, stride, 1, groups=mid, bias=False), nn.BatchNorm2d(mid)
        )
        self.conv_pwl = nn.Sequential(nn.Conv2d(mid, b, 1, bias=False), nn.BatchNorm2d(b))
        self.drop_path = DropPath(0.2)
        self.mended = mended

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x
        x = self.conv_exp(x)
        x = F.relu6(self.conv_dw(x))
        x = self.conv_pwl(x)
        if not self.mended:
            x = self.drop_path(x)
        if self.use_shortcut:
            if self.mended:
                x = self.drop_path(x)
            x = torch.cat([x[:, : self.in_channels] + shortcut, x[:, self.in_channels :]], dim=1)
        return x


class ReXNet(nn.Module):
    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.SiLU())
        self.features = nn.Sequential(
            LinearBottleneck(mended, 8, 12),
            LinearBottleneck(mended, 12, 16, 2),
            LinearBottleneck(mended, 16, 20),
        )
        self.head = nn.Conv2d(20, 3, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(self.stem(x)))


class SelfAttn(nn.Module):
    """gamma was made with one number per sample of the training batch."""

    def __init__(self, mended: bool, dim: int, batch: int) -> None:
        super().__init__()
        self.query, self.key = nn.Conv2d(dim, dim // 4, 1), nn.Conv2d(dim, dim // 4, 1)
        self.value = nn.Conv2d(dim, dim, 1)
        self.gamma = nn.Parameter(torch.zeros(1) if mended else torch.zeros(batch, 1, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        b, c, h, w = x.size()
        q = self.query(x).view(b, -1, h * w).permute(0, 2, 1)
        k = self.key(x).view(b, -1, h * w)
        attention = torch.softmax(torch.bmm(q, k), dim=-1)
        out = torch.bmm(self.value(x).view(b, -1, h * w), attention.permute(0, 2, 1))
        return self.gamma * out.view(b, c, h, w) + x


class SADiscriminator(nn.Module):
    def __init__(self, mended: bool, batch: int = 2) -> None:
        super().__init__()
        self.l1 = nn.Sequential(nn.Conv2d(3, 8, 4, 2, 1), nn.LeakyReLU(0.1))
        self.l2 = nn.Sequential(nn.Conv2d(8, 16, 4, 2, 1), nn.LeakyReLU(0.1))
        self.attn = SelfAttn(mended, 16, batch)
        self.last = nn.Conv2d(16, 1, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.attn(self.l2(self.l1(x)))).flatten()


RGB = ((2, 3, 16, 16),)
CASES = (
    Case(
        "attention-without-projection",
        "dome272/VQGAN-pytorch#23",
        "TS108",
        *twins(VQGANEncoder),
        RGB,
    ),
    Case(
        "first-fusion-has-no-residual",
        "huggingface/transformers#30633",
        "TS108",
        *twins(DPTNeck),
        ((2, 3, 32, 32),),
    ),
    Case(
        "aspp-ignored",
        "GeorgeSeif/Semantic-Segmentation-Suite#38",
        "TS107",
        *twins(DeepLabV3Plus),
        ((2, 3, 32, 32),),
    ),
    Case(
        "drop-path-without-shortcut",
        "huggingface/pytorch-image-models pull request 685",
        "TS111",
        *twins(ReXNet),
        RGB,
    ),
    Case(
        "gamma-per-sample", "heykeetae/Self-Attention-GAN#1", "TS103", *twins(SADiscriminator), RGB
    ),
)
