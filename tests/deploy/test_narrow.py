"""In bfloat16 all of a model is computed, or its branches alone where that is not exact enough."""

import pytest
import torch
from torch import nn

from torchskip import fuse
from torchskip.errors import FuseError


class Scaled(nn.Module):
    """A stem, two blocks whose branches add little, and a head."""

    def __init__(self, factor):
        super().__init__()
        self.factor = factor
        self.stem = nn.Conv2d(3, 16, 3, padding=1)
        self.blocks = nn.ModuleList(nn.Conv2d(16, 16, 3, padding=1) for _ in range(2))
        self.head = nn.Conv2d(16, 5, 1)

    def forward(self, x):
        x = self.stem(x)
        for block in self.blocks:
            x = x + torch.tanh(block(x)) * self.factor
        return self.head(x).mean((2, 3))


def types(fast):
    return [module.kernel.weight.dtype for module in fast.plan.modules.values()]


@torch.no_grad()
def test_branches_alone_where_all_would_differ_too_much():
    torch.manual_seed(0)
    net, x = Scaled(1e-3).eval(), torch.randn(2, 3, 16, 16)
    assert set(types(fuse(net, x, dtype=torch.bfloat16))) == {torch.bfloat16}
    fast = fuse(net, x, dtype=torch.bfloat16, tolerance=1e-4)
    assert types(fast) == [torch.float32, torch.bfloat16, torch.bfloat16, torch.float32]
    assert "computes branches in torch.bfloat16" in str(fast.report)
    for shape in [(2, 3, 16, 16), (3, 3, 20, 24), (3, 3, 20, 24), (3, 3, 20, 24)]:
        x = torch.randn(shape)
        result, truth = fast(x), net(x)
        assert result.dtype == torch.float32
        assert (result - truth).abs().max() <= 1e-4 * truth.abs().max()


@torch.no_grad()
def test_refused_where_the_branches_alone_differ_too_much():
    torch.manual_seed(0)
    net, x = Scaled(3.0).eval(), torch.randn(2, 3, 16, 16)
    with pytest.raises(FuseError, match="more than 1e-04 of its largest output"):
        fuse(net, x, dtype=torch.bfloat16, tolerance=1e-4)


class Typed(nn.Module):
    """Asks for float32 itself, in the middle, and returns whole numbers too."""

    def __init__(self):
        super().__init__()
        self.one, self.two = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 4, 3)

    def forward(self, x):
        y = self.two(torch.softmax(self.one(x).float(), 1))
        return y, y.argmax(1) * 0


@torch.no_grad()
def test_casts_of_the_model_itself_and_results_that_are_not_floating():
    torch.manual_seed(0)
    net, x = Typed().eval(), torch.randn(2, 3, 16, 16)
    result, zeros = fuse(net, x, dtype=torch.bfloat16, tolerance=0.05)(x)
    truth, none = net(x)
    assert (result - truth).abs().max() <= 0.05 * truth.abs().max()
    assert torch.equal(zeros, none)
