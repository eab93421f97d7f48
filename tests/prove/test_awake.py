"""Branches that begin silent: the plain twin, whose only way they are, is given a voice."""

import pytest
import torch
from torch import nn

from torchskip.prove.awake import awaken, awakened
from torchskip.prove.given import GivenTwins
from torchskip.surgery import SUMS, without_skips


class Scaled(nn.Module):
    """`x + scale * norm(conv(x))`, after a stem whose own norm begins at 0.5 and stays so."""

    def __init__(self, norm=1.0, scale=1.0, kernel=True):
        super().__init__()
        self.stem, self.first = nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4)
        self.conv, self.norm = nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4)
        self.scale = nn.Parameter(torch.full((4, 1, 1), scale))
        self.head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 10))
        nn.init.constant_(self.first.weight, 0.5)
        nn.init.constant_(self.norm.weight, norm)
        if not kernel:
            nn.init.zeros_(self.conv.weight)

    def forward(self, x):
        x = self.first(self.stem(x)).relu()
        return self.head((x + self.scale * self.norm(self.conv(x))).relu())


X = torch.rand(4, 1, 14, 14)


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ({}, []),
        ({"norm": 1.25}, []),
        ({"norm": 0.0}, ["norm.weight"]),
        ({"scale": 1e-6}, ["scale"]),
        ({"norm": 0.0, "scale": 0.0}, ["scale", "norm.weight"]),
        ({"kernel": False}, ["conv.weight"]),
    ],
)
def test_what_silences_a_cut_branch_begins_anew_in_the_plain_twin(options, names):
    residual = Scaled(**options)
    plain = without_skips(residual, X)
    with torch.no_grad():
        assert (plain(X).std(0).max() < 1e-5) == bool(names)
    awaken(plain, residual, X, SUMS)
    ours, theirs = (dict(net.named_parameters()) for net in (residual, plain))
    assert [name for name in ours if not torch.equal(ours[name], theirs[name])] == names
    assert awakened(plain, residual) == len(names)
    with torch.no_grad():
        assert plain(X).std(0).max() > 1e-3
    if names and names != ["conv.weight"]:
        assert all((theirs[name] == 1).all() for name in names)


def test_it_is_told_where_it_is_done():
    def told(norm):
        twins = GivenTwins(lambda: Scaled(norm), (1, 14, 14))
        return " ".join(twins.tell(twins(0, 0), 0))

    assert "1 scales of branches begin at or near 0" in told(0.0)
    assert "scales" not in told(1.0)
