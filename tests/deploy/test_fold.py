"""The algebra of linear maps against the maps run one after another."""

import itertools

import pytest
import torch
from torch.nn import functional as F

from torchskip.deploy.fold import (
    Affine,
    Kernel,
    Unfoldable,
    after,
    before,
    diagonal,
    following,
    parallel,
)


def run(kernel, x):
    if kernel.weight.dim() == 2:
        return F.linear(x, kernel.weight, kernel.bias)
    return torch.convolution(
        x, kernel.weight, kernel.bias, kernel.stride, kernel.padding, kernel.dilation,
        kernel.transposed, kernel.output_padding, kernel.groups,
    )  # fmt: skip


def make(spatial, k, stride=1, padding=0, dilation=1, groups=1, transposed=False, bias=True, out=8):
    shape = (8, out // groups) if transposed else (out, 8 // groups)
    weight = torch.randn(*shape, *(k,) * spatial, dtype=torch.double)
    rows = torch.randn(out, dtype=torch.double) if bias else None
    sizes = [(n,) * spatial for n in (stride, padding, dilation)]
    return Kernel(weight, rows, *sizes, groups, transposed, (0,) * spatial)


def affine(channels=8):
    return Affine(torch.randn(channels).double(), torch.randn(channels).double())


def scaled(a, x):
    size = (-1, *(1,) * (x.dim() - 2))
    return x * a.scale.view(size) + a.shift.view(size)


@pytest.mark.parametrize(
    ("spatial", "groups", "transposed", "bias"),
    list(itertools.product((0, 1, 2, 3), (1, 2, 8), (False, True), (False, True))),
)
def test_after_and_before(spatial, groups, transposed, bias):
    if spatial == 0 and (groups > 1 or transposed):
        return
    kernel = make(spatial, 2, groups=groups, transposed=transposed, bias=bias)
    x, a = torch.randn(2, 8, *(5,) * spatial).double(), affine()
    torch.testing.assert_close(run(after(kernel, a), x), scaled(a, run(kernel, x)))
    if not transposed:
        torch.testing.assert_close(run(before(kernel, a), x), run(kernel, scaled(a, x)))
    else:
        with pytest.raises(Unfoldable, match="transposed"):
            before(kernel, a)


def test_before_a_padded_convolution_is_refused_unless_nothing_moves():
    kernel, a = make(2, 3, padding=1), affine()
    with pytest.raises(Unfoldable, match="pads with zeros"):
        before(kernel, a)
    still = Affine(a.scale, a.shift * 0)
    x = torch.randn(1, 8, 5, 5).double()
    torch.testing.assert_close(run(before(kernel, still), x), run(kernel, scaled(still, x)))


@pytest.mark.parametrize("groups", [1, 2, 8])
@pytest.mark.parametrize(
    ("large", "small"),
    [
        ({"k": 3, "padding": 1}, {"k": 1}),
        ({"k": 5, "padding": 2}, {"k": 3, "padding": 1}),
        ({"k": 3, "padding": 2, "dilation": 2}, {"k": 1}),
        ({"k": 5, "padding": 4, "dilation": 2}, {"k": 3, "padding": 2, "dilation": 2}),
        ({"k": 3, "padding": 1, "stride": 2}, {"k": 1, "stride": 2}),
        ({"k": 3, "padding": 1}, {"k": 3, "padding": 1, "bias": False}),
    ],
)
def test_parallel(large, small, groups):
    a, b = make(2, **large, groups=groups), make(2, **small, groups=groups)
    for x in (torch.randn(2, 8, 9, 9).double(), torch.randn(1, 8, 8, 11).double()):
        both = run(a, x) + run(b, x)
        torch.testing.assert_close(run(parallel(a, b), x), both)
        torch.testing.assert_close(run(parallel(b, a), x), both)


@pytest.mark.parametrize(
    ("other", "why"),
    [
        ({"k": 3, "padding": 1, "stride": 2}, "strides"),
        ({"k": 3, "padding": 1, "groups": 2}, "groups"),
        ({"k": 3, "padding": 2, "dilation": 2}, "taps"),
        ({"k": 2, "padding": 1}, "centred|taps"),
    ],
)
def test_parallel_refuses_what_is_no_one_kernel(other, why):
    with pytest.raises(Unfoldable, match=why):
        parallel(make(2, 3, padding=1), make(2, **other))


@pytest.mark.parametrize("groups", [1, 2, 8])
def test_diagonal(groups):
    kernel, a = make(2, 3, padding=1, groups=groups), affine()
    x = torch.randn(2, 8, 6, 7).double()
    eye = diagonal(kernel, a)
    torch.testing.assert_close(run(eye, x), scaled(a, x))
    torch.testing.assert_close(run(parallel(kernel, eye), x), run(kernel, x) + scaled(a, x))
    with pytest.raises(Unfoldable, match="strided"):
        diagonal(make(2, 3, padding=1, stride=2), a)
    with pytest.raises(Unfoldable, match="changes the channels"):
        diagonal(make(2, 3, padding=1, out=16), a)


@pytest.mark.parametrize("spatial", [0, 2])
@pytest.mark.parametrize("inner_bias", [False, True])
@pytest.mark.parametrize("outer_bias", [False, True])
def test_two_pointwise_layers_are_one(spatial, inner_bias, outer_bias):
    inner = make(spatial, 1, out=8, bias=inner_bias)
    outer = make(spatial, 1, out=4, bias=outer_bias)
    x = torch.randn(2, 8, *(5,) * spatial, dtype=torch.double)
    torch.testing.assert_close(run(following(outer, inner), x), run(outer, run(inner, x)))
