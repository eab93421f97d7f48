"""What findings advise: the slip behind a failure or a sum, by its message and its arms."""

import torch
from net import Net, c2, seq
from torch import nn

from torchskip.lint.check import check


def advice(code, model, *example):
    finding = check(model, *example, select=[code]).findings[0]
    return [mend.text for mend in finding.mends]


def test_a_concatenation_of_loose_tensors_lacks_its_tuple():
    model = Net(lambda s, x: torch.cat(s.a(x), x, 1), a=c2())
    assert advice("TS100", model, torch.zeros(2, 4, 8, 8)) == [
        "give the tensors as one tuple: `torch.cat((a, b), dim=1)`"
    ]


class Overwritten(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.down = c2(), c2()

    def forward(self, x):
        x = self.a(x)
        self.down = self.down(x)
        return x


def test_a_layer_replaced_by_its_result_is_kept():
    assert advice("TS100", Overwritten(), torch.zeros(2, 4, 8, 8)) == [
        "keep the layer: assign to a local name, not to `self.down`"
    ]


def test_copies_piled_on_the_batch_belong_on_the_channels():
    model = Net(lambda s, x: s.a(x) + torch.cat([x] * 4), a=c2(1, 4))
    assert advice("TS103", model, torch.zeros(1, 1, 8, 8)) == [
        "concatenate along the channels: `torch.cat(..., dim=1)`"
    ]


def test_a_lost_axis_is_kept():
    model = Net(lambda s, x: s.a(x) + s.b(x).squeeze(-1), a=nn.Linear(4, 1), b=nn.Linear(4, 1))
    assert any("keepdim" in text for text in advice("TS103", model, torch.zeros(3, 4)))


def growing(scale, strided):
    def block():
        def forward(net, x):
            return scale * (net.body(x) + net.skip(x))

        stride = 2 if strided else 1
        body, skip = seq(c2(8, 8, stride=stride), c2(8, 8)), nn.Conv2d(8, 8, 1, stride)
        for layer in (*body, skip):
            nn.init.kaiming_normal_(layer.weight)
        return Net(forward, body=body, skip=skip)

    torch.manual_seed(0)
    return seq(c2(4, 8), *(block() for _ in range(5)))


def test_projections_that_double_the_variance_are_scaled():
    for strided in (False, True):
        image = torch.zeros(2, 4, 64, 64)
        assert "multiply the sum by 1/sqrt(2)" in advice("TS304", growing(1, strided), image)
        assert not check(growing(0.5, strided), image, select=["TS304"]).findings
