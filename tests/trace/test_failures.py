"""A forward that raises yields what ran before it, the failing call and the real message."""

import warnings

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from torchskip.trace import trace


class Tutorial(nn.Module):
    """The published tutorial's layers: 32 against 11 at the addition."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(3, 6, 2, stride=2, padding=2)
        self.second = nn.Conv2d(6, 3, 2, stride=2, padding=2)

    def forward(self, x):
        out = F.relu(self.first(x))
        out = self.second(out)
        return out + x


def test_a_mismatch_at_an_addition():
    graph = trace(Tutorial(), torch.zeros(1, 3, 32, 32))
    failure = graph.failure
    assert failure.error == "RuntimeError"
    assert failure.message == (
        "The size of tensor a (11) must match the size of tensor b (32) "
        "at non-singleton dimension 3"
    )
    assert (failure.module, failure.device) == ("", "meta")
    assert failure.source.text == "return out + x"
    assert failure.node == len(graph.nodes) - 1
    join = graph.nodes[failure.node]
    assert join.op == "aten.add.Tensor"
    assert [graph.values[v].shape for v in join.inputs] == [(1, 3, 11, 11), (1, 3, 32, 32)]
    assert (join.outputs, join.source) == ((), failure.source)
    assert graph.outputs == ()
    assert [n.module for n in graph.nodes] == ["first", "", "second", ""]


class Broken(nn.Module):
    def __init__(self, run):
        super().__init__()
        self.conv = nn.Conv2d(3, 6, 3)
        self.norm = nn.BatchNorm2d(7)
        self.up = nn.ConvTranspose2d(5, 3, 2, 2)
        self.linear = nn.Linear(5, 5)
        self.run = run

    def forward(self, x):
        return self.run(self, x)


@pytest.mark.parametrize(
    ("run", "op", "module", "words"),
    [
        (lambda m, x: torch.cat([x, m.conv(x)], 1), "aten.cat.default", "", "Sizes of tensors"),
        (lambda m, x: x.add_(m.conv(x)), "aten.add_.Tensor", "", "The size of tensor a"),
        (lambda m, x: x * m.conv(x), "aten.mul.Tensor", "", "The size of tensor a"),
        (lambda m, x: m.conv(m.conv(x)), "aten.convolution.default", "conv", "expected input"),
        (lambda m, x: m.up(x), "aten.convolution.default", "up", "to have 5 channels, but got 3"),
        (
            lambda m, x: F.conv_transpose2d(x, torch.ones(3, 2, 2, 2), stride=2, output_padding=2),
            "aten.convolution.default",
            "",
            "output padding must be smaller",
        ),
        (lambda m, x: m.linear(x), "aten.addmm.default", "linear", "shapes cannot be multiplied"),
        (lambda m, x: m.norm(x), "torch.nn.functional.batch_norm", "norm", "running_mean"),
        (lambda m, x: x.view(5, 5), "aten.view.default", "", "is invalid for input of size"),
        (lambda m, x: torch.stack([x, m.conv(x)]), "aten.stack.default", "", "stack expects"),
        (lambda m, x: x[0] @ x[0, :, :3], "aten.bmm.default", "", "batch"),
        (lambda m, x: torch.einsum("bchw,dc->bd", x, m.linear.weight), None, "", "einsum"),
        (lambda m, x: x.permute(0, 1), "aten.permute.default", "", "permute"),
        (lambda m, x: F.avg_pool2d(x, 99), "aten.avg_pool2d.default", "", "small"),
    ],
)
def test_the_failing_call_is_the_last_node(run, op, module, words):
    graph = trace(Broken(run).eval(), torch.zeros(1, 3, 8, 8))
    failure = graph.failure
    assert words in failure.message
    assert failure.module == module
    if op is None:
        assert failure.node is None
        return
    assert graph.nodes[failure.node].op == op
    assert graph.nodes[failure.node].outputs == ()
    assert graph.device == "meta"
    assert graph.attempts == ()


@pytest.mark.parametrize("device", ["meta", "auto"])
def test_the_message_is_that_of_a_real_run(device):
    model, x = Broken(lambda m, x: x + m.conv(x)), torch.zeros(1, 3, 8, 8)
    with pytest.raises(RuntimeError) as caught:
        model(x)
    assert trace(model, x, device=device).failure.message == str(caught.value)


def test_a_failure_in_the_users_own_code():
    def run(m, x):
        m.conv(x)
        raise KeyError("missing")

    failure = trace(Broken(run), torch.zeros(1, 3, 8, 8)).failure
    assert (failure.error, failure.message, failure.node) == ("KeyError", "'missing'", None)
    assert failure.source.text == 'raise KeyError("missing")'


def test_a_failure_that_the_forward_catches_is_none():
    def run(m, x):
        try:
            return x + m.conv(x)
        except RuntimeError:
            return x * 2

    graph = trace(Broken(run), torch.zeros(1, 3, 8, 8))
    assert graph.failure is None
    assert [n.op for n in graph.nodes] == ["aten.convolution.default", "aten.mul.Tensor"]


def test_a_failure_raised_anew_keeps_its_operation():
    def run(m, x):
        try:
            return x + m.conv(x)
        except RuntimeError as error:
            raise ValueError("shapes differ") from error

    graph = trace(Broken(run), torch.zeros(1, 3, 8, 8))
    assert graph.failure.error == "ValueError"
    assert graph.nodes[graph.failure.node].op == "aten.add.Tensor"


def test_arguments_that_do_not_fit_forward():
    failure = trace(nn.Conv2d(3, 3, 1)).failure
    assert failure.error == "TypeError"
    assert "missing 1 required positional argument: 'input'" in failure.message


def test_wrong_rank():
    graph = trace(nn.Sequential(nn.Conv2d(3, 3, 1)), torch.zeros(3))
    assert graph.failure.module == "0"
    assert "Expected 3D" in graph.failure.message
    assert graph.nodes[graph.failure.node].op == "module.Conv2d"
    assert graph.nodes[graph.failure.node].inputs == (0,)


def test_deep_recursion():
    def run(m, x):
        return run(m, x)

    assert trace(Broken(run), torch.zeros(1, 3, 8, 8)).failure.error == "RecursionError"


def test_a_warning_that_counts_as_an_error_is_none():
    def forward(m, x):
        warnings.warn("None of the inputs have requires_grad=True", stacklevel=1)
        return x + 1

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        graph = trace(Broken(forward), torch.zeros(1, 3, 8, 8))
        assert (graph.failure, graph.attempts) == (None, ())
        assert graph.values[graph.inputs[0]].requires_grad
        with pytest.raises(UserWarning):  # the caller's filters are as they were
            warnings.warn("again", stacklevel=1)
