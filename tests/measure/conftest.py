"""A small residual network away from its first weights, and its plain twin."""

import pytest
import torch

from torchskip.models.cifar import CifarNet


def settled(net):
    """Give the normalisations weights and statistics that are not 0 and 1."""
    with torch.no_grad():
        for module in net.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.weight.uniform_(0.5, 1.5)
                module.bias.uniform_(-0.5, 0.5)
                module.running_mean.uniform_(-0.5, 0.5)
                module.running_var.uniform_(0.5, 1.5)
    return net


@pytest.fixture
def net():
    torch.manual_seed(0)
    return settled(CifarNet(14, widths=(4, 8, 16), in_channels=1))


@pytest.fixture
def plain():
    torch.manual_seed(0)
    return settled(CifarNet(14, skip=False, widths=(4, 8, 16), in_channels=1))


@pytest.fixture
def x():
    torch.manual_seed(1)
    return torch.randn(3, 1, 12, 12)


@pytest.fixture
def unchanged():
    """Check that a model is as it was: state, modes, hooks, gradients, merges."""

    def facts(model):
        return (
            {name: value.clone() for name, value in model.state_dict().items()},
            [module.training for module in model.modules()],
            [len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules()],
            [p.grad is None for p in model.parameters()],
            [getattr(m, "merge", None) for m in model.modules()],
        )

    def check(model, before):
        after = facts(model)
        assert after[1:] == before[1:]
        assert all(torch.equal(after[0][name], value) for name, value in before[0].items())

    return facts, check
