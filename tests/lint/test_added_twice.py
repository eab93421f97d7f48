"""How grave it is that a sum holds its shortcut twice."""

import pytest
import torch
from net import Net, c1, c2, seq
from torch import nn

from torchskip.lint.check import check


def block(conv):
    return Net(lambda s, x: x + s.a(x).relu(), a=conv())


def halves(conv):
    """One block of two sums, as a transformer's."""
    return Net(lambda s, x: (y := x + s.a(x)) + s.b(y), a=conv(), b=conv())


def axial(conv):
    """A branch with a sum of its own, of its two halves (AlphaFold 2's attention along axes)."""
    both = Net(lambda s, x: s.a(x) + s.b(x), a=conv(), b=conv())
    return Net(lambda s, x: x + s.f(x), f=both, a=conv())


def around(*inner, tail=None):
    body = seq(*inner) if tail is None else seq(*inner, tail)
    return seq(inner[0].a.__class__(4, 4, 1), Net(lambda s, x: x + s.body(x), body=body))


@pytest.mark.parametrize(
    ("model", "shape", "severity"),
    [
        (around(block(c2)), (2, 4, 8, 8), "warning"),
        (around(halves(c2)), (2, 4, 8, 8), "warning"),
        (around(halves(c1)), (2, 4, 8), "warning"),
        (around(axial(c1)), (2, 4, 8), "warning"),
        (around(block(c2), block(c2)), (2, 4, 8, 8), "note"),
        (around(block(c1), block(c1), block(c1)), (2, 4, 8), "note"),
        (Net(lambda s, x: (x := s.a(x)) + s.b(x) + x, a=c2(), b=c2()), (2, 4, 8, 8), "error"),
    ],
)
def test_severity(model, shape, severity):
    findings = check(model, torch.zeros(shape), select=["TS106"]).findings
    assert [f.severity for f in findings] == [severity]


def test_a_layer_behind_the_blocks_makes_a_branch():
    """Residual in residual as it is meant (RCAN, ESRGAN)."""
    model = around(block(c2), block(c2), tail=nn.Conv2d(4, 4, 3, padding=1))
    assert check(model, torch.zeros(2, 4, 8, 8), select=["TS106"]).findings == ()
