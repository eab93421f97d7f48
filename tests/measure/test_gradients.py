"""Gradient norms against autograd, layers in the order of the forward pass."""

import pytest
import torch
from torch import nn

from torchskip.measure import gradient_norms, weighted_layers


class Backwards(nn.Module):
    """Calls its layers in another order than it declares them, one of them twice, one never."""

    def __init__(self):
        super().__init__()
        self.last = nn.Linear(4, 3)
        self.first = nn.Conv2d(1, 4, 3)
        self.unused = nn.Linear(4, 4)
        self.norm = nn.BatchNorm2d(4)
        self.middle = nn.Conv2d(4, 4, 3, padding=1)

    def forward(self, x):
        x = self.norm(self.first(x))
        return self.last(self.middle(self.middle(x)).mean((2, 3)))


def test_layers_in_the_order_of_the_forward_pass():
    assert weighted_layers(Backwards(), torch.rand(2, 1, 6, 6)) == ("first", "middle", "last")


def test_the_model_comes_back_as_it_was_even_when_it_raises():
    model = Backwards().train()
    model.middle.eval()
    state = {name: value.clone() for name, value in model.state_dict().items()}
    modes = [module.training for module in model.modules()]
    random = torch.random.get_rng_state()
    weighted_layers(model, torch.rand(2, 1, 6, 6))
    with pytest.raises(RuntimeError):
        weighted_layers(model, torch.rand(2, 7, 6, 6))
    assert [module.training for module in model.modules()] == modes
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    assert not any(module._forward_pre_hooks for module in model.modules())
    assert torch.random.get_rng_state().shape == random.shape


def test_norms_are_autograds():
    model = Backwards()
    x = torch.rand(2, 1, 6, 6)
    model(x).square().sum().backward()
    norms = gradient_norms(model, ("first", "middle", "last", "unused"))
    expected = [model.first.weight.grad, model.middle.weight.grad, model.last.weight.grad]
    assert norms.tolist() == pytest.approx([g.norm().item() for g in expected] + [0.0])


def test_finite_differences_agree():
    """The first-order change of the loss along a unit step up the gradient is its norm."""
    model = nn.Sequential(nn.Linear(3, 2, bias=False), nn.Tanh(), nn.Linear(2, 1)).double()
    x = torch.rand(4, 3, dtype=torch.float64)
    model(x).sum().backward()
    norm = gradient_norms(model, ("0",)).item()
    weight, direction = model[0].weight, model[0].weight.grad / model[0].weight.grad.norm()
    with torch.no_grad():
        weight += 1e-6 * direction
        above = model(x).sum()
        weight -= 2e-6 * direction
        below = model(x).sum()
    assert ((above - below) / 2e-6).item() == pytest.approx(norm, rel=1e-6)
