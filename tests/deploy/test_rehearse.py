"""Large batches are shown to run the same operators without values; else they run for real."""

import pytest
import torch
from torch import nn

from torchskip import fuse
from torchskip.deploy.capture import Inputs, capture
from torchskip.deploy.rehearse import rehearse
from torchskip.deploy.sizes import Differs, generalise
from torchskip.errors import FuseError

SHAPE = (8, 3, 16, 16)


class Says(nn.Module):
    """A convolution, then whatever `then` makes of its result."""

    def __init__(self, then):
        super().__init__()
        self.conv, self.then = nn.Conv2d(3, 4, 3), then

    def forward(self, x):
        return self.then(self.conv(x))


def checked(fast):
    return {check.inputs: check.shapes[0][0] for check in fast.report.checks}


@torch.no_grad()
def test_a_rehearsal_is_the_program_of_a_batch():
    net = Says(lambda y: y.flatten(1) + torch.arange(y.shape[0])[:, None]).eval()
    one, whole = torch.randn(1, 3, 16, 16), torch.randn(SHAPE)
    seen = rehearse(net, Inputs.of(whole))
    assert [r.shape for r in seen.results] == [net(whole).shape]
    assert generalise([capture(net, Inputs.of(one)), seen], dry=True) == 2  # view, arange
    assert all(not t.is_meta for t in (*net.parameters(), *seen.constants.values()))


@torch.no_grad()
def test_a_whole_batch_whose_samples_are_apart_does_not_run():
    ran = []
    net = nn.Conv2d(3, 4, 3).eval()
    net.register_forward_hook(lambda _, given, __: ran.append((given[0].is_meta, len(given[0]))))
    fast = fuse(net, torch.randn(SHAPE))
    assert (False, 8) not in ran
    assert checked(fast)["the given input's first sample, among others"] == 8
    assert "takes any batch size" in " ".join(fast.report.notes)


@pytest.mark.parametrize(
    "then",
    [
        lambda y: y - y.mean(0),
        lambda y: y + torch.from_numpy(y.new_zeros(1).cpu().numpy() + 1),
        lambda y: y if y.device.type == "cpu" else y.relu(),
    ],
    ids=["mixed samples", "no values, no array", "another program without values"],
)
@torch.no_grad()
def test_otherwise_it_runs(then):
    x = torch.randn(SHAPE)
    net = Says(then).eval()
    fast = fuse(net, x)
    torch.testing.assert_close(fast(x), net(x))
    assert {"the given input": 8, "the whole example": 8}.items() & checked(fast).items()


class ByBatch(nn.Module):
    def forward(self, x):
        return 2 * x if x.shape[0] > 4 else x.relu()


@torch.no_grad()
def test_what_a_batch_decides_is_seen_without_values():
    one, whole = (Inputs.of(torch.randn(n, 3, 8, 8)) for n in (1, 8))
    with pytest.raises(Differs):
        generalise([capture(ByBatch(), one), rehearse(ByBatch(), whole)], dry=True)
    with pytest.raises(FuseError, match="the example's batch size only"):
        fuse(ByBatch(), whole.tensors[0])(one.tensors[0])
