"""The fifth set. More audio: vocoders, separation, folded dilation."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..case import Case
from .fifth_sequences import Attention, FeedForward, Tokens, seq

WAVE = ((2, 4, 32),)
TOKENS = ((2, 12, 4),)


class ConvModule(nn.Module):
    def __init__(self, d, kernel=5):
        super().__init__()
        self.norm = nn.LayerNorm(d)
        self.bottleneck = nn.Sequential(nn.Conv1d(d, 2 * d, 1), nn.GLU(dim=1))
        self.conv = nn.Conv1d(d, d, kernel, padding=kernel // 2, groups=d)
        self.after = nn.Sequential(nn.BatchNorm1d(d), nn.SiLU(), nn.Conv1d(d, d, 1))

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(x).transpose(1, 2)
        return self.after(self.conv(self.bottleneck(y))).transpose(1, 2)


class ConformerLayer(nn.Module):
    def __init__(self, d=8):
        super().__init__()
        self.ffn_module = nn.Sequential(nn.LayerNorm(d), FeedForward(d), nn.Dropout(0.1))
        self.mha_layer = Attention(d)
        self.convolution_module = ConvModule(d)
        self.norm1 = nn.LayerNorm(d)
        self.norm2 = nn.LayerNorm(d)

    def forward(self, x: Tensor) -> Tensor:
        x = x + 0.5 * self.ffn_module(x)
        skip = x
        x = self.mha_layer(self.norm1(x))
        x = x + skip
        x = x + self.convolution_module(x)
        return self.norm2(x + 0.5 * self.ffn_module(x))


class ConformerLayerMended(nn.Module):
    def __init__(self, d=8):
        super().__init__()
        self.ffn_module1 = nn.Sequential(nn.LayerNorm(d), FeedForward(d), nn.Dropout(0.1))
        self.ffn_module2 = nn.Sequential(nn.LayerNorm(d), FeedForward(d), nn.Dropout(0.1))
        self.mha_layer = Attention(d)
        self.convolution_module = ConvModule(d)
        self.norm1 = nn.LayerNorm(d)
        self.norm2 = nn.LayerNorm(d)

    def forward(self, x: Tensor) -> Tensor:
        x = x + 0.5 * self.ffn_module1(x)
        skip = x
        x = self.mha_layer(self.norm1(x))
        x = x + skip
        x = x + self.convolution_module(x)
        return self.norm2(x + 0.5 * self.ffn_module2(x))


class VocoderBlock(nn.Module):
    def __init__(self, channels, dilations=(1, 3, 5)):
        super().__init__()
        self.act = nn.LeakyReLU(0.1)
        self.convs1, self.convs2 = nn.ModuleList(), nn.ModuleList()
        for d in dilations:
            self.convs1.append(nn.Conv1d(channels, channels, 3, padding=d, dilation=d))
            self.convs2 += [nn.Conv1d(channels, channels, 3, padding=1)]


class ResidualBlock(VocoderBlock):
    def forward(self, x: Tensor) -> Tensor:
        for idx in range(len(self.convs1)):
            x = self.act(x)
            x = self.convs1[idx](x)
            x = self.act(x)
            x = self.convs2[idx](x)
        return x


class ResidualBlockMended(VocoderBlock):
    def forward(self, x: Tensor) -> Tensor:
        for idx in range(len(self.convs1)):
            xt = self.act(x)
            xt = self.convs1[idx](xt)
            xt = self.act(xt)
            xt = self.convs2[idx](xt)
            x = xt + x
        return x


class Vocoder(nn.Module):
    def __init__(self, block, channels=16):
        super().__init__()
        self.input_conv = nn.Conv1d(4, channels, 7, padding=3)
        self.upsamples, self.blocks = nn.ModuleList(), nn.ModuleList()
        for i in range(2):
            c = channels // 2**i
            self.upsamples.append(nn.ConvTranspose1d(c, c // 2, 4, 2, 1))
            self.blocks.append(block(c // 2))
        self.output_conv = nn.Sequential(nn.Conv1d(channels // 4, 1, 7, padding=3), nn.Tanh())

    def forward(self, x: Tensor) -> Tensor:
        x = self.input_conv(x)
        for up, block in zip(self.upsamples, self.blocks, strict=True):
            x = F.leaky_relu(block(up(F.leaky_relu(x, 0.1))), 0.1)
        return self.output_conv(x)


class ResStack(nn.Module):
    def __init__(self, c, inplace):
        super().__init__()
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.LeakyReLU(0.2, inplace=inplace),
                nn.ReflectionPad1d(3**i),
                nn.Conv1d(c, c, 3, dilation=3**i),
                nn.LeakyReLU(0.2, inplace=True),
                nn.Conv1d(c, c, 1),
            )
            for i in range(2)
        )
        self.shortcuts = nn.ModuleList(nn.Conv1d(c, c, 1) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        for block, shortcut in zip(self.blocks, self.shortcuts, strict=True):
            x = block(x) + shortcut(x)
        return x


class UConvBlock(nn.Module):
    def __init__(self, c=8, depth=3):
        super().__init__()
        self.depth = depth
        self.proj = nn.Sequential(nn.Conv1d(c, c, 1), nn.BatchNorm1d(c), nn.PReLU())
        self.spp_dw = nn.ModuleList(
            nn.Sequential(
                nn.Conv1d(c, c, 5, stride=1 if i == 0 else 2, padding=2, groups=c),
                nn.BatchNorm1d(c),
            )
            for i in range(depth)
        )
        self.upsampler = nn.Upsample(scale_factor=2)
        self.final = nn.Sequential(nn.BatchNorm1d(c), nn.PReLU(), nn.Conv1d(c, c, 1))

    def forward(self, x: Tensor) -> Tensor:
        output = [self.spp_dw[0](self.proj(x))]
        for k in range(1, self.depth):
            output.append(self.spp_dw[k](output[-1]))
        for _ in range(self.depth - 1):
            resampled = self.upsampler(output.pop(-1))
            output[-1] = output[-1] + resampled
        return self.final(output[-1]) + x


class UConvBlockMended(UConvBlock):
    def forward(self, x: Tensor) -> Tensor:
        output = [self.spp_dw[0](self.proj(x))]
        for k in range(1, self.depth):
            output.append(self.spp_dw[k](output[-1]))
        for _ in range(self.depth - 1):
            resampled = self.upsampler(output.pop(-1))
            resampled = resampled[..., : output[-1].shape[-1]]
            output[-1] = output[-1] + resampled
        return self.final(output[-1]) + x


def dilate(x, dilation, init_dilation=1):
    n, c, size = x.shape
    factor = dilation / init_dilation
    if factor == 1:
        return x
    new_l = -(-size // factor) * factor if factor > 1 else size
    if new_l != size:
        x = F.pad(x, (int(new_l) - size, 0))
    n_new, l_new = int(n * factor), int(x.shape[2] / factor)
    x = x.permute(1, 2, 0).contiguous().view(c, l_new, n_new)
    return x.permute(2, 0, 1).contiguous()


class FoldedWaveNet(nn.Module):
    def __init__(self, c=8, dilations=(1, 2, 4)):
        super().__init__()
        self.start_conv = nn.Conv1d(4, c, 1)
        self.dilations = [(d, dilations[i - 1] if i else 1) for i, d in enumerate(dilations)]
        self.filter_convs = nn.ModuleList(nn.Conv1d(c, c, 2) for _ in dilations)
        self.gate_convs = nn.ModuleList(nn.Conv1d(c, c, 2) for _ in dilations)
        self.residual_convs = nn.ModuleList(nn.Conv1d(c, c, 1) for _ in dilations)
        self.skip_convs = nn.ModuleList(nn.Conv1d(c, c, 1) for _ in dilations)
        self.end_conv = nn.Conv1d(c, 3, 1)

    def unfold(self, x, dilation):
        return dilate(x, 1, init_dilation=dilation) if x.size(2) != 1 else x

    def forward(self, x: Tensor) -> Tensor:
        x = self.start_conv(x)
        skip = 0
        for i, (dilation, init_dilation) in enumerate(self.dilations):
            residual = dilate(x, dilation, init_dilation)
            f = torch.tanh(self.filter_convs[i](residual))
            g = torch.sigmoid(self.gate_convs[i](residual))
            x = f * g
            s = self.skip_convs[i](self.unfold(x, dilation))
            skip = s + (skip if i == 0 else skip[:, :, -s.size(2) :])
            x = self.residual_convs[i](x)
            x = x + residual[:, :, 1:]
        return self.end_conv(F.relu(skip))


class FoldedWaveNetMended(FoldedWaveNet):
    def unfold(self, x, dilation):
        return dilate(x, 1, init_dilation=dilation)


class CachedTransformer(nn.Module):
    def __init__(self, d=8, depth=2):
        super().__init__()
        self.layers = nn.ModuleList(
            nn.ModuleList([nn.LayerNorm(d), Attention(d), nn.LayerNorm(d), FeedForward(d)])
            for _ in range(depth)
        )


class LocalTransformer(CachedTransformer):
    def forward(self, x: Tensor) -> Tensor:
        for n1, attn, n2, ff in self.layers:
            attn(n1(x))
            x = ff(n2(x)) + x
        return x


class LocalTransformerMended(CachedTransformer):
    def forward(self, x: Tensor) -> Tensor:
        for n1, attn, n2, ff in self.layers:
            x = attn(n1(x)) + x
            x = ff(n2(x)) + x
        return x


CASES: tuple[Case, ...] = (
    Case(
        "conformer_one_ffn",
        "speechbrain/speechbrain#800",
        "TS203",
        lambda: Tokens(ConformerLayer(), ConformerLayer()),
        lambda: Tokens(ConformerLayerMended(), ConformerLayerMended()),
        TOKENS,
    ),
    Case(
        "vocoder_residual_block_without",
        "a public RepGAN vocoder, ResidualBlock (rep_conv beside it)",
        "TS201",
        lambda: Vocoder(ResidualBlock),
        lambda: Vocoder(ResidualBlockMended),
        WAVE,
    ),
    Case(
        "vocoder_inplace_leaky",
        "written from memory: MelGAN forks with in-place activations",
        "TS104",
        lambda: seq(ResStack(8, True)),
        lambda: seq(ResStack(8, False)),
        WAVE,
    ),
    Case(
        "sudormrf_odd_length",
        "asteroid-team/asteroid PR 618",
        "TS102",
        lambda: seq(UConvBlock(), UConvBlock()),
        lambda: seq(UConvBlockMended(), UConvBlockMended()),
        WAVE,
    ),
    Case(
        "wavenet_folded_batch",
        "vincentherrmann/pytorch-wavenet#32",
        "TS101",
        FoldedWaveNet,
        FoldedWaveNetMended,
        ((2, 4, 8),),
    ),
    Case(
        "audiolm_attention_not_assigned",
        "lucidrains/audiolm-pytorch PR 265",
        "TS107",
        lambda: Tokens(LocalTransformer()),
        lambda: Tokens(LocalTransformerMended()),
        TOKENS,
    ),
)
