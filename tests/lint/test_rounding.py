"""Mends of strides, pools and dtypes: they go to what the repositories changed."""

import pytest
import torch
import torch.nn.functional as F
from net import Net, c2, seq
from torch import nn

from torchskip.lint.check import check


def mends(code, model, shape, verify=False):
    torch.manual_seed(0)
    report = check(model, torch.zeros(shape), select=[code], verify_mends=verify)
    (finding,) = report.findings
    return finding.mends


def pooled(pool, arm=None):
    return Net(lambda s, x: s.a(x) + s.down(x), a=arm or c2(stride=2), down=pool)


@pytest.mark.parametrize("pool", [nn.AvgPool2d(2), seq(nn.MaxPool2d(2), c2(4, 4, 1))])
def test_a_pool_beside_a_padded_convolution_rounds_up(pool):
    where = "down.0" if isinstance(pool, nn.Sequential) else "down"
    text = f"set {where!r}: ceil_mode=True"
    first = mends("TS101", pooled(pool), (2, 4, 7, 7), verify=True)[0]
    assert (first.text, first.verified) == (text, True)
    assert mends("TS102", pooled(pool), (2, 4, 8, 8))[0].text == text


def test_a_pool_that_is_no_module_has_no_setting():
    model = Net(lambda s, x: s.a(x) + F.avg_pool2d(x, 2), a=c2(stride=2))
    assert not any(mend.edits for mend in mends("TS102", model, (2, 4, 8, 8)))


class Twice(nn.Module):
    """open-mmlab/mmdetection pull request 576"""

    def __init__(self, projection=2):
        super().__init__()
        self.conv1, self.conv2 = c2(4, 8, stride=2), c2(8, 8, stride=2)
        self.down = nn.Conv2d(4, 8, 1, projection)

    def forward(self, x):
        return self.conv2(F.relu(self.conv1(x))) + self.down(x)


def test_a_branch_that_strides_again_behind_a_strided_projection_strides_once():
    first, second, *_ = mends("TS101", Twice(), (2, 4, 16, 16), verify=True)
    assert (first.text, first.verified) == ("set 'conv2': stride=1", True)
    assert (second.text, second.verified) == ("set 'down': stride=4", True)


def test_a_projection_without_a_stride_gets_the_branchs():
    assert mends("TS101", Twice(1), (2, 4, 16, 16))[0].text == "set 'down': stride=4"


def test_the_step_named_is_one_that_changes_what_differs():
    bottleneck = seq(c2(4, 2, 1), c2(2, 2, stride=2), c2(2, 4, 1))
    model = Net(lambda s, x: s.a(x) + s.down(x), a=bottleneck, down=nn.AvgPool2d(2))
    torch.manual_seed(0)
    (finding,) = check(model, torch.zeros(2, 4, 7, 7), select=["TS101"]).findings
    assert "the branch parts at step 2, convolution 'a.1': (2, 2, 7, 7) to (2, 2, 4, 4)" in (
        finding.message
    )


def test_a_padding_of_zeros_is_made_in_the_streams_dtype():
    def widened(s, x):
        zeros = torch.zeros(x.shape[0], 2, *x.shape[2:])
        return s.a(x) + torch.cat([x, zeros], 1)

    torch.manual_seed(0)
    model = Net(widened, a=c2(4, 6))
    (finding,) = check(model, torch.zeros(2, 4, 8, 8), select=["TS110"]).findings
    assert finding.message == (
        "the arms are bfloat16 and float32: the join makes the stream float32 when the model runs "
        "in bfloat16; concatenation meets a tensor of that dtype"
    )
    assert "`dtype=x.dtype`" in finding.mends[0].text
