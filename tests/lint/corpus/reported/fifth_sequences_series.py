"""The fifth set. Time series: forecasting, classification, electrocardiograms."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..case import Case
from .fifth_sequences import seq

WAVE = ((2, 4, 32),)
TOKENS = ((2, 12, 4),)


class SublayerConnection(nn.Module):
    def __init__(self, enable_res_parameter, dropout=0.1):
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.enable = enable_res_parameter
        if enable_res_parameter:
            self.a = nn.Parameter(torch.tensor(0.5))

    def forward(self, x: Tensor, out_x: Tensor) -> Tensor:
        return x + self.dropout(self.a * out_x) if self.enable else x + self.dropout(out_x)


class ConvEncoderLayer(nn.Module):
    def __init__(self, d=8, d_ff=16, kernel=7):
        super().__init__()
        self.dw_conv = nn.Conv1d(d, d, kernel, 1, "same", groups=d)
        self.dw_act = nn.GELU()
        self.sublayerconnect1 = SublayerConnection(True)
        self.dw_norm = nn.BatchNorm1d(d)
        self.ff = nn.Sequential(
            nn.Conv1d(d, d_ff, 1), nn.GELU(), nn.Dropout(0.1), nn.Conv1d(d_ff, d, 1)
        )
        self.sublayerconnect2 = SublayerConnection(True)
        self.norm_ffn = nn.BatchNorm1d(d)

    def forward(self, src: Tensor) -> Tensor:
        src = self.sublayerconnect1(src, self.dw_act(self.dw_conv(src)))
        src = self.dw_norm(src)
        src2 = self.ff(src)
        src2 = self.sublayerconnect2(src, src2)
        src2 = self.norm_ffn(src2)
        return src


class ConvEncoderLayerMended(ConvEncoderLayer):
    def forward(self, src: Tensor) -> Tensor:
        src = self.sublayerconnect1(src, self.dw_act(self.dw_conv(src)))
        src = self.dw_norm(src)
        src2 = self.ff(src)
        src2 = self.sublayerconnect2(src, src2)
        return self.norm_ffn(src2)


class InceptionModule(nn.Module):
    def __init__(self, num_filters=16, kernel_size=8, residual=False, tracked=True):
        super().__init__()
        self.residual = residual
        self.bottleneck = nn.Linear(num_filters, 1, bias=False)
        sizes = [kernel_size // 2**i for i in range(3)]
        convs = [nn.Conv1d(1, num_filters // 4, k + 1, padding=k // 2, bias=False) for k in sizes]
        self.convolutions = nn.ModuleList(convs) if tracked else convs
        self.pool_conv = nn.Sequential(
            nn.MaxPool1d(3, 1, 1), nn.Conv1d(num_filters, num_filters // 4, 1, bias=False)
        )
        self.bn_relu = nn.Sequential(nn.BatchNorm1d(num_filters), nn.ReLU())
        if residual:
            self.residual_relu = nn.ReLU()

    def forward(self, input_tensor: Tensor) -> Tensor:
        input_inception = self.bottleneck(input_tensor.transpose(1, 2)).transpose(1, 2)
        features = [conv(input_inception) for conv in self.convolutions]
        features.append(self.pool_conv(input_tensor))
        features = torch.cat(features, dim=1)
        features = self.bn_relu(features)
        if self.residual:
            features = features + input_tensor
            features = self.residual_relu(features)
        return features


class InceptionTime(nn.Module):
    def __init__(self, use_residual=True, passes=False, tracked=True, hidden=16, layers=3):
        super().__init__()
        self.use_residual = use_residual
        self.inlinear = nn.Linear(4, hidden)
        kwargs = {"residual": use_residual} if passes else {}
        self.inception_modules = nn.Sequential(
            *(InceptionModule(hidden, tracked=tracked, **kwargs) for _ in range(layers))
        )
        self.avgpool = nn.AdaptiveAvgPool1d(1)
        self.outlinear = nn.Linear(hidden, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.inlinear(x.transpose(1, 2)).transpose(1, 2)
        for module in self.inception_modules:
            x = module(x)
        x = self.avgpool(x).squeeze(2)
        return F.log_softmax(self.outlinear(x), dim=-1)


class NBeatsBlock(nn.Module):
    def __init__(self, window, horizon, units=16):
        super().__init__()
        self.window = window
        self.hidden = nn.ModuleList([nn.Linear(window, units), nn.Linear(units, units)])
        self.theta_layer = nn.Linear(units, window + horizon)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.hidden:
            x = F.relu(layer(x))
        theta = self.theta_layer(x)
        return theta[:, : self.window], theta[:, -(theta.shape[1] - self.window) :]


class NBeats(nn.Module):
    def __init__(self, window=12, horizon=4, stacks=4):
        super().__init__()
        self.initial = NBeatsBlock(window, horizon)
        self.blocks = nn.ModuleList(NBeatsBlock(window, horizon) for _ in range(stacks - 1))

    def forward(self, x: Tensor) -> Tensor:
        residuals, forecast = self.initial(x)
        for block in self.blocks:
            backcast, block_forecast = block(residuals)
            residuals = residuals - backcast
            forecast = forecast + block_forecast
        return forecast


class NBeatsMended(NBeats):
    def forward(self, x: Tensor) -> Tensor:
        backcast, forecast = self.initial(x)
        residuals = x - backcast
        for block in self.blocks:
            backcast, block_forecast = block(residuals)
            residuals = residuals - backcast
            forecast = forecast + block_forecast
        return forecast


class TimesNet(nn.Module):
    def __init__(self, series=4, d=8, length=12, horizon=4):
        super().__init__()
        self.adapter = nn.Linear(series, series)
        self.embedding = nn.Linear(series, d)
        self.convs = nn.ModuleList(
            nn.Sequential(nn.Conv2d(d, d, 3, padding=1), nn.GELU(), nn.Conv2d(d, d, 3, padding=1))
            for _ in range(2)
        )
        self.norm = nn.LayerNorm(d)
        self.predict = nn.Linear(length, horizon)
        self.projection = nn.Linear(d, series)

    def body(self, x):
        x = self.embedding(x)
        for conv in self.convs:
            b, t, d = x.shape
            y = conv(x.reshape(b, t // 4, 4, d).permute(0, 3, 1, 2))
            x = self.norm(y.permute(0, 2, 3, 1).reshape(b, t, d) + x)
        return self.projection(self.predict(x.transpose(1, 2)).transpose(1, 2))

    def forward(self, x_enc: Tensor) -> Tensor:
        x_enc = self.adapter(x_enc)
        means = x_enc.mean(1, keepdim=True).detach()
        x_enc = x_enc - means
        stdev = torch.sqrt(torch.var(x_enc, dim=1, keepdim=True, unbiased=False) + 1e-5)
        x_enc /= stdev
        out = self.body(x_enc)
        return out * stdev[:, 0].unsqueeze(1) + means[:, 0].unsqueeze(1)


class TimesNetMended(TimesNet):
    def forward(self, x_enc: Tensor) -> Tensor:
        x_enc = self.adapter(x_enc)
        means = x_enc.mean(1, keepdim=True).detach()
        x_enc = x_enc - means
        stdev = torch.sqrt(torch.var(x_enc, dim=1, keepdim=True, unbiased=False) + 1e-5)
        x_enc = x_enc / stdev
        out = self.body(x_enc)
        return out * stdev[:, 0].unsqueeze(1) + means[:, 0].unsqueeze(1)


class LeadBlock(nn.Module):
    def __init__(self, cin, cout, stride=1, channels_count=False):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv1d(cin, cout, 7, stride, 3), nn.BatchNorm1d(cout)
        self.conv2, self.bn2 = nn.Conv1d(cout, cout, 7, 1, 3), nn.BatchNorm1d(cout)
        self.relu, self.dropout = nn.ReLU(), nn.Dropout(0.2)
        self.shortcut = None
        if stride != 1 or (channels_count and cin != cout):
            self.shortcut = nn.Sequential(nn.Conv1d(cin, cout, 1, stride), nn.BatchNorm1d(cout))

    def forward(self, x: Tensor) -> Tensor:
        out = self.dropout(self.relu(self.bn1(self.conv1(x))))
        out = self.bn2(self.conv2(out))
        res = x if self.shortcut is None else self.shortcut(x)
        return self.relu(out + res)


def leads(count):
    return lambda: nn.Sequential(
        LeadBlock(1, 8, 1, count),
        LeadBlock(8, 16, 2, count),
        LeadBlock(16, 16, 1, count),
        nn.AdaptiveAvgPool1d(1),
        nn.Flatten(),
        nn.Linear(16, 3),
    )


CASES: tuple[Case, ...] = (
    Case(
        "convtimenet_returns_src",
        "ustc-time-series/ConvTimeNet#4",
        "TS107",
        lambda: seq(ConvEncoderLayer(), ConvEncoderLayer()),
        lambda: seq(ConvEncoderLayerMended(), ConvEncoderLayerMended()),
        WAVE,
    ),
    Case(
        "inceptiontime_flag_lost",
        "dl4sits/BreizhCrops#29",
        "TS201",
        lambda: InceptionTime(),
        lambda: InceptionTime(passes=True),
        WAVE,
    ),
    Case(
        "inceptiontime_plain_list",
        "dl4sits/BreizhCrops breizhcrops/models/InceptionTime.py",
        "TS207",
        lambda: InceptionTime(passes=True, tracked=False),
        lambda: InceptionTime(passes=True),
        WAVE,
    ),
    Case(
        "nbeats_first_subtract",
        "mrdbourke/tensorflow-deep-learning#395",
        "TS201",
        NBeats,
        NBeatsMended,
        ((2, 12),),
    ),
    Case(
        "timesnet_divides_in_place",
        "thuml/Time-Series-Library#699",
        "TS112",
        TimesNet,
        TimesNetMended,
        TOKENS,
    ),
    Case(
        "lead_projection_by_stride",
        "written from memory: one-lead ECG ResNets",
        "TS103",
        leads(False),
        leads(True),
        ((2, 1, 32),),
    ),
)
