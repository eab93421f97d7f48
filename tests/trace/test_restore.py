"""The model comes back as it was: also from train mode, from a crash and from a real run."""

import random
import types
import warnings

import numpy as np
import pytest
import torch
from tests.trace.zoo import fingerprint
from torch import nn

from torchskip.trace import trace

RUNGS = ["meta", "fake", "real"]


class Careless(nn.Module):
    """A forward that changes everything it can reach."""

    def __init__(self, crash):
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.crash = crash
        self.count = 0
        self.seen = []
        self.last = None
        self.table = {"a": [1, {"b": 2}]}
        self.names = {"x"}
        self.state = torch.zeros(4)
        self.box = types.SimpleNamespace(held=None, items=[])
        self.register_buffer("queue", torch.zeros(2, 4))
        self.register_buffer("steps", torch.tensor(0))

    def forward(self, x):
        self.count += 1
        self.seen.append(x)
        self.last = x
        self.new = 3
        self.table["a"][1]["b"] = x
        self.table["c"] = 1
        self.names.add("y")
        self.state.add_(1)
        self.state.mul_(x.mean((0, 2, 3)))
        self.box.held = x
        self.box.items.append(x)
        self.queue[0] = x.mean((0, 2, 3))
        self.steps += 1
        self.norm.momentum = 0.5
        self.norm.eval()
        self.conv.register_forward_hook(lambda m, i, o: o)
        self.conv.weight.requires_grad_(False)
        self.conv.weight.data.mul_(2)
        self.conv.bias = nn.Parameter(torch.zeros(4))
        self.register_buffer("late", torch.zeros(1))
        self.add_module("extra", nn.ReLU())
        torch.manual_seed(7)
        random.seed(7)
        np.random.seed(7)
        y = self.norm(self.conv(torch.dropout(x, 0.5, True)))
        if self.crash:
            raise ValueError("careless")
        return x + y


def contents(model):
    """Everything that the fingerprint knows by identity, by value."""
    return (
        {k: v.clone() for k, v in model.state_dict().items()},
        model.state.clone(),
        (model.count, list(model.seen), model.last, repr(model.table), sorted(model.names)),
        (model.box.held, list(model.box.items)),
        (random.getstate(), np.random.get_state()[1].tolist()),
    )


@pytest.mark.parametrize("crash", [False, True])
@pytest.mark.parametrize("training", [None, True, False])
@pytest.mark.parametrize("device", [*RUNGS, "auto"])
def test_a_careless_forward(device, training, crash):
    model = Careless(crash)
    model.conv.register_forward_hook(lambda m, i, o: None)
    model.norm.eval()
    x = torch.randn(2, 4, 8, 8)
    before, held = fingerprint(model), contents(model)
    state = model.state._version, dict(model.state.__dict__)
    graph = trace(model, x, training=training, device=device)
    assert (graph.failure is not None) is crash
    if crash:
        assert (graph.failure.error, graph.failure.message) == ("ValueError", "careless")
    assert fingerprint(model) == before
    after = contents(model)
    assert torch.equal(after[1], held[1])
    assert after[2:] == held[2:]
    assert all(torch.equal(v, held[0][k]) for k, v in after[0].items())
    assert list(after[0]) == list(held[0])
    assert (model.state._version, dict(model.state.__dict__)) == state
    assert not hasattr(model, "new")


@pytest.mark.parametrize("device", RUNGS)
def test_train_mode_leaves_running_statistics(device):
    model = nn.Sequential(nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4), nn.Dropout(), nn.BatchNorm2d(4))
    before = fingerprint(model)
    graph = trace(model, torch.ones(3, 4, 8, 8), device=device)
    assert graph.training
    assert fingerprint(model) == before
    assert model[1].num_batches_tracked == 0
    assert torch.equal(model[1].running_mean, torch.zeros(4))


@pytest.mark.parametrize("device", RUNGS)
def test_scripted_blocks_leave_running_statistics(device):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TorchScript is on its way out
        block = torch.jit.script(nn.Sequential(nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4)))
    model = nn.Sequential(nn.Conv2d(4, 4, 1), block)
    before = fingerprint(model)
    graph = trace(model, torch.ones(3, 4, 8, 8), device=device, training=True)
    assert graph.failure is None
    assert [n.module for n in graph.nodes] == ["0", "1", "1"]
    assert graph.nodes[1].constants[0].name == "1.0.weight"
    assert fingerprint(model) == before
    assert block[1].num_batches_tracked == 0
    assert torch.equal(block[1].running_mean, torch.zeros(4))


@pytest.mark.parametrize("device", RUNGS)
@pytest.mark.parametrize(
    "norm",
    [
        torch.nn.utils.parametrizations.spectral_norm,
        torch.nn.utils.parametrizations.weight_norm,
        torch.nn.utils.spectral_norm,
    ],
)
def test_reparametrised_weights(norm, device):
    model = nn.Sequential(norm(nn.Conv2d(4, 4, 3)))
    state = {k: v.clone() for k, v in model.state_dict().items()}
    before = fingerprint(model)
    graph = trace(model, torch.ones(1, 4, 8, 8), device=device, training=True)
    assert graph.failure is None
    assert [n.op for n in graph.nodes] == ["aten.convolution.default"]
    assert set(graph.nodes[0].constants[0].names) <= set(state)
    assert len(graph.nodes[0].constants[0].names) >= 2
    assert fingerprint(model) == before
    assert all(torch.equal(v, state[k]) for k, v in model.state_dict().items())


def test_lazy_modules_stay_lazy():
    model = nn.Sequential(nn.LazyConv2d(4, 3), nn.LazyBatchNorm2d())
    before = fingerprint(model)
    graph = trace(model, torch.zeros(1, 3, 8, 8))
    assert graph.failure is None
    assert graph.values[graph.outputs[0]].shape == (1, 4, 6, 6)
    assert fingerprint(model) == before
    assert type(model[0]) is nn.LazyConv2d
    assert model[0].has_uninitialized_params()
    assert model(torch.zeros(1, 3, 8, 8)).shape == (1, 4, 6, 6)


def test_a_backward_pass_that_waits_is_not_disturbed():
    model = Careless(crash=False)
    out = (model.state * model.conv.weight.sum()).sum()
    trace(model, torch.zeros(1, 4, 8, 8))
    out.backward()
    assert model.conv.weight.grad is not None


def test_an_interrupt_restores_too():
    class Stop(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(1, 1, 1)

        def forward(self, x):
            raise KeyboardInterrupt

    model = Stop()
    before = fingerprint(model)
    with pytest.raises(KeyboardInterrupt):
        trace(model, torch.zeros(1, 1, 1, 1))
    assert fingerprint(model) == before
    assert nn.functional.scaled_dot_product_attention.__name__ == "scaled_dot_product_attention"


def test_tensors_in_lists_and_unregistered_modules():
    class Hidden(nn.Module):
        def __init__(self):
            super().__init__()
            self.blocks = [nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4)]
            self.rnn = nn.LSTM(4, 4)

        def forward(self, x):
            for block in self.blocks:
                x = block(x)
            return self.rnn(x.mean((2, 3)))

    model = Hidden()
    weights = list(model.rnn._flat_weights)
    before = fingerprint(model.blocks[1])
    graph = trace(model, torch.zeros(2, 4, 8, 8))
    assert graph.failure is None
    assert graph.nodes[0].module == "(Conv2d)"
    assert all(a is b for a, b in zip(model.rnn._flat_weights, weights, strict=True))
    assert fingerprint(model.blocks[1]) == before
