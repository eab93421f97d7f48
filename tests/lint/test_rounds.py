"""Parts of a split that are added up in rounds: to the round before, or all to the first."""

import pytest
import torch
import torch.nn.functional as F
from net import c1, c2, seq
from torch import nn

from torchskip.lint.check import check


class Hierarchical(nn.Module):
    """Res2Net's middle: `how` says what is added to each part."""

    def __init__(self, how, conv=c2, parts=4):
        super().__init__()
        self.layers = nn.ModuleList(conv(4, 4) for _ in range(parts - 1))
        self.mix, self.how = conv(4 * parts, 4 * parts, 1), how

    def forward(self, x):
        parts = x.chunk(x.shape[1] // 4, 1)
        if self.how == "slices":
            parts = [x[:, i : i + 4] for i in range(0, x.shape[1], 4)]
        context = x.mean(tuple(range(2, x.dim())), keepdim=True)[:, :4]
        outs = []
        for i, layer in enumerate(self.layers):
            held = {
                "before": outs[-1] if outs else parts[i],
                "first": parts[0],
                "slices": parts[0],
                "first result": outs[0] if outs else parts[i],
                "context": context,
                "none": None,
            }[self.how]
            alone = held is None or (i == 0 and self.how != "context")
            outs.append(F.relu(layer(parts[i] if alone else parts[i] + held)))
        return x + self.mix(torch.cat([*outs, parts[-1]], 1))


def found(how, conv, shape, parts=4):
    model = seq(conv(4, 4 * parts), Hierarchical(how, conv, parts), Hierarchical(how, conv, parts))
    return check(model, torch.zeros(shape), select=["TS204"]).findings


@pytest.mark.parametrize("how", ["first", "slices", "first result"])
@pytest.mark.parametrize(
    ("conv", "shape", "parts"), [(c2, (2, 4, 8, 8), 4), (c1, (2, 4, 16), 4), (c2, (2, 4, 8, 8), 6)]
)
def test_rounds_that_all_add_the_first_part_are_told(how, conv, shape, parts):
    (finding,) = found(how, conv, shape, parts)
    assert f"{parts - 2} parts of a split are added to the first one's" in finding.message


@pytest.mark.parametrize("how", ["before", "none", "context"])
def test_rounds_in_a_row_and_one_context_for_all_are_left_alone(how):
    assert not found(how, c2, (2, 4, 8, 8))
