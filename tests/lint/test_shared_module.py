"""What is said of a module that runs twice on one value."""

import pytest
import torch
from net import Net, c2, seq
from torch import nn

from torchskip.lint.check import check


@pytest.mark.parametrize(
    ("forward", "told", "mend"),
    [
        (
            lambda s, x: (s.a(x), s.a(x) + s.b(x))[1],
            "the first result is thrown away",
            "run it once and use that result",
        ),
        (
            lambda s, x: s.a(x) + s.b(s.a(x)),
            "both arms hold the same layer",
            "make one module per place",
        ),
    ],
)
def test_twice_on_one_value(forward, told, mend):
    model = Net(forward, a=c2(), b=c2())
    (finding,) = check(model, torch.zeros(2, 4, 8, 8), select=["TS203"]).findings
    assert finding.message == f"'a' runs twice on the same value: {told}"
    assert [m.text for m in finding.mends] == [mend]


def encoder():
    return seq(c2(), nn.BatchNorm2d(4), nn.ReLU(), c2())


class Both(nn.Module):
    """Two names of one encoder, and what is done with its results."""

    def __init__(self, run):
        super().__init__()
        one = encoder()
        self.left, self.right, self.head, self.run = one, one, c2(4, 2), run

    def forward(self, *inputs):
        return self.head(self.run(self, *inputs))


@pytest.mark.parametrize(
    ("run", "count"),
    [
        (lambda s, a, b: s.left(a) - s.right(b), 2),
        (lambda s, x: s.left(x[:, :4]) * s.right(x[:, 4:]), 1),
        (lambda s, x: s.left(x[:, :4]) + s.right(x[:, :4].flip(3)), 1),
    ],
)
def test_a_siamese_encoder_may_have_two_names(run, count):
    inputs = [torch.zeros(2, 8 if count == 1 else 4, 8, 8) for _ in range(count)]
    assert not check(Both(run), *inputs, select=["TS203"]).findings


@pytest.mark.parametrize(
    "run",
    [
        lambda s, x: s.left(x) - s.right(x),
        lambda s, x: s.right(s.left(x)),
        lambda s, x: s.left(y := s.head.stem(x)) + s.right(s.head.middle(y)),
    ],
)
def test_two_names_for_one_way_are_told(run):
    model = Both(run)
    model.head = Net(lambda s, x: s.last(x), stem=c2(), middle=c2(), last=c2(4, 2))
    (finding,) = check(model, torch.zeros(2, 4, 8, 8), select=["TS203"]).findings
    assert "'left' and 'right' are one Sequential" in finding.message


def test_a_second_input_may_know_what_was_made_of_the_first():
    def forward(s, a, b):
        known = s.e(a)
        asked = s.e(b + known.mean((2, 3), keepdim=True))
        return s.h(asked - known)

    def levels(s, a, b):
        known = s.e(a + b)
        again = s.e(known)
        return s.h(again)

    images = [torch.zeros(2, 4, 8, 8) for _ in range(2)]
    assert not check(Net(forward, e=encoder(), h=c2()), *images, select=["TS203"]).findings
    assert check(Net(levels, e=encoder(), h=c2()), *images, select=["TS203"]).findings


def test_a_list_that_repeats_one_module_is_told_for_two_inputs_too():
    def forward(s, a, b):
        return s.h(s.each[0](a) - s.each[1](b))

    model = Net(forward, each=nn.ModuleList([encoder()] * 2), h=c2())
    images = [torch.zeros(2, 4, 8, 8) for _ in range(2)]
    assert check(model, *images, select=["TS203"]).findings


def test_one_tensor_given_for_two_inputs_stands_for_two():
    image = torch.zeros(2, 4, 8, 8)
    model = Net(lambda s, a, b: s.h(s.e(a) - s.e(b)), e=encoder(), h=c2())
    assert not check(model, image, image, select=["TS203"]).findings
