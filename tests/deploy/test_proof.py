"""A fused model that differs too much is refused, with what would accept it."""

import pytest
import torch

from torchskip.deploy.proof import largest_difference, prove
from torchskip.errors import FuseError


@pytest.mark.parametrize(
    ("difference", "tolerance", "mend"),
    [
        (1.2e-5, 1e-5, "if that will do for you, fuse(..., tolerance=2e-05)"),
        (0.015, 1e-2, "fuse in float32, or if that will do for you, fuse(..., tolerance=2e-02)"),
        (float("inf"), 1e-2, "report it, with the model: no tolerance is right for that"),
    ],
)
def test_the_refusal_names_a_tolerance_that_is_enough(difference, tolerance, mend):
    truth = torch.ones(2, dtype=torch.float64)
    result = truth + torch.tensor([0.0, difference])
    with pytest.raises(FuseError) as refused:
        prove("the input", (truth,), (result,), (truth,), tolerance)
    assert str(refused.value) == (
        f"the fused model differs from the original by {difference:.1e} on the input (2,), more "
        f"than {tolerance:.0e} of its largest output\n  mend: {mend}"
    )
    if "tolerance=" in mend:
        enough = float(mend.rpartition("=")[2][:-1])
        assert prove("", (truth,), (result,), (truth,), enough).difference < enough


def test_what_is_not_finite_must_be_so_in_both():
    truth, nan = torch.tensor([1.0, float("inf")]), torch.tensor([1.0, float("nan")])
    assert largest_difference(truth, truth) == 0
    assert largest_difference(nan, truth) == float("inf")
