"""Steps of descent on copies: as few as tell which parameters learn."""

import pytest
import torch
from torch import nn

from torchskip.lint.probes.learn import learning


class Deep(nn.Module):
    """A layer and a factor behind a zero, and a layer that nothing reads."""

    def __init__(self):
        super().__init__()
        self.first, self.zeros = nn.Linear(3, 3), nn.ParameterList(torch.zeros(3) for _ in range(2))
        self.dead = nn.Linear(3, 3)

    def forward(self, x):
        PASSES.append(self.training)
        return x * self.zeros[0] * self.zeros[1].add(1) + self.first(x) * self.zeros[0]


PASSES = []


@pytest.mark.parametrize(
    ("wondered", "steps"),
    [
        ({"zeros.0"}, 1),
        ({"zeros.0", "zeros.1"}, 2),
        ({"first.weight"}, 2),
        ({"dead.weight"}, 3),
        ((), 1),
    ],
)
def test_it_ends_when_all_that_is_wondered_about_has_moved(wondered, steps):
    PASSES.clear()
    model = Deep()
    moved = learning(model, (torch.zeros(2, 3),), {}, frozenset(wondered))
    assert [*PASSES] == [False] * steps
    assert moved >= set(wondered) - {"dead.weight"}
    assert "dead.weight" not in moved
    assert not any(zero.any() for zero in model.zeros)
