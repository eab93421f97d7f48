"""What is said of a module that runs twice on one value."""

import pytest
import torch
from net import Net, c2

from torchskip.lint.check import check


@pytest.mark.parametrize(
    ("forward", "told", "mend"),
    [
        (
            lambda s, x: (s.a(x), s.a(x) + s.b(x))[1],
            "the first result is thrown away",
            "run it once and use that result",
        ),
        (
            lambda s, x: s.a(x) + s.b(s.a(x)),
            "both arms hold the same layer",
            "make one module per place",
        ),
    ],
)
def test_twice_on_one_value(forward, told, mend):
    model = Net(forward, a=c2(), b=c2())
    (finding,) = check(model, torch.zeros(2, 4, 8, 8), select=["TS203"]).findings
    assert finding.message == f"'a' runs twice on the same value: {told}"
    assert [m.text for m in finding.mends] == [mend]
