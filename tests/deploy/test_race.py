"""The faster of two functions is known from the shortest of some calls."""

import pytest
import torch

from torchskip.deploy.race import slower


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now

    def lasting(self, *seconds):
        """A function that takes these, one after another."""
        left = list(seconds)

        def function(_):
            self.now += left.pop(0)

        function.left = left
        return function


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ((0.1, 0.1, 0.1), (0.11, 0.11, 0.11), False),
        ((0.1, 0.1, 0.1), (0.09, 0.09, 0.09), True),
        ((0.1, 0.02, 0.1), (0.05, 0.05, 0.05), False),  # one call met other work
        ((0.1, 0.1, 0.1), (0.1, 0.1, 0.1), False),
    ],
)
def test_the_shortest_call_counts(one, other, expected):
    clock = Clock()
    assert slower(clock.lasting(*one), clock.lasting(*other), [torch.ones(1)], clock) == expected


def test_long_calls_have_one_round():
    clock = Clock()
    one, other = clock.lasting(0.4, 9), clock.lasting(0.3, 9)
    assert slower(one, other, [torch.ones(1)], clock)
    assert (one.left, other.left) == ([9], [9])
