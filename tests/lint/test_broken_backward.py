"""Which writes in place are named when backward fails: the causes, and not what follows them."""

import pytest
import torch
import torch.nn.functional as F
from net import Net, c2, seq

from torchskip.lint.check import check


def cascade(s, x):
    y = F.relu(s.a(x))
    y += x
    y += s.b(x)
    return y.mul_(2)


def two(s, x):
    y = F.relu(s.a(x))
    y += x
    z = s.b(y)
    y += z
    return y


def numbers(s, x):
    y = F.relu(s.a(x))
    y += x
    z = s.b(x)
    w = z * 2
    z += x
    return y + z + w


@pytest.mark.parametrize(
    ("forward", "writes"),
    [
        (cascade, [("y += x", "relu")]),
        (two, [("y += x", "relu"), ("y += z", "convolution")]),
        (numbers, [("y += x", "relu")]),  # a product with a number keeps nothing
    ],
)
def test_the_first_write_after_what_keeps_a_tensor_is_named(forward, writes):
    model = seq(c2(), *(Net(forward, a=c2(), b=c2()) for _ in range(2)))
    findings = check(model, torch.zeros(2, 4, 8, 8), select=["TS112"]).findings
    assert [f.source.text for f in findings] == [text for text, _ in writes]
    for finding, (_, keeper) in zip(findings, writes, strict=True):
        assert f"that {keeper}" in finding.message
