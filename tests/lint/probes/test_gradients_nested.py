"""Gradients through functions that call backward inside of backward."""

import subprocess
import sys

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from torchskip import check
from torchskip.lint.probes.gradients import gradients


class Recomputed(torch.autograd.Function):
    """A layer that recomputes itself in backward and leaves what its weights get in their grad."""

    @staticmethod
    def forward(ctx, x, layer):
        ctx.layer = layer
        ctx.save_for_backward(x)
        return layer(x)

    @staticmethod
    def backward(ctx, gradient):
        x = ctx.saved_tensors[0].detach().requires_grad_()
        with torch.enable_grad():
            ctx.layer(x).backward(gradient)
        return x.grad, None


WAYS = {
    "plain": lambda layer, x: layer(x),
    "checkpoint": lambda layer, x: checkpoint(layer, x, use_reentrant=True),
    "recomputed": lambda layer, x: Recomputed.apply(x, layer),
}


@pytest.mark.parametrize("way", WAYS)
def test_every_way_gives_the_same_gradients_and_leaves_none_behind(way):
    torch.manual_seed(0)
    layer, unused, outside = nn.Linear(3, 3), nn.Linear(3, 3), torch.ones(3, requires_grad=True)
    x = torch.randn(2, 3, requires_grad=True)
    outside.grad = torch.full((3,), 7.0)
    expected = torch.autograd.grad(layer(x * outside).sin().sum(), [layer.weight, x])
    found = gradients(
        WAYS[way](layer, x * outside).sin().sum(), [layer.weight, x, *unused.parameters()]
    )
    assert [f is not None for f in found] == [True, True, False, False]
    for one, other in zip(found, expected, strict=False):
        torch.testing.assert_close(one, other)
    assert layer.weight.grad is None
    assert x.grad is None
    assert outside.grad.tolist() == [7.0, 7.0, 7.0]


def test_a_graph_of_many_steps_is_freed_after_it_was_derived():
    code = (
        "import torch; from torchskip.lint.probes.gradients import gradients; "
        "x = y = torch.ones(1, requires_grad=True)\n"
        "for _ in range(60000): y = y * 1.0\n"
        "(found,) = gradients(y.sum(), [x]); y = None; print(found.item())"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (ran.returncode, ran.stdout) == (0, "1.0\n"), ran.stderr


class Checkpointed(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, padding=1)
        self.body = nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU())
        self.head = nn.Linear(4, 2)

    def forward(self, x):
        x = self.stem(x)
        x = x + checkpoint(self.body, x, use_reentrant=True)
        return self.head(x.mean((2, 3)))


def test_a_block_in_a_reentrant_checkpoint_has_no_finding_above_a_note():
    report = check(Checkpointed(), torch.zeros(2, 3, 8, 8))
    assert [f for f in report.findings if f.severity != "note"] == []
