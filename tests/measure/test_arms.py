"""Each measure on the arms against the same thing done by hand."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from torchskip.errors import ArgumentError
from torchskip.measure import (
    at_joins,
    dropped,
    gradient_shares,
    lesions,
    path_lengths,
    signals,
    skips_of,
    stream,
)
from torchskip.nn import Skip


def by_label(scores):
    return F.cross_entropy(scores, torch.tensor([1, 2, 3]))


def test_visits_see_both_arms_in_order(net, x):
    seen = []

    def look(path, shortcut, branch):
        seen.append((path, shortcut, branch))
        return shortcut, branch

    net.eval()
    with torch.no_grad(), at_joins(net, look):
        net(x)
        block = net.stages[1][0].unit
        given = net.stages[0](net.stem(x))
    assert [path for path, *_ in seen[:6]] == list(skips_of(net))
    assert torch.equal(seen[2][1], block.shortcut(given))
    assert torch.equal(seen[2][2], block.branch(given))


def test_a_merge_that_is_a_module_is_watched_too():
    skip = Skip(nn.Conv2d(2, 2, 1), merge="gate")
    x = torch.rand(1, 2, 4, 4)
    with at_joins(skip, lambda _path, shortcut, branch: (shortcut, shortcut)):
        assert torch.allclose(skip(x), x)
    assert not torch.allclose(skip(x), x)


def test_a_model_without_skips_is_refused():
    with pytest.raises(ArgumentError, match=r"Linear has no torchskip\.nn\.Skip"):
        skips_of(nn.Linear(1, 1))


def test_a_dropped_block_is_one_whose_branch_ends_in_zero(net, x, unchanged):
    facts, check = unchanged
    net.eval()
    before = facts(net)
    found = lesions(net, lambda model: model(x))
    check(net, before)
    assert torch.equal(found[""], net(x))
    assert list(found) == ["", *skips_of(net)]
    for path, skip in skips_of(net).items():
        last = skip.branch.bn2
        weight, bias = last.weight.detach().clone(), last.bias.detach().clone()
        with torch.no_grad():
            last.weight.zero_()
            last.bias.zero_()
            assert torch.equal(net(x), found[path])
            last.weight.copy_(weight)
            last.bias.copy_(bias)
        assert not torch.equal(found[path], found[""])


def test_a_plain_block_is_bypassed(plain, x):
    plain.eval()
    found = lesions(plain, lambda model: model(x), ["stages.0.1"])["stages.0.1"]
    plain.stages[0][1] = nn.Identity()
    assert torch.equal(plain(x), found)


def test_what_cannot_be_bypassed_is_named(plain, x, unchanged):
    facts, check = unchanged
    before = facts(plain)
    with pytest.raises(ArgumentError) as caught, dropped(plain.eval(), "stages.1.0"):
        plain(x)
    assert str(caught.value) == (
        "'stages.1.0' cannot be bypassed: it turns (3, 4, 12, 12) into (3, 8, 6, 6)\n"
        "  mend: choose blocks that keep the shape"
    )
    check(plain.train(), before)
    with pytest.raises(ArgumentError, match=r"CifarNet has no module 'stem\.nothing'"):
        lesions(plain, lambda model: model(x), ["stem.nothing"])


def test_gradient_shares_are_those_of_autograd(net, x, unchanged):
    facts, check = unchanged
    net.eval()
    before = facts(net)
    found = {share.path: share for share in gradient_shares(net, by_label, x)}
    check(net, before)
    assert list(found) == list(skips_of(net))

    values = [net.stem(x).detach()]  # every block's input
    blocks = [block for stage in net.stages for block in stage]
    for block in blocks:
        values.append(block(values[-1]).detach())
    for index, (path, block) in enumerate(zip(skips_of(net), blocks, strict=True)):
        given = values[index].requires_grad_()
        arms = block.unit.shortcut(given.clone()), block.unit.branch(given.clone())
        out = torch.relu(arms[0] + arms[1])
        for later in blocks[index + 1 :]:
            out = later(out)
        loss = by_label(net.classifier(net.pool(out).flatten(1)))
        at_join = torch.autograd.grad(loss, arms[0], retain_graph=True)[0]
        by, through = (
            torch.autograd.grad(arm, given, at_join, retain_graph=True)[0] for arm in arms
        )
        assert found[path].shortcut == pytest.approx(by.norm().item(), rel=1e-4)
        assert found[path].branch == pytest.approx(through.norm().item(), rel=1e-4)
        cosine = F.cosine_similarity(by.flatten(), through.flatten(), dim=0).item()
        assert found[path].cosine == pytest.approx(cosine, abs=1e-4)
        assert 0 < found[path].share < 1


def test_gradient_shares_leave_gradients_alone(net, x):
    by_label(net.train()(x)).backward()
    before = [p.grad.clone() for p in net.parameters()]
    gradient_shares(net, by_label, x)
    assert all(torch.equal(p.grad, g) for p, g in zip(net.parameters(), before, strict=True))


class Times(nn.Module):
    def __init__(self, factor):
        super().__init__()
        self.factor = factor

    def forward(self, x):
        return self.factor * x


def test_path_lengths_of_a_product_of_sums():
    """y = (1 + 0.5)^6 x: a path through k branches brings 0.5^k."""
    net = nn.Sequential(*[Skip(Times(0.5)) for _ in range(6)])
    found = path_lengths(net, torch.sum, torch.ones(1, 1))
    assert found.gradient == pytest.approx([0.5**k for k in range(7)])
    assert found.count == pytest.approx([math.comb(6, k) / 64 for k in range(7)])
    expected = [math.comb(6, k) * 0.5**k / 1.5**6 for k in range(7)]
    assert found.weight == pytest.approx(expected)
    assert found.mean_length == pytest.approx(2.0)  # binomial with p = 0.5 / 1.5


def test_the_longest_path_is_the_plain_network(net, x, unchanged):
    facts, check = unchanged
    before = facts(net)
    found = path_lengths(net, by_label, x, samples=2)
    check(net, before)
    net.eval()
    given = x.clone().requires_grad_()
    with at_joins(net, lambda _path, shortcut, branch: (shortcut.detach(), branch)):
        by_label(net(given)).backward()
    assert found.gradient[-1] == pytest.approx(given.grad.norm().item(), rel=1e-5)
    assert sum(found.weight) == pytest.approx(1.0)
    assert path_lengths(net, by_label, x, samples=2) == found


def test_signals_in_training_mode(net, x, unchanged):
    facts, check = unchanged
    net.eval()
    before = facts(net)
    found = {signal.path: signal for signal in signals(net, x)}
    check(net, before)
    net.train()
    out = net.stem.conv(x)
    assert found["stem.conv"].mean == pytest.approx(out.mean().item(), abs=1e-6)
    assert found["stem.conv"].variance == pytest.approx(out.var(correction=0).item(), rel=1e-5)
    skip = net.stages[0][0].unit
    out = skip(net.stem(x))
    assert found["stages.0.0.unit"].variance == pytest.approx(
        out.var(correction=0).item(), rel=1e-4
    )
    assert found["stages.0.0.unit"].kind == "Skip"


def test_without_normalisation_the_variance_doubles_with_every_block():
    torch.manual_seed(0)
    blocks = []
    for _ in range(8):
        linear = nn.Linear(512, 512)
        nn.init.normal_(linear.weight, std=512**-0.5)
        nn.init.zeros_(linear.bias)
        blocks.append(Skip(linear))
    found = signals(nn.Sequential(*blocks), torch.randn(64, 512))
    skips = [signal.variance for signal in found if signal.kind == "Skip"]
    assert skips == pytest.approx([2.0**k for k in range(1, 9)], rel=0.15)


def test_the_stream_changes_by_what_the_branches_add(net, x, unchanged):
    facts, check = unchanged
    before = facts(net)
    found = {change.path: change for change in stream(net, x)}
    check(net, before)
    net.eval()
    given = net.stages[0](net.stem(x))
    skip = net.stages[1][0].unit
    s, f = skip.shortcut(given).flatten(1), skip.branch(given).flatten(1)
    change = found["stages.1.0.unit"]
    assert change.relative == pytest.approx((f.norm(dim=1) / s.norm(dim=1)).mean().item(), rel=1e-4)
    assert change.cosine == pytest.approx(F.cosine_similarity(s, f).mean().item(), abs=1e-5)
