"""Sums inside sums: which are one skip, which are none, and which are two."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from tests.skips.nets import conv, kinds, net, skips_of
from torch import nn


def _one_by_one(m: Any, x: torch.Tensor) -> torch.Tensor:
    y = m.one(x)
    y += m.f(x)
    y += m.two(x)
    y += m.h(m.g(x))
    return y


def _one_projection(m: Any, x: torch.Tensor) -> torch.Tensor:
    y = m.one(x)
    y += m.h(m.g(x))
    return y


def _refined(m: Any, x: torch.Tensor) -> torch.Tensor:
    y = m.f(x)
    return (x + y) + m.g(y)


def _conditioned(m: Any, x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
    return x + (m.f(x) + m.w(t)[:, :, None, None])


class _Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.f = conv()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.f(x)


_POINTWISE = {"one": conv(8, 8, 1), "two": conv(8, 8, 1)}


@pytest.mark.parametrize(
    ("make", "truth"),
    [
        (lambda: net(lambda m, x: x + m.f(x) + m.g(x)), ["identity"]),
        (lambda: net(lambda m, x: m.f(x) + m.g(x) + x), ["identity"]),
        (lambda: net(lambda m, x: (m.f(x) + m.g(x)) + (x + m.h(x))), ["identity"]),
        (lambda: net(_refined), ["identity"]),
        (lambda: net(lambda m, x: (x + m.f(x)) + x), ["identity", "identity"]),
        (lambda: net(lambda m, x: (x - m.f(x)) + x), ["identity"]),
        (lambda: net(_one_projection, **_POINTWISE), ["projection"]),
        (lambda: net(_one_by_one, **_POINTWISE), []),
        (
            lambda: net(lambda m, x: m.r(x) + m.h(m.g(x)), r=_Residual()),
            ["identity", "projection"],
        ),
    ],
    ids=[
        "two branches",
        "identity last",
        "two and two",
        "a branch of the branch",
        "the shortcut again",
        "a difference",
        "a projection",
        "four parallel branches",
        "a residual module",
    ],
)
def test_sums(make: Callable[[], nn.Module], truth: list[str]) -> None:
    assert kinds(make()) == truth


def test_all_terms_are_arms() -> None:
    _, (skip,) = skips_of(net(lambda m, x: (m.f(x) + m.g(x)) + x))
    assert [arm.role for arm in skip.arms] == ["branch", "branch", "shortcut"]


def test_a_sum_that_begins_with_nothing_is_no_term() -> None:
    graph, (skip,) = skips_of(net(lambda m, x: sum((x, m.f(x)))))
    assert {arm.values[-1] for arm in skip.arms} == {*graph.nodes[skip.join].inputs}


def test_a_term_from_another_input_is_no_arm() -> None:
    model = net(_conditioned, w=nn.Linear(4, 8))
    assert kinds(model, torch.zeros(1, 8, 16, 16), torch.zeros(1, 4)) == ["identity"]
