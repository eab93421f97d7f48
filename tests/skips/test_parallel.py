"""What is one branch in parts, a mask's own skip or a passed-on part, beside what is parallel."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tests.skips.nets import conv, kinds, net
from torch import nn


def _equal_branches(m: Any, x: torch.Tensor) -> torch.Tensor:
    return 0.5 * m.g(m.f(x)) + 0.5 * m.k(m.h(x)) + m.one(x)


def _unequal_branches(m: Any, x: torch.Tensor) -> torch.Tensor:
    return m.g(m.f(x)) + m.k(m.h(m.h(x))) + m.one(x)


def _mask(m: Any, x: torch.Tensor) -> torch.Tensor:
    y = m.h(x)
    return x * torch.sigmoid(m.s(m.one(y) + m.g(m.f(y))))


def _queries(m: Any, x: torch.Tensor) -> torch.Tensor:
    return x * torch.sigmoid(m.s(m.one(x) + m.g(m.f(x))))


def _codes(m: Any, x: torch.Tensor) -> torch.Tensor:
    return m.codes((m.one(x) + m.g(m.f(x))).argmax(1))


def _dual_path(m: Any, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    way, out = m.a(x), m.b(x)
    total, dense = way[:, :8] + out[:, :8], torch.cat([way[:, 8:], out[:, 8:]], 1)
    out = m.c(torch.cat([total, dense], 1))
    return m.f(total + out[:, :8]), m.d(torch.cat([dense, out[:, 8:]], 1))


def _cascade(m: Any, x: torch.Tensor) -> torch.Tensor:
    one, two = m.a(x).chunk(2, 1)
    one = m.f(one)
    return m.d(torch.cat([one, m.g(torch.cat([one, two], 1))], 1))


def _passed_on(m: Any, x: torch.Tensor) -> torch.Tensor:
    x = torch.relu(m.n(torch.cat([x, m.f(x)], 1)))
    return m.b(torch.cat([x, m.a(x)], 1))


def _convolved_on(m: Any, x: torch.Tensor) -> torch.Tensor:
    x = torch.relu(m.d(torch.cat([x, m.f(x)], 1)))
    return m.c(torch.cat([x, m.g(x)], 1))


_DUAL = {"a": conv(8, 16), "b": conv(8, 16), "c": conv(24, 16)}


@pytest.mark.parametrize(
    ("forward", "layers", "truth"),
    [
        pytest.param(_equal_branches, {"one": conv(kernel=1), "k": conv()}, ["projection"]),
        pytest.param(_unequal_branches, {"one": conv(kernel=1), "k": conv()}, []),
        pytest.param(_mask, {"one": conv(kernel=1), "s": conv(8, 1)}, ["projection", "gate"]),
        pytest.param(_queries, {"one": conv(kernel=1), "s": conv(8, 1)}, ["gate"]),
        pytest.param(_codes, {"one": conv(kernel=1), "codes": nn.Embedding(8, 4)}, []),
        pytest.param(_dual_path, {**_DUAL, "d": conv(24)}, ["identity", "concat"]),
        pytest.param(
            _passed_on,
            {"n": nn.BatchNorm2d(16), "a": conv(16), "b": conv(24)},
            ["dense", "dense"],
        ),
        pytest.param(_convolved_on, {"d": conv(16), "c": conv(16)}, ["concat", "concat"]),
        pytest.param(_cascade, {"a": conv(8, 16), "g": conv(16), "d": conv(16)}, ["split-concat"]),
    ],
)
def test_what_is_parallel(forward: Any, layers: dict[str, Any], truth: list[str]) -> None:
    assert kinds(net(forward, **layers)) == truth


def _modulated_projection(m: Any, x: torch.Tensor, style: torch.Tensor) -> torch.Tensor:
    x = m.k(x)
    y = m.f(x * m.h(style))
    return m.one(x * m.h(style)) + m.g(y * m.h(style))


def _modulated_once(m: Any, x: torch.Tensor, style: torch.Tensor) -> torch.Tensor:
    x = m.k(x)
    return m.one(x * m.h(style)) + m.g(m.f(x))


@pytest.mark.parametrize(
    ("forward", "truth"), [(_modulated_projection, ["projection"]), (_modulated_once, [])]
)
def test_products_count_against_products(forward: Any, truth: list[str]) -> None:
    images = torch.randn(1, 8, 16, 16), torch.randn(1, 8, 16, 16)
    assert kinds(net(forward, one=conv(kernel=1), k=conv()), *images) == truth
