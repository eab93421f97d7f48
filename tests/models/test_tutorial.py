"""The tutorial's module, as published and as mended; the numbers that docs/tutorial.md cites."""

import copy
import pickle

import pytest
import torch
from torch import nn

from torchskip.errors import MergeShapeError
from torchskip.models.tutorial import SkipConnection


class Published(nn.Module):
    """The layers and the wiring of the tutorial."""

    def __init__(self):
        super().__init__()
        self.conv_layer1 = nn.Conv2d(3, 6, 2, stride=2, padding=2)
        self.relu = nn.ReLU(inplace=True)
        self.conv_layer2 = nn.Conv2d(6, 3, 2, stride=2, padding=2)
        self.relu2 = nn.ReLU(inplace=True)

    def branch(self, x):
        return self.relu2(self.conv_layer2(self.relu(self.conv_layer1(x))))

    def forward(self, x):
        return x + self.branch(x)


@pytest.fixture
def published():
    torch.manual_seed(172)
    return Published()


def test_the_published_wiring_crashes(published):
    with pytest.raises(RuntimeError, match=r"tensor a \(32\) must match .* tensor b \(11\)"):
        published(torch.rand(1, 3, 32, 32))


def test_strict_explains_the_crash():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.block = SkipConnection(strict=True)

        def forward(self, x):
            return self.block(x)

    with pytest.raises(MergeShapeError) as caught:
        Net()(torch.rand(1, 3, 32, 32))
    assert str(caught.value) == (
        "cannot add branch and shortcut in 'block' (SkipConnection)\n"
        "  branch    (1, 3, 11, 11)\n"
        "  shortcut  (1, 3, 32, 32)    axes 2, 3 differ\n"
        '  mend: shortcut="auto" derives a pooled shortcut (stride 4), or keep="input" brings '
        "the branch back to the input's shape"
    )


def test_the_documented_result():
    assert SkipConnection()(torch.rand(1, 3, 32, 32)).shape == (1, 3, 32, 32)
    for n in range(1, 97):
        x = torch.rand(1, 3, n, 97 - n)
        assert SkipConnection()(x).shape == x.shape


def test_names_weights_and_state_are_the_published_ones(published):
    model = SkipConnection()
    ours, theirs = model.state_dict(), published.state_dict()
    assert list(ours) == list(theirs)
    assert all(torch.equal(ours[k], theirs[k]) for k in theirs)
    assert [n for n, _ in model.named_parameters()] == list(theirs)
    published.load_state_dict(ours)
    x = torch.rand(1, 3, 32, 32)
    assert torch.equal(model.branch(x), published.branch(x))


def test_the_global_random_state_is_left_alone_unless_asked(published):
    after = torch.rand(3)
    state = torch.get_rng_state()
    SkipConnection()
    assert torch.equal(state, torch.get_rng_state())
    torch.manual_seed(172)
    model = SkipConnection(seed=None)
    assert torch.equal(after, torch.rand(3))
    assert torch.equal(model.conv_layer1.weight, published.conv_layer1.weight)


def test_copies_share_nothing_and_move_together():
    model = SkipConnection()
    x = torch.rand(1, 3, 16, 16)
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):  # noqa: S301
        assert torch.equal(other(x), model(x))
        assert other.branch.conv_layer1 is other.conv_layer1
        nn.init.zeros_(other.conv_layer1.weight)
        assert not torch.equal(other(x), model(x))
    assert model.double()(x.double()).dtype == torch.double


def test_forty_of_the_121_outputs_see_only_padding(published):
    with torch.no_grad():
        for p in published.parameters():
            p.fill_(1.0)
    x = torch.rand(1, 3, 32, 32, requires_grad=True)
    y = published.branch(x)[0].sum(0)
    assert y.shape == (11, 11)
    blind = 0
    for value in y.flatten():
        (gradient,) = torch.autograd.grad(value, x, retain_graph=True)
        blind += int(not gradient.any())
    assert (blind, y.numel()) == (40, 121)


def test_every_input_pixel_but_none_of_the_border_cells_matters():
    """The restored branch is centred on its own pixel."""
    model = SkipConnection().double()
    with torch.no_grad():
        for p in model.parameters():
            p.fill_(1.0)
    x = torch.rand(1, 3, 32, 32, dtype=torch.double, requires_grad=True)
    branch = (model(x) - x)[0].sum(0)
    grid = torch.arange(32, dtype=torch.double)
    for p in (12, 13, 15, 18):
        (g,) = torch.autograd.grad(branch[p, p], x, retain_graph=True)
        g = g[0].sum(0)
        assert abs((g.sum(1) * grid).sum() / g.sum() - p) < 1e-9
        assert abs((g.sum(0) * grid).sum() / g.sum() - p) < 1e-9
