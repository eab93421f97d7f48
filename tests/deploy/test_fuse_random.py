"""Random residual networks, fused, against eager."""

import pytest
import torch
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from randomnets import Net, nets

from torchskip.deploy import fuse
from torchskip.deploy.proof import largest_difference

FAST = settings(
    max_examples=300,
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],  # a network shrinks slowly; the seed says enough
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@FAST
@given(
    spec=nets,
    seed=st.integers(0, 10**6),
    size=st.sampled_from([(1, 9, 9), (2, 8, 12), (3, 7, 10)]),
    head=st.booleans(),
    last=st.booleans(),
)
def test_fused_is_eager(spec, seed, size, head, last):
    net = Net(spec, seed, head)
    batch, height, width = size
    x = torch.randn(batch, 3, height, width, generator=torch.Generator().manual_seed(seed))
    if last:
        x = x.contiguous(memory_format=torch.channels_last)
    before = {k: v.clone() for k, v in net.state_dict().items()}
    fused = fuse(net, x)
    assert fused.report.difference <= 1e-5
    given_x = x.clone()
    for _ in range(2):  # a buffer wrongly kept shows at the second call
        with torch.no_grad():
            truth = net(x.clone())
        result = fused(x)
        assert largest_difference(result, truth) <= 1e-5
        if truth.is_contiguous() or truth.is_contiguous(memory_format=torch.channels_last):
            assert result.stride() == truth.stride()
        assert torch.equal(x, given_x)
        x = given_x = given_x.flip(0) * 1.5
    for name, value in net.state_dict().items():
        assert torch.equal(value, before[name])
