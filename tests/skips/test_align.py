"""The distance of two arms' centres against centroids of real gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from tests.skips.nets import conv, net, skips_of
from torch import nn

SIZE = 32


def _centroid(arm: Callable[[torch.Tensor], torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    """Return which output positions were asked and where their gradients are centred."""
    x = torch.ones(1, 8, SIZE, SIZE, dtype=torch.double, requires_grad=True)
    y = arm(x)
    first = y.shape[-1] // 4
    last = min(first + 9, y.shape[-1] - first)
    grid = torch.arange(SIZE, dtype=torch.double)
    centres = []
    for i in range(first, last):
        (g,) = torch.autograd.grad(y[0, :, i, i].sum(), x, retain_graph=True)
        weight = g.abs().sum((0, 1))
        centres.append(torch.stack([(weight.sum(1) * grid).sum(), (weight.sum(0) * grid).sum()]))
        centres[-1] /= weight.sum()
    return torch.arange(first, last), torch.stack(centres)


def _ones(model: nn.Module) -> nn.Module:
    for p in model.parameters():
        nn.init.ones_(p)
    return model.double()


def _box(kernel: int, stride: int, padding: int, dilation: int = 1) -> nn.Conv2d:
    return nn.Conv2d(8, 8, kernel, stride, padding, dilation)


_up = nn.ConvTranspose2d(8, 8, 2, 2)
ARMS: dict[str, tuple[Callable[[Any, Any], Any], Callable[[Any, Any], Any], dict[str, nn.Module]]]
ARMS = {
    "strided 1x1": (
        lambda m, x: m.p(x),
        lambda m, x: m.g(m.f(x)),
        {"p": _box(1, 2, 0), "f": _box(3, 2, 1)},
    ),
    "resnet-d": (
        lambda m, x: m.p(F.avg_pool2d(x, 2)),
        lambda m, x: m.g(m.f(x)),
        {"p": _box(1, 1, 0), "f": _box(3, 2, 1)},
    ),
    "even kernel": (lambda m, x: x[:, :, 1:, 1:], lambda m, x: m.f(x), {"f": _box(4, 1, 1)}),
    "dilated": (lambda m, x: x, lambda m, x: m.f(x), {"f": _box(3, 1, 3, 2)}),
    "crop": (lambda m, x: x[..., 3:-1, 2:-2], lambda m, x: m.f(x), {"f": _box(5, 1, 0)}),
    "padding": (lambda m, x: F.pad(x, (2, 0, 2, 0)), lambda m, x: m.f(x), {"f": _box(3, 1, 2)}),
    "pool and transposed": (
        lambda m, x: x,
        lambda m, x: m.up(m.f(F.avg_pool2d(x, 2))),
        {"up": _up},
    ),
    "strided and nearest": (
        lambda m, x: x,
        lambda m, x: F.interpolate(m.f(x), scale_factor=2),
        {"f": _box(3, 2, 1)},
    ),
    "pool and bilinear": (
        lambda m, x: x,
        lambda m, x: F.interpolate(m.f(F.avg_pool2d(x, 4)), scale_factor=4, mode="bilinear"),
        {},
    ),
    "unshuffled": (
        lambda m, x: x,
        lambda m, x: F.pixel_shuffle(m.f(F.pixel_unshuffle(x, 2)), 2),
        {"f": conv(32, 32)},
    ),
    "channels last": (
        lambda m, x: x,
        lambda m, x: m.w(m.f(x).permute(0, 2, 3, 1)).permute(0, 3, 1, 2),
        {"f": _box(4, 1, 2), "w": nn.Linear(8, 8)},
    ),
}


@pytest.mark.parametrize("name", ARMS)
def test_distance_is_that_of_the_gradients_centres(name: str) -> None:
    short, branch, layers = ARMS[name]

    def joined(m: Any, x: torch.Tensor) -> torch.Tensor:
        a, b = short(m, x), branch(m, x)
        n = min(a.shape[-1], b.shape[-1])
        return a[..., :n, :n] + b[..., :n, :n]

    model = _ones(net(joined, **layers))
    _, (skip,) = skips_of(model, torch.ones(1, 8, SIZE, SIZE, dtype=torch.double))
    assert skip.alignment is not None
    places, one = _centroid(lambda x: short(model, x))
    again, other = _centroid(lambda x: branch(model, x))
    common = [(i, j) for i, p in enumerate(places) for j, q in enumerate(again) if p == q]
    gaps = torch.stack([one[i] - other[j] for i, j in common])
    # Where positions take turns inside a window (a factor of 2 or 4), their mean counts.
    measured = gaps[: len(gaps) // 4 * 4].mean(0).abs()
    assert skip.alignment == pytest.approx(measured.tolist(), abs=0.01)


def test_resnet50d_is_half_a_pixel_off_where_it_strides() -> None:
    import timm

    graph, skips = skips_of(timm.create_model("resnet50d").eval(), torch.zeros(1, 3, 64, 64))
    off = [graph.nodes[s.join].module for s in skips if s.alignment == (0.5, 0.5)]
    assert off == ["layer2.0", "layer3.0", "layer4.0"]
    assert all(s.alignment == (0.0, 0.0) for s in skips if graph.nodes[s.join].module not in off)


def test_different_scales_have_no_distance() -> None:
    model = net(lambda m, x: x + F.interpolate(m.f(x)[:, :, ::2, ::2], size=16, mode="bilinear"))
    _, (skip,) = skips_of(model)
    assert skip.alignment == (0.5, 0.5)
    stretched = net(
        lambda m, x: (
            x + F.interpolate(m.f(F.max_pool2d(x, 2)), size=16, mode="bilinear", align_corners=True)
        )
    )
    _, (skip,) = skips_of(stretched)
    assert skip.alignment is None
    assert skip.notes == (
        "the arms sample at different scales: 1 and 14/15, up to 0.5 pixels apart",
    )
    assert skip.drift == 0.5


def test_attention_has_no_centre() -> None:
    def mixed(m: Any, x: torch.Tensor) -> torch.Tensor:
        t = x.flatten(2).transpose(1, 2)
        y = F.scaled_dot_product_attention(t, t, t)
        return x + m.f(y.transpose(1, 2).reshape(x.shape))

    _, (skip,) = skips_of(net(mixed))
    assert skip.alignment is None
