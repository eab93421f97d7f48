"""Dense blocks: concatenations that grow become one buffer; others stay."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from torchskip import fuse


class Dense(nn.Module):
    """Four layers, each of which reads all before it; `again` concatenates with the last one."""

    def __init__(self, activation=torch.relu, again=False, batch_norm=True):
        super().__init__()
        self.activation, self.again = activation, again
        self.norms = nn.ModuleList(
            nn.BatchNorm2d(8 + 4 * i) if batch_norm else nn.Identity() for i in range(4)
        )
        self.layers = nn.ModuleList(nn.Conv2d(8 + 4 * i, 4, 1) for i in range(4))
        self.last = nn.Conv2d(24, 3, 3, padding=1)

    def forward(self, x):
        found = [x]
        whole = x
        for norm, layer in zip(self.norms, self.layers, strict=True):
            if not self.again:
                whole = torch.cat(found, 1)
            found.append(layer(self.activation(norm(whole))))
            if self.again:
                whole = torch.cat([whole, found[-1]], 1)
        return self.last(whole if self.again else torch.cat(found, 1))


def lively(net):
    torch.manual_seed(0)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor in (module.weight.data, module.running_mean):
                tensor.uniform_(0.5, 1.5)
    return net.eval()


def grown(fast) -> bool:
    return any(
        "concatenations in one buffer" in event.what + event.why for event in fast.report.fused
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("again", [False, True])
@torch.no_grad()
def test_growing_concatenations_become_one_buffer(again, dtype):
    net = lively(Dense(again=again))
    fast = fuse(net, torch.randn(2, 8, 16, 16), dtype=dtype)
    assert grown(fast)
    bound = 1e-5 if dtype == torch.float32 else 2e-2
    for shape in [(2, 8, 16, 16), (3, 8, 24, 10), (3, 8, 24, 10), (3, 8, 24, 10)]:
        x = torch.randn(shape)
        truth = net(x)
        assert (fast(x) - truth).abs().max() <= bound * truth.abs().max()
    one, two = fast(torch.zeros(2, 8, 16, 16)), fast(torch.ones(2, 8, 16, 16))
    assert not torch.equal(one, two)


@torch.no_grad()
def test_convolutions_read_no_parts_of_a_buffer():
    net = lively(Dense(nn.Identity(), batch_norm=False))
    x = torch.randn(2, 8, 16, 16)
    fast = fuse(net, x)
    assert not grown(fast)
    torch.testing.assert_close(fast(x), net(x), atol=1e-5, rtol=1e-5)


class Two(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b, self.c = (nn.Conv2d(n, 4, 1) for n in (4, 4, 8))
        self.norm = nn.BatchNorm2d(8)

    def forward(self, x):
        a = self.a(x)
        part = self.c(F.relu(self.norm(torch.cat([x, a], 1))))
        return torch.cat([x, a, part], 1)


@torch.no_grad()
def test_two_concatenations_stay():
    net, x = lively(Two()), torch.randn(2, 4, 8, 8)
    fast = fuse(net, x)
    assert not grown(fast)
    torch.testing.assert_close(fast(x), net(x), atol=1e-5, rtol=1e-5)
