"""Both arms of every skip of any model, seen and changed while it runs."""

import pytest
import torch
import torch.nn.functional as F
import torchvision.models as tv
from nets import JOINS, Block, Functional, Residual, Shared
from torch import nn

from torchskip.errors import SurgeryError
from torchskip.surgery import meeting, without_branches, without_skips

SMALL = torch.randn(2, 4, 12, 12, generator=torch.Generator().manual_seed(1))
PAIRS = [name for name in JOINS if name not in ("two",)]


@pytest.mark.parametrize("name", PAIRS)
def test_the_arms_are_what_the_join_reads(name, untouched):
    block = Block(*JOINS[name]).eval()
    before = untouched.snapshot(block)
    seen = []

    def look(name, shortcut, branch):
        seen.append((name, shortcut.clone(), branch.clone()))
        return shortcut, branch

    with meeting(block, look, SMALL) as names:
        y = block(SMALL)
    untouched(block, before)
    assert torch.equal(y, block(SMALL))
    assert len(seen) == 1
    assert seen[0][0] == next(iter(names)) == ""
    assert torch.equal(seen[0][1], SMALL)
    assert seen[0][2].shape == SMALL.shape


@pytest.mark.parametrize("name", PAIRS)
def test_changed_arms_are_the_twins(name):
    block = Block(*JOINS[name]).eval()
    with meeting(block, lambda n, s, b: (torch.zeros_like(s), b), SMALL):
        plain = block(SMALL)
    torch.testing.assert_close(plain, without_skips(block, SMALL)(SMALL))
    with meeting(block, lambda n, s, b: (s, torch.zeros_like(b)), SMALL):
        lesioned = block(SMALL)
    torch.testing.assert_close(lesioned, without_branches(block, SMALL)(SMALL))


def test_gradients_go_by_the_arm_that_is_left():
    net, x = nn.Sequential(Residual(), Residual()), SMALL.clone().requires_grad_()

    def one_way(name, shortcut, branch):
        return (shortcut.detach(), branch) if name == "1" else (shortcut, branch.detach())

    with meeting(net, one_way, SMALL) as names:
        assert [*names] == ["0", "1"]
        y = net(x)
        (gradient,) = torch.autograd.grad(y.sum(), x)
    z = SMALL.clone().requires_grad_()
    (expected,) = torch.autograd.grad(net[1].f(z + net[0].f(z).detach()).sum(), z)
    assert torch.equal(y, net(SMALL))
    assert torch.equal(gradient, expected)


def test_a_network_in_one_function_and_a_shared_block():
    net, x = Functional(), torch.randn(2, 3, 8, 8)
    with meeting(net, lambda n, s, b: (s, b), x) as names:
        assert [*names] == ["[0]", "[1]", "[2]", "[3]", "[4]"]
        y = net(x)
    assert torch.equal(y, net(x))
    net, order = Shared(3), []

    def note(name, shortcut, branch):
        order.append(name)
        return shortcut, branch

    with meeting(net, note, SMALL) as names:
        net(SMALL)
        net(SMALL)
    assert order == [*names, *names] == ["block[0]", "block[1]", "block[2]"] * 2


def test_a_resnet_of_torchvision_is_given_back(untouched):
    model, x = tv.resnet18(num_classes=3), torch.randn(2, 3, 40, 40)
    before = untouched.snapshot(model)
    with meeting(model, lambda n, s, b: (s, b), x) as names:
        assert [*names] == [f"layer{i}.{j}" for i in range(1, 5) for j in range(2)]
        assert names["layer2.0"].kind == "projection"
    untouched(model, before)
    with pytest.raises(ZeroDivisionError), meeting(model, lambda n, s, b: 1 / 0, x):
        model(x)
    assert type(model.layer1[0]) is tv.resnet.BasicBlock
    assert [type(m) for m in model.modules()] == [k for k, *_ in before[1].values()]
    model.eval()
    with meeting(model, lambda n, s, b: (s, b.zero_() if n == "layer2.1" else b), x):
        y = model(x)
    torch.testing.assert_close(y, without_branches(model, x, which="layer2.1")(x))
    assert F.relu(y).isfinite().all()


def test_more_than_two_arms_are_refused():
    refused = pytest.raises(SurgeryError, match="is no meeting of two arms in one call")
    two, three = Block(*JOINS["minus"]), Block(*JOINS["two"])
    with refused, meeting(three, lambda n, s, b: (s, b), SMALL):
        pass
    with refused, meeting(three, lambda n, s, b: (s, b), SMALL, partly=True):
        pass
    net = nn.Sequential(three, two)
    with meeting(net, lambda n, s, b: (s, b), SMALL, partly=True) as joins:
        assert [*joins] == ["1"]
