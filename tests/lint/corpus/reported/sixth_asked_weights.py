"""The sixth set. Asked in threads. Weights shared, zero, or made in forward."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from ..case import Case


# --- yaoppeng/U-Net_v2#10: [conv] * 4
class SDI(nn.Module):
    def __init__(self, c, mended):
        super().__init__()
        if mended:
            self.convs = nn.ModuleList([nn.Conv2d(c, c, 3, 1, 1) for _ in range(3)])
        else:
            self.convs = nn.ModuleList([nn.Conv2d(c, c, 3, 1, 1)] * 3)

    def forward(self, xs, anchor):
        ans = torch.ones_like(anchor)
        size = anchor.shape[-1]
        for i, x in enumerate(xs):
            if x.shape[-1] > size:
                x = F.adaptive_avg_pool2d(x, (size, size))
            elif x.shape[-1] < size:
                x = F.interpolate(x, size=(size, size), mode="bilinear", align_corners=True)
            ans = ans * self.convs[i](x)
        return ans


class UNetV2(nn.Module):
    def __init__(self, mended, c=6):
        super().__init__()
        self.f1 = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.ReLU())
        self.f2 = nn.Sequential(nn.Conv2d(8, 10, 3, 2, 1), nn.BatchNorm2d(10), nn.ReLU())
        self.f3 = nn.Sequential(nn.Conv2d(10, 12, 3, 2, 1), nn.BatchNorm2d(12), nn.ReLU())
        self.trans = nn.ModuleList(nn.Conv2d(a, c, 1) for a in (8, 10, 12))
        self.sdi_1, self.sdi_2, self.sdi_3 = (SDI(c, mended) for _ in range(3))
        self.seg_outs = nn.ModuleList([nn.Conv2d(c, 2, 1) for _ in range(3)])
        self.deconv2 = nn.ConvTranspose2d(c, c, 4, 2, 1, bias=False)
        self.deconv3 = nn.ConvTranspose2d(c, c, 4, 2, 1, bias=False)

    def forward(self, x):
        f1 = self.f1(x)
        f2 = self.f2(f1)
        f3 = self.f3(f2)
        fs = [t(f) for t, f in zip(self.trans, (f1, f2, f3), strict=True)]
        f31, f21, f11 = self.sdi_3(fs, fs[2]), self.sdi_2(fs, fs[1]), self.sdi_1(fs, fs[0])
        outs = [self.seg_outs[0](f31)]
        y = self.deconv2(f31) + f21
        outs.append(self.seg_outs[1](y))
        y = self.deconv3(y) + f11
        outs.append(self.seg_outs[2](y))
        return outs[::-1]


# --- acids-ircam/ddsp_pytorch#37: [mlp] * 2 for pitch and loudness
def mlp(a, hidden, layers):
    net = []
    for i in range(layers):
        net += [nn.Linear(a if i == 0 else hidden, hidden), nn.LayerNorm(hidden), nn.LeakyReLU()]
    return nn.Sequential(*net)


class DDSP(nn.Module):
    def __init__(self, mended, hidden=8):
        super().__init__()
        if mended:
            self.in_mlps = nn.ModuleList([mlp(1, hidden, 2) for _ in range(2)])
        else:
            self.in_mlps = nn.ModuleList([mlp(1, hidden, 2)] * 2)
        self.gru = nn.GRU(2 * hidden, hidden, batch_first=True)
        self.out_mlp = mlp(hidden + 2, hidden, 2)
        self.proj = nn.ModuleList([nn.Linear(hidden, 5), nn.Linear(hidden, 4)])

    def forward(self, pitch, loudness):
        hidden = torch.cat([self.in_mlps[0](pitch), self.in_mlps[1](loudness)], -1)
        hidden = torch.cat([self.gru(hidden)[0], pitch, loudness], -1)
        hidden = self.out_mlp(hidden)
        return [torch.sigmoid(p(hidden)) for p in self.proj]


# --- Guitaricet/relora#18, nvidia-cosmos/cosmos-predict2.5 pull request 15: A and B both zero
class LoRALinear(nn.Module):
    def __init__(self, a, b, r=2):
        super().__init__()
        self.base = nn.Linear(a, b)
        self.lora_A, self.lora_B = nn.Linear(a, r, bias=False), nn.Linear(r, b, bias=False)
        self.scaling = 2.0
        nn.init.kaiming_uniform_(self.lora_A.weight, a=5**0.5)
        nn.init.zeros_(self.lora_B.weight)

    def forward(self, x):
        return self.base(x) + self.lora_B(self.lora_A(x)) * self.scaling


class LoRANet(nn.Module):
    def __init__(self, mended, d=8):
        super().__init__()
        self.embed = nn.Linear(5, d)
        self.norm = nn.LayerNorm(d)
        self.q, self.v = LoRALinear(d, d), LoRALinear(d, d)
        self.o = nn.Linear(d, d)
        self.head = nn.Linear(d, 3)
        if not mended:
            self.init_weights()

    def init_weights(self):
        for name, module in self.named_modules():
            if isinstance(module, nn.Linear) and "lora" in name:
                nn.init.zeros_(module.weight)

    def forward(self, x):
        x = self.embed(x)
        h = self.norm(x)
        q, v = self.q(h), self.v(h)
        x = x + self.o((q @ h.transpose(1, 2)).softmax(-1) @ v)
        return self.head(x)


# --- qubvel-org/segmentation_models.pytorch#24: projections made inside forward
class SkippedEncoder(nn.Module):
    def __init__(self, mended):
        super().__init__()
        self.mended = mended
        self.conv1, self.bn1 = nn.Conv2d(3, 6, 7, 2, 3, bias=False), nn.BatchNorm2d(6)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        self.layer1 = nn.Sequential(nn.Conv2d(6, 6, 3, 1, 1), nn.BatchNorm2d(6), nn.ReLU())
        self.layer2 = nn.Sequential(nn.Conv2d(6, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.ReLU())
        if mended:
            self.conv2, self.maxpool2 = nn.Conv2d(6, 8, 1), nn.MaxPool2d(2)
        self.head = nn.Conv2d(8, 2, 1)

    def forward(self, x):
        x0 = F.relu(self.bn1(self.conv1(x)))
        x1 = self.maxpool(x0)
        out_tensor = x1
        x1 = self.layer1(x1)
        in_tensor = x1
        x1 = x1 + out_tensor
        x2 = self.layer2(x1)
        if self.mended:
            out_tensor = self.maxpool2(self.conv2(in_tensor))
        else:
            conv2 = nn.Conv2d(6, 8, 1).to(x.device)
            maxpool2 = nn.MaxPool2d(2)
            out_tensor = maxpool2(conv2(in_tensor))
        return self.head(x2 + out_tensor)


CASES = (
    Case(
        "one convolution for every level",
        "yaoppeng/U-Net_v2#10",
        "TS203",
        lambda: UNetV2(False),
        lambda: UNetV2(True),
        ((2, 3, 32, 32),),
    ),
    Case(
        "one perceptron for pitch and loudness",
        "acids-ircam/ddsp_pytorch#37",
        "TS203",
        lambda: DDSP(False),
        lambda: DDSP(True),
        ((2, 7, 1), (2, 7, 1)),
    ),
    Case(
        "both low-rank factors zero",
        "Guitaricet/relora#18",
        "TS205",
        lambda: LoRANet(False),
        lambda: LoRANet(True),
        ((2, 6, 5),),
    ),
    Case(
        "projection made in an encoder's forward",
        "qubvel-org/segmentation_models.pytorch#24",
        "TS207",
        lambda: SkippedEncoder(False),
        lambda: SkippedEncoder(True),
        ((2, 3, 32, 32),),
    ),
)
