"""Each measure on the arms against the same thing done by hand."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from torchskip.errors import ArgumentError
from torchskip.measure import gradient_shares, lesions, path_lengths, signals, stream
from torchskip.nn import Skip
from torchskip.surgery import meeting


def by_label(scores):
    return F.cross_entropy(scores, torch.tensor([1, 2, 3]))


def blocks(net):
    """Return every `Skip` of a network by its path."""
    return {path: module for path, module in net.named_modules() if isinstance(module, Skip)}


def test_a_model_without_skips_is_refused():
    with pytest.raises(ArgumentError, match="none of the skips of Linear"):
        stream(nn.Linear(1, 1), torch.ones(1, 1))


def test_a_dropped_block_is_one_whose_branch_ends_in_zero(net, x, unchanged):
    facts, check = unchanged
    net.eval()
    before = facts(net)
    found = lesions(net, lambda model: model(x), x)
    check(net, before)
    assert torch.equal(found.intact, net(x))
    assert list(found.dropped) == list(blocks(net))
    for path, skip in blocks(net).items():
        last = skip.branch.bn2
        weight, bias = last.weight.detach().clone(), last.bias.detach().clone()
        with torch.no_grad():
            last.weight.zero_()
            last.bias.zero_()
            assert torch.equal(net(x), found.dropped[path])
            last.weight.copy_(weight)
            last.bias.copy_(bias)
        assert not torch.equal(found.dropped[path], found.intact)


def test_without_shortcuts_a_lesion_is_the_plain_network_with_that_block_bypassed(net, plain, x):
    plain.load_state_dict(net.state_dict())
    net.eval(), plain.eval()
    found = lesions(net, lambda model: model(x), x, shortcuts=False)
    assert torch.equal(found.intact, plain(x))
    kept = [path for path in blocks(net) if path not in ("stages.1.0.unit", "stages.2.0.unit")]
    assert list(found.dropped) == kept
    plain.stages[0][1] = nn.Identity()
    assert torch.equal(plain(x), found.dropped["stages.0.1.unit"])


def test_gradient_shares_are_those_of_autograd(net, x, unchanged):
    facts, check = unchanged
    net.eval()
    before = facts(net)
    found = {share.path: share for share in gradient_shares(net, by_label, x)}
    check(net, before)
    assert list(found) == list(blocks(net))

    values = [net.stem(x).detach()]  # every block's input
    chain = [block for stage in net.stages for block in stage]
    for block in chain:
        values.append(block(values[-1]).detach())
    for index, (path, block) in enumerate(zip(blocks(net), chain, strict=True)):
        given = values[index].requires_grad_()
        arms = block.unit.shortcut(given.clone()), block.unit.branch(given.clone())
        out = torch.relu(arms[0] + arms[1])
        for later in chain[index + 1 :]:
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


class ByHand(nn.Module):
    """A residual block that overwrites what it can, its shortcut a projection or none."""

    def __init__(self, skip):
        super().__init__()
        self.branch, self.shortcut = skip.branch, skip.shortcut

    def forward(self, x):
        out = self.branch(x)
        out += x if isinstance(self.shortcut, nn.Identity) else self.shortcut(x)
        return out


def test_measures_of_blocks_written_by_hand_are_those_of_skips(net, x, unchanged):
    facts, check = unchanged

    def measures(model):
        shares = gradient_shares(model, by_label, x)
        return (
            [(share.shortcut, share.branch, share.cosine) for share in shares],
            [(change.relative, change.cosine) for change in stream(model, x)],
            path_lengths(model, by_label, x, samples=2).weight,
            torch.stack([*lesions(model, lambda n: n(x), x).dropped.values()]),
        )

    net.eval()
    ours = measures(net)
    for stage in net.stages:
        for block in stage:
            block.unit = ByHand(block.unit)
    before = facts(net)
    theirs = measures(net)
    check(net, before)
    torch.testing.assert_close(ours, theirs)


def test_a_checkpointed_block_and_one_of_several_outputs_have_shares():
    conv = nn.Conv2d(2, 2, 3, padding=1)

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = Skip(conv), Skip(nn.Conv2d(2, 2, 3, padding=1))

        def forward(self, x, kept):
            a, b = (checkpoint(self.first, x, use_reentrant=False) if kept else self.first(x)), x
            a, b = torch.stack((a, b), 1).unbind(1)
            return self.second(a) + b

    net, x = Net(), torch.randn(3, 2, 6, 6)
    shares = [gradient_shares(net, torch.sum, x, kept) for kept in (False, True)]
    assert [share.path for share in shares[0]] == ["first", "second"]
    assert shares[0][0].shortcut == pytest.approx(shares[1][0].shortcut)
    assert shares[0][1] == shares[1][1]


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
    with meeting(net, lambda _path, shortcut, branch: (shortcut.detach(), branch), x):
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
