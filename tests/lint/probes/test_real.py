"""What came back to each parameter, told from small passes with numbers."""

import numpy as np
import pytest
import torch
from torch import nn

from torchskip.lint.probes.real import borrowed, real


class Scaled(nn.Module):
    """``scale * weight``, whose gradient for `weight` is `scale` times random numbers."""

    def __init__(self, scale, trained=True):
        super().__init__()
        self.register_buffer("scale", torch.tensor(scale))
        self.weight = nn.Parameter(torch.ones(4), requires_grad=trained)
        self.other = nn.Parameter(torch.ones(1))

    def forward(self, x):
        return x * (self.scale * self.weight)


@pytest.mark.parametrize(
    ("scale", "kind"),
    [
        ([1.0] * 4, "flows"),
        ([0.0] * 4, "zero"),
        ([0.0, 0.0, 1e-30, 0.0], "flows"),
        ([3e38] * 4, "nonfinite"),
        ([1.0, 1.0, 1.0, float("nan")], "nonfinite"),
    ],
)
def test_kinds_of_gradients(scale, kind):
    found = real(Scaled(scale), (torch.zeros(50, 4),), {})
    assert found.gradients == {"weight": kind, "other": "missing"}
    frozen = real(Scaled(scale, trained=False), (torch.zeros(50, 4),), {})
    assert frozen.gradients["weight"] == "frozen"


class Opposed(torch.autograd.Function):
    """The identity, with gradients of sum zero."""

    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, gradient):
        return torch.tensor([1.0, -1.0])


def test_a_gradient_that_adds_up_to_zero_flows():
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.ones(2))

        def forward(self, x):
            return x + Opposed.apply(self.weight)

    assert real(Model(), (torch.zeros(2),), {}).gradients == {"weight": "flows"}


@pytest.mark.parametrize("scale", [1.0, 0.0])
def test_sparse_gradients(scale):
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed = nn.Embedding(9, 4, sparse=True)

        def forward(self, tokens):
            return scale * self.embed(tokens)

    found = real(Model(), (torch.zeros(2, 5, dtype=torch.long),), {})
    assert found.gradients == {"embed.weight": "flows" if scale else "zero"}


def _under_no_grad(weight):
    with torch.no_grad():
        weight.mul_(2)


def _in_numpy(weight):
    weight.detach().numpy()[:] = 7


WRITES = [_under_no_grad, _in_numpy, lambda w: w.data.fill_(3), lambda w: w.detach()[0].zero_()]
ORIGINS = {
    "torch": lambda: torch.ones(4),
    "numpy": lambda: torch.from_numpy(np.ones(4, np.float32)),
    "shared": lambda: torch.ones(4).share_memory_(),
    "a part": lambda: torch.ones(9)[2:6],
    "strided": lambda: torch.ones(8)[::2],
}


@pytest.mark.parametrize("write", WRITES)
@pytest.mark.parametrize("origin", ORIGINS)
def test_what_a_forward_writes_stays_in_the_copies(origin, write):
    model = nn.Module()
    model.weight = nn.Parameter(ORIGINS[origin]())
    model.register_buffer("count", ORIGINS[origin]())
    before = model.weight.data_ptr(), model.count.data_ptr()
    with borrowed(model, training=True) as parameters:
        write(parameters["weight"])
        write(model.count)
        assert not any(t.equal(torch.ones(4)) for t in (model.weight, model.count))
    assert all(t.equal(torch.ones(4)) for t in (model.weight, model.count))
    assert (model.weight.data_ptr(), model.count.data_ptr()) == before
    with torch.no_grad():
        model.weight.add_(1)  # and the model trains on in its own memory
    assert (model.weight.data_ptr(), model.count.data_ptr()) == before


@pytest.mark.parametrize("write", WRITES)
def test_what_is_written_to_the_model_meanwhile_stays_out_of_the_copies(write):
    model = nn.Linear(4, 4)
    before = model.weight.detach().clone()
    own = model.weight
    with borrowed(model, training=True) as parameters:
        write(own)
        assert parameters["weight"].equal(before)
