"""Reversible pairs: gradients as without tricks, memory that does not grow, states kept."""

import copy

import pytest
import torch
from torch import nn

from torchskip.errors import ArgumentError, MergeShapeError
from torchskip.nn import Skip
from torchskip.nn.recompute import recompute
from torchskip.nn.reversible import Reversible


def branch(channels=4, drop=0.0, inplace=False):
    return nn.Sequential(
        nn.ReLU(inplace=inplace),
        nn.Conv2d(channels, channels, 3, padding=1, bias=False),
        nn.BatchNorm2d(channels),
        nn.ReLU(),
        nn.Dropout(drop),
        nn.Conv2d(channels, channels, 3, padding=1),
    )


class Plain(nn.Module):
    def __init__(self, chain):
        super().__init__()
        self.chain = chain

    def forward(self, x):
        for block in self.chain:
            x = block.plain(x)
        return x


def chain(depth, **options):
    torch.manual_seed(0)
    return nn.Sequential(*(Reversible(branch(**options), branch(**options)) for _ in range(depth)))


@pytest.mark.parametrize("options", [{}, {"drop": 0.5}, {"inplace": True}], ids=str)
@pytest.mark.parametrize("leaf", [True, False])
def test_gradients_and_buffers_are_the_plain_ones(options, leaf):
    ours = chain(6, **options)
    theirs = copy.deepcopy(ours)
    x = torch.randn(3, 8, 6, 5)
    results = []
    for model in (ours, Plain(theirs)):
        torch.manual_seed(5)
        start = x.clone().requires_grad_(leaf)
        y = model(torch.tanh(start) if leaf else start)
        y.square().mean().backward()
        results.append((y, start.grad, torch.rand(1)))
    (y, gx, drawn), (y0, gx0, drawn0) = results
    assert torch.equal(y, y0)
    assert torch.equal(drawn, drawn0)
    if leaf:
        torch.testing.assert_close(gx, gx0, rtol=1e-5, atol=1e-7)
    for (name, p), q in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        difference = (p.grad - q.grad).abs().max() / q.grad.abs().max().clamp_min(1e-6)
        assert difference < 1e-5, name
    for (name, b), c in zip(ours.named_buffers(), theirs.buffers(), strict=True):
        assert torch.equal(b, c), name


def test_gradients_in_double_by_finite_differences():
    block = Reversible(
        nn.Conv2d(2, 2, 3, padding=1), nn.Sequential(nn.Conv2d(2, 2, 1), nn.Tanh())
    ).double()
    pair = nn.Sequential(block, Reversible(nn.Tanh(), nn.Conv2d(2, 2, 1)).double())
    x = torch.randn(1, 4, 3, 3, dtype=torch.double, requires_grad=True)
    assert torch.autograd.gradcheck(pair, (x,))


def test_only_the_last_output_stays_alive():
    model = chain(5)
    links = []
    x = torch.randn(1, 8, 4, 4)
    for block in model:
        x = block(x)
        links.append(x.grad_fn.link)
    kept = [link.output is not None for link in links]
    assert kept == [False, False, False, False, True]


def test_backward_twice_and_shared_and_frozen_parameters():
    f = branch()
    model = nn.Sequential(Reversible(f, f), Reversible(branch(), branch()), nn.ReLU())
    for p in model[1].f.parameters():
        p.requires_grad_(False)
    theirs = copy.deepcopy(model)
    x = torch.randn(2, 8, 4, 4)
    y = model(x)
    y.sum().backward(retain_graph=True)
    y.sum().backward()
    z = theirs[2](theirs[1].plain(theirs[0].plain(x)))
    z.sum().backward(retain_graph=True)
    z.sum().backward()
    for p, q in zip(model.parameters(), theirs.parameters(), strict=True):
        assert (p.grad is None) == (q.grad is None)
        if p.grad is not None:
            torch.testing.assert_close(p.grad, q.grad, rtol=1e-4, atol=1e-5)


def test_a_value_used_beside_the_chain():
    model = chain(3)
    theirs = copy.deepcopy(model)
    x = torch.randn(2, 8, 4, 4)
    a = model[0](x)
    (model[2](model[1](a)) * a.sigmoid()).sum().backward()
    b = theirs[0].plain(x)
    (theirs[2].plain(theirs[1].plain(b)) * b.sigmoid()).sum().backward()
    for p, q in zip(model.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(p.grad, q.grad, rtol=1e-4, atol=1e-5)


def test_a_chain_whose_end_is_unused_says_so():
    model = chain(2)
    first = model[0](torch.randn(1, 8, 4, 4))
    end = model[1](first)
    del end
    with pytest.raises(RuntimeError, match="let the loss depend on the end of the chain"):
        first.sum().backward()


def test_an_output_changed_in_place_says_so():
    y = chain(1)(torch.randn(1, 8, 4, 4))
    y.detach().add_(1)
    with pytest.raises(RuntimeError, match="changed in place"):
        y.sum().backward()


def test_autocast_is_the_same_again():
    model = chain(3)
    x = torch.randn(2, 8, 4, 4)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = model(x)
    y.float().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


def test_refusals():
    with pytest.raises(ArgumentError, match="even number of channels"):
        chain(1)(torch.randn(1, 7, 4, 4))
    with pytest.raises(MergeShapeError, match="g of Reversible"):
        Reversible(nn.Identity(), nn.Conv2d(4, 5, 1))(torch.randn(1, 8, 4, 4))
    with pytest.raises(ArgumentError, match="f is a function"):
        Reversible(lambda x: x, nn.Identity())


def test_export_runs_the_plain_equations():
    model = chain(2).eval()
    x = torch.randn(1, 8, 4, 4)
    program = torch.export.export(model, (x,))
    torch.testing.assert_close(program.module()(x), model(x))


@pytest.mark.parametrize("drop", [0.0, 0.5])
def test_recompute_is_the_branch(drop):
    ours = branch(8, drop)
    theirs = copy.deepcopy(ours)
    grads = []
    for model, run in ((ours, lambda m, x: recompute(m, x)), (theirs, lambda m, x: m(x))):
        torch.manual_seed(3)
        x = torch.linspace(-1, 1, 8 * 2 * 25).view(2, 8, 5, 5).sin().requires_grad_()
        run(model, x).square().sum().backward()
        grads.append([x.grad, *(p.grad for p in model.parameters()), *model.buffers()])
    for a, b in zip(*grads, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)


def test_recompute_without_gradients_is_one_plain_call():
    net = branch(8)
    x = torch.randn(2, 8, 4, 4)
    with torch.no_grad():
        assert not recompute(net, x).requires_grad
    assert int(net[2].num_batches_tracked) == 1


def test_skip_with_recompute_is_the_skip():
    ours, theirs = (Skip(branch(8), recompute=r) for r in (True, False))
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(2, 8, 5, 5)
    for model in (ours, theirs):
        model(x).square().sum().backward()
    for p, q in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(p.grad, q.grad, rtol=1e-5, atol=1e-6)
    for b, c in zip(ours.buffers(), theirs.buffers(), strict=True):
        assert torch.equal(b, c)
