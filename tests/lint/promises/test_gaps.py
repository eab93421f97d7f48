"""Layers that never run although others of their list do."""

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from net import c1, c2, seq
from torch import nn

from torchskip.lint.check import check


class Branches(nn.Module):
    def __init__(self, conv=c2, count=4):
        super().__init__()
        self.layers = nn.ModuleList(conv() for _ in range(count))


class Summed(Branches):
    def forward(self, x):
        out = self.layers[0](x)
        for layer in self.layers[1:]:
            return out + layer(x)
        return None


class Collected(Branches):
    def forward(self, x):
        found = [x]
        for i, layer in enumerate(self.layers):
            found.append(layer(found[i]))
            return torch.cat(found, 1)
        return None


class Searched(Branches):
    """Takes the first layer that fits: the others wait for other inputs."""

    def forward(self, x):
        for i, layer in enumerate(self.layers):
            if x.shape[-1] % (i + 1):
                continue
            return x + layer(x)
        return x


class Early(Branches):
    """Leaves the loop where the map has become small."""

    def forward(self, x):
        for layer in self.layers:
            x = x + layer(x)
            if x.shape[-1] < 100:
                return F.relu(x)
        return x


def findings(model, shape=(2, 4, 8, 8)):
    return check(model, torch.zeros(shape), select=["TS108"]).findings


@pytest.mark.parametrize(
    ("model", "shape", "first", "text"),
    [
        (Summed(), (2, 4, 8, 8), "layers.2", "return out + layer(x)"),
        (seq(c1(), Summed(c1, 3)), (2, 4, 9), "1.layers.2", "return out + layer(x)"),
        (seq(seq(c2()), Collected()), (2, 4, 8, 8), "1.layers.1", "return torch.cat"),
    ],
)
def test_a_return_within_the_loop_leaves_the_rest_of_the_list_out(model, shape, first, text):
    (finding,) = findings(model, shape)
    assert (finding.module, finding.severity) == (first, "warning")
    assert "for the loop over them returns in its first round" in finding.message
    assert [m.text for m in finding.mends] == ["return behind the loop"]
    lines = Path(finding.source.file).read_text().splitlines()
    assert lines[finding.source.line - 1].strip().startswith(text)


@pytest.mark.parametrize("kind", [Searched, Early])
def test_a_loop_that_may_go_on_is_left_alone(kind):
    assert not findings(seq(c2(), kind(), c2()))
