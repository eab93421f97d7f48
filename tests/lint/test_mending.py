"""`mend` returns a corrected copy: same parameters, original untouched, nothing overwritten."""

import copy
import pickle

import pytest
import torch
from corpus.inplace import CASES
from net import c2, seq
from torch import nn

from torchskip.lint.check import check
from torchskip.lint.mending import mend


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)
def test_the_copy_computes_what_the_mended_twin_does(case):
    torch.manual_seed(0)
    buggy = case.buggy().eval()
    before = copy.deepcopy(buggy)
    mended = mend(buggy, *case.example())
    assert str(buggy) == str(before)
    twin = case.mended().eval()
    twin.load_state_dict(buggy.state_dict())
    x = torch.randn(case.shapes[0])
    for a, b in zip(_flat(mended(x.clone())), _flat(twin(x.clone())), strict=True):
        assert torch.allclose(a, b, atol=1e-6)
    assert not {"TS104", "TS112"} & {f.code for f in check(mended, *case.example()).findings}


def test_a_sound_model_is_copied():
    model = seq(c2(), nn.BatchNorm2d(4))
    mended = mend(model, torch.zeros(1, 4, 8, 8))
    assert mended is not model
    assert all(
        torch.equal(a, b)
        for a, b in zip(model.state_dict().values(), mended.state_dict().values(), strict=True)
    )


def test_a_mended_copy_pickles():
    case = next(c for c in CASES if c.name == "norm_stream")
    mended = pickle.loads(pickle.dumps(mend(case.buggy(), *case.example())))  # noqa: S301
    assert mended(torch.zeros(2, 4, 16)).shape == (2, 4, 16)


def _flat(result):
    return result if isinstance(result, tuple) else (result,)
