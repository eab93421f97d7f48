"""Slices with a step round like strides, and the padding before them is asked for other sizes."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from torchskip.lint.check import check


class Merging(nn.Module):
    """Four neighbours become one, channels last: Swin's patch merging."""

    def __init__(self, pad):
        super().__init__()
        self.embed, self.reduce, self.pad = nn.Conv2d(3, 4, 1), nn.Linear(16, 8), pad

    def forward(self, x):
        x = self.embed(x).permute(0, 2, 3, 1)
        h, w = x.shape[1] % 2, x.shape[2] % 2
        if self.pad is not None and (h or w):
            x = F.pad(x, self.pad(h, w))
        corners = [x[:, i::2, j::2] for i in (0, 1) for j in (0, 1)]
        return self.reduce(torch.cat(corners, -1))


class Focus(nn.Module):
    """The same on maps, always padded: by nothing where the size is even."""

    def __init__(self, pad):
        super().__init__()
        self.conv, self.pad = nn.Conv2d(12, 8, 3, padding=1), pad

    def forward(self, x):
        x = F.pad(x, self.pad(x.shape[-2] % 2, x.shape[-1] % 2))
        corners = [x[..., i::2, j::2] for i in (0, 1) for j in (0, 1)]
        return self.conv(torch.cat(corners, 1))


class Lifting(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.predict = nn.Conv1d(3, 4, 1), nn.Conv1d(4, 4, 3, padding=1)

    def forward(self, x):
        x = self.conv(x)
        even, odd = x[..., ::2], x[..., 1::2]
        return odd - self.predict(even)


def findings(model, *shape):
    return check(model, torch.zeros(shape or (2, 3, 8, 10)), select=["TS102"]).findings


@pytest.mark.parametrize(
    "model",
    [Merging(lambda h, w: (0, 0, 0, h, 0, w)), Focus(lambda h, w: (0, h, 0, w))],
    ids=["under a condition", "always"],
)
def test_a_padding_of_swapped_axes_is_an_error(model):
    (finding,) = findings(model)
    assert finding.severity == "error"
    assert "fails for (2, 3, 9, 10)" in finding.message
    assert finding.mends[0].text.startswith("`F.pad` takes the last axis first")


@pytest.mark.parametrize(("model", "shape"), [(Merging(None), ()), (Lifting(), (2, 3, 8))])
def test_slices_that_nothing_pads_need_even_sizes(model, shape):
    (finding,) = findings(model, *shape)
    assert finding.severity == "warning"


@pytest.mark.parametrize(
    "model", [Merging(lambda h, w: (0, 0, 0, w, 0, h)), Focus(lambda h, w: (0, w, 0, h))]
)
def test_a_padding_of_the_right_axes_fits_every_size(model):
    assert findings(model) == ()
