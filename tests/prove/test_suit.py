"""Images as a given network takes them."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from torchskip.errors import TrainingError
from torchskip.prove.suit import suit


def net(channels, classes=10, pools=0, size=None):
    """Takes images of `channels`, at least 2**pools pixels wide, or exactly `size`."""
    head = nn.AdaptiveAvgPool2d(1) if size is None else nn.Identity()
    width = 4 if size is None else 4 * size * size
    return nn.Sequential(
        nn.Conv2d(channels, 4, 1), *pools * [nn.MaxPool2d(2)], head, nn.Flatten(),
        nn.Linear(width, classes),
    )  # fmt: skip


def test_what_fits_is_left_as_it_is(few):
    found, notes = suit(few, net(1), None)
    assert found is few
    assert notes == ()


def test_grey_is_repeated(few):
    found, notes = suit(few, net(3), None)
    assert all(torch.equal(found.test[:, c], few.test[:, 0]) for c in range(3))
    assert notes == ("The images are grey; Sequential takes 3 channels, so each is repeated.",)


def test_colour_becomes_grey(few):
    red = torch.zeros(4, 3, 14, 14, dtype=torch.uint8)
    red[:, 0] = 200
    coloured = replace(few, train=red, test=red)
    found, notes = suit(coloured, net(1), None)
    assert found.shape == (1, 14, 14)
    assert found.test.unique().tolist() == [60]  # 0.299 of 200
    assert notes == ("The images are coloured; Sequential takes 1 channel, so they are made grey.",)


@pytest.mark.parametrize(("model", "side"), [(net(1, pools=5), 32), (net(1, size=28), 28)])
def test_the_smallest_usual_size_that_it_takes(few, model, side):
    found, notes = suit(few, model, None)
    assert found.shape == (1, side, side)
    assert notes == (
        f"The images are resized from 14x14 to {side}x{side}, the smallest usual size that "
        "Sequential takes.",
    )
    assert abs(found.train.float().mean() - few.train.float().mean()) < 2


def test_a_size_that_was_asked_for(few):
    found, notes = suit(few, net(1), 7)
    assert found.shape == (1, 7, 7)
    assert notes == ("The images are resized from 14x14 to 7x7, as asked.",)


def test_a_size_that_it_does_not_take_and_one_that_it_does(few):
    with pytest.raises(TrainingError) as caught:
        suit(few, net(3, pools=5), 16)
    assert str(caught.value) == (
        "Sequential cannot take images of 3x16x16: RuntimeError: Given input size: (4x1x1). "
        "Calculated output size: (4x0x0). Output size is too small\n"
        "  mend: side=32 (--side 32), which it takes"
    )
    assert suit(few, net(3, pools=4), 16)[0].shape == (3, 16, 16)


def test_more_scores_than_classes_are_said_and_fewer_refused(few):
    assert suit(few, net(1, classes=1000), None)[1] == (
        "Sequential has 1,000 scores for 10 classes; the others are never right, and both "
        "networks have to learn that.",
    )
    with pytest.raises(TrainingError) as caught:
        suit(few, net(1, classes=9), None)
    assert str(caught.value) == (
        "Sequential has 9 scores for 10 classes\n  mend: make it with 10 outputs (num_classes=10)"
    )


class Aux(nn.Module):
    """Answers with a pair in training, as networks with a second classifier do."""

    def __init__(self):
        super().__init__()
        self.net = net(1)

    def forward(self, x):
        return (self.net(x), self.net(x)) if self.training else self.net(x)


def test_an_answer_that_is_no_scores(few):
    with pytest.raises(TrainingError) as caught:
        suit(few, Aux(), None)
    assert str(caught.value) == (
        "Aux answers (2, 1, 14, 14) with tuple in training, not with class scores\n"
        "  mend: let it return a tensor of shape (2, 10)"
    )


def test_the_network_and_the_generators_stay_as_they_are(few):
    model = nn.Sequential(nn.BatchNorm2d(1), net(1))
    before = torch.random.get_rng_state()
    suit(few, model, None)
    assert model[0].num_batches_tracked == 0
    assert torch.equal(torch.random.get_rng_state(), before)
