"""The fifth set. Sequences once more, found after the rules were mended for the others."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..case import Case
from .fifth_sequences import Tokens, seq

SERIES = ((2, 4, 32),)
TOKENS = ((2, 12, 4),)


class Matched(nn.Module):
    """A TCN's block whose matching convolution reads the branch."""

    def __init__(self, mended: bool, dilation: int = 1) -> None:
        super().__init__()
        self.convs = nn.ModuleList(
            nn.Conv1d(8, 8, 3, padding=dilation, dilation=dilation) for _ in range(2)
        )
        self.drop, self.mended = nn.Dropout1d(0.1), mended
        self.shape_match_conv = nn.Conv1d(8, 8, 1)

    def forward(self, x: Tensor) -> Tensor:
        before = x
        for conv in self.convs:
            x = self.drop(F.relu(conv(x)))
        if self.mended:
            return self.shape_match_conv(before) + x
        return before + self.shape_match_conv(x)


class Wide(nn.Module):
    """A wide block whose dropout takes the block's input for the branch."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.bn1, self.conv1 = nn.BatchNorm1d(8), nn.Conv1d(8, 8, 3, padding=1)
        self.bn2, self.conv2 = nn.BatchNorm1d(8), nn.Conv1d(8, 8, 3, padding=1)
        self.dropout, self.mended = nn.Dropout(0.3), mended

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv1(F.relu(self.bn1(x)))
        y = self.dropout(y if self.mended else x)
        return x + self.conv2(F.relu(self.bn2(y)))


class Skeleton(nn.Module):
    """A graph convolution over joints whose residual is computed and not added."""

    def __init__(self, taken: int, given: int, mended: bool, joints: int = 5) -> None:
        super().__init__()
        self.gcn, self.mended = nn.Conv2d(taken, given * 2, 1), mended
        self.register_buffer("adjacency", torch.softmax(torch.randn(2, joints, joints), 1))
        self.tcn = nn.Sequential(
            *(nn.BatchNorm2d(given), nn.ReLU(), nn.Conv2d(given, given, (3, 1), padding=(1, 0))),
            *(nn.BatchNorm2d(given), nn.Dropout(0.1)),
        )
        self.residual = nn.Sequential(nn.Conv2d(taken, given, 1), nn.BatchNorm2d(given))

    def forward(self, x: Tensor) -> Tensor:
        res = self.residual(x)
        y = self.gcn(x)
        n, both, t, v = y.shape
        y = torch.einsum("nkctv,kvw->nctw", y.view(n, 2, both // 2, t, v), self.adjacency)
        y = self.tcn(y)
        return F.relu(y + res if self.mended else y)


class Dense(nn.Module):
    """A forecaster's residual block whose projection reads its output."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.hidden_layer = nn.Sequential(nn.Linear(8, 8), nn.SiLU())
        self.output_layer, self.residual_layer = nn.Linear(8, 8), nn.Linear(8, 8)
        self.mended = mended

    def forward(self, x: Tensor) -> Tensor:
        output = self.output_layer(self.hidden_layer(x))
        return output + self.residual_layer(x if self.mended else output)


CASES: tuple[Case, ...] = (
    Case(
        "matching_conv_on_the_branch",
        "philipperemy/keras-tcn#45",
        "TS204",
        lambda: seq(Matched(False), Matched(False, 2)),
        lambda: seq(Matched(True), Matched(True, 2)),
        SERIES,
    ),
    Case(
        "wide_dropout_of_the_input",
        "hypnopump/keras-wrn PR 2",
        "TS107",
        lambda: seq(Wide(False), Wide(False)),
        lambda: seq(Wide(True), Wide(True)),
        SERIES,
    ),
    Case(
        "skeleton_residual_not_added",
        "written from memory: ST-GCN forks",
        "TS107",
        lambda: nn.Sequential(Skeleton(3, 8, False), Skeleton(8, 16, False)),
        lambda: nn.Sequential(Skeleton(3, 8, True), Skeleton(8, 16, True)),
        ((2, 3, 12, 5),),
    ),
    Case(
        "residual_layer_of_the_output",
        "written from memory: TiDE and TimesFM blocks",
        "TS204",
        lambda: Tokens(Dense(False), Dense(False)),
        lambda: Tokens(Dense(True), Dense(True)),
        TOKENS,
    ),
)
