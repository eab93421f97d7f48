"""The twins of He et al. 2015, section 4.2."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from torchskip.errors import ArgumentError
from torchskip.models import cifar
from torchskip.nn import Skip


class Reference(nn.Module):
    """The same network written by hand, the way the paper describes it."""

    def __init__(self, model: cifar.CifarNet, skip: bool) -> None:
        super().__init__()
        self.model, self.skip = model, skip

    def forward(self, x):
        x = self.model.stem(x)
        for stage in self.model.stages:
            for block in stage:
                f = block.unit.branch
                y = f.bn2(f.conv2(F.relu(f.bn1(f.conv1(x)))))
                if self.skip:
                    s = x
                    if y.shape != x.shape:
                        s = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 0, y.shape[1] - x.shape[1]))
                    y = y + s
                x = F.relu(y)
        return self.model.classifier(x.mean((2, 3)))


@pytest.mark.parametrize("skip", [True, False])
@pytest.mark.parametrize(("channels", "n"), [(3, 32), (1, 28)])
def test_it_computes_what_the_paper_describes(skip, channels, n):
    torch.manual_seed(0)
    model = cifar.CifarNet(14, skip=skip, in_channels=channels).eval()
    x = torch.randn(2, channels, n, n)
    torch.testing.assert_close(model(x), Reference(model, skip)(x))


@pytest.mark.parametrize("shortcut", ["pad", "auto", "project"])
def test_twins_share_names_weights_and_random_state(shortcut):
    torch.manual_seed(3)
    residual = cifar.resnet(14, shortcut=shortcut)
    after = torch.rand(4)
    torch.manual_seed(3)
    plain = cifar.plainnet(14)
    assert torch.equal(after, torch.rand(4))
    ours, theirs = residual.state_dict(), plain.state_dict()
    assert [k for k in ours if ".shortcut." not in k] == list(theirs)
    assert all(torch.equal(ours[k], theirs[k]) for k in theirs)
    assert any(isinstance(m, Skip) for m in residual.modules())
    assert not any(isinstance(m, Skip) for m in plain.modules())


def test_depth_counts_and_widths():
    for depth, parameters in ((20, 269_722), (56, 853_018)):  # 0.27M and 0.85M in table 6
        model = cifar.resnet(depth)
        layers = [m for m in model.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
        assert len(layers) == depth
        assert sum(p.numel() for p in model.parameters()) == parameters
    assert cifar.resnet20().stages[2][2].unit.branch.conv1.in_channels == 64
    narrow = cifar.resnet20(widths=(4, 8, 12), num_classes=7, in_channels=1)
    assert narrow(torch.rand(2, 1, 28, 28)).shape == (2, 7)


def test_the_initialisation_is_hes():
    torch.manual_seed(0)
    model = cifar.resnet20()
    weight = model.stages[2][1].unit.branch.conv2.weight
    assert abs(weight.std() - (2 / (64 * 9)) ** 0.5) < 2e-3
    assert not model.classifier.bias.any()


def test_training_repeats_bit_for_bit():
    def train():
        torch.manual_seed(0)
        model = cifar.resnet(8, widths=(4, 8, 8), in_channels=1)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
        losses = []
        for _ in range(4):
            loss = F.cross_entropy(model(torch.rand(8, 1, 28, 28)), torch.randint(10, (8,)))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        return losses

    assert train() == train()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"depth": 21},
            "depth is 21, but these networks have 6 n + 2 layers: 8, 14, 20, 26, 32, ...\n"
            "  mend: the nearest is 20",
        ),
        (
            {"depth": 20, "widths": (16, 32)},
            "widths=(16, 32), in_channels=3, num_classes=10: three widths and all counts must be "
            "1 or more\n  mend: widths=(16, 32, 64)",
        ),
    ],
)
def test_messages(options, message):
    with pytest.raises(ArgumentError) as caught:
        cifar.CifarNet(**options)
    assert str(caught.value) == message
