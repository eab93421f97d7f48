"""Copies of models, also of those that keep a computed tensor."""

import pytest
import torch
from torch import nn
from torch.nn.utils import spectral_norm, weight_norm

from torchskip.nn.duplicate import duplicate


@pytest.mark.filterwarnings("ignore:.*weight_norm.* is deprecated:FutureWarning")
@pytest.mark.parametrize("normed", [weight_norm, spectral_norm])
def test_a_weight_that_is_computed_is_copied_and_stays_apart(normed):
    torch.manual_seed(0)
    model = nn.Sequential(normed(nn.Linear(3, 3)), nn.ReLU()).eval()
    x = torch.randn(2, 3)
    before = model(x)
    copy = duplicate(model)
    assert torch.equal(copy(x), before)
    with torch.no_grad():
        for parameter in copy.parameters():
            parameter.add_(1)
    assert torch.equal(model(x), before)
    assert not torch.equal(copy(x), before)


def test_a_tensor_that_no_hook_computes_is_refused():
    model = nn.Linear(2, 2)
    model.cache = model(torch.ones(1, 2))
    with pytest.raises(RuntimeError, match="deepcopy"):
        duplicate(model)


def test_shared_modules_stay_shared():
    layer = nn.Linear(2, 2)
    copy = duplicate(nn.Sequential(layer, layer))
    assert copy[0] is copy[1] is not layer
