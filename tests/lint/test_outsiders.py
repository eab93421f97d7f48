"""What is kept outside the module tree is told from what is made in forward."""

import pytest
import torch
from torch import nn

from torchskip.lint.check import check


class Layer(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear, self.dropout = nn.Linear(8, 8), nn.Dropout(0.1)

    def forward(self, x):
        return x + self.dropout(self.linear(x))


class Listed(nn.Module):
    """A plain list, which no `eval()` reaches: its dropout makes two passes differ."""

    def __init__(self):
        super().__init__()
        self.layers = [Layer(), Layer()]
        self.head = nn.Linear(8, 3)

    def forward(self, x):
        for layer in self.layers:
            x = layer(x)
        return self.head(x)


class Made(nn.Module):
    def __init__(self):
        super().__init__()
        self.head = nn.Linear(8, 3)

    def forward(self, x):
        return self.head(Layer().to(x.device)(x))


class Both(Listed):
    def forward(self, x):
        return super().forward(nn.Linear(8, 8).to(x.device)(x))


@pytest.mark.parametrize(
    ("model", "kept", "made"), [(Listed, 1, 0), (Made, 0, 1), (Both, 1, 1)], ids=lambda v: str(v)
)
def test_each_is_called_what_it_is(model, kept, made):
    report = check(model(), torch.zeros(2, 5, 8), select=["TS207"])
    told = [f.message for f in report.findings]
    assert sum("kept outside the module tree" in text for text in told) == kept
    assert sum("made in forward" in text for text in told) == made


def test_a_dropout_that_evaluation_does_not_reach_is_to_be_registered():
    (finding,) = check(Listed(), torch.zeros(2, 5, 8), select=["TS111"]).findings
    assert "drops in evaluation too" in finding.message
    assert finding.mends[0].text.startswith("register what holds it")
