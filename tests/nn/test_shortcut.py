"""The derived shortcut has the branch's size for every input and lies on its pixels."""

import chains as c
import pytest
import torch
from hypothesis import HealthCheck, assume, given, settings
from torch import nn

from torchskip.nn import Skip

default = settings(
    max_examples=200,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow],
)
sweep = settings(default, max_examples=2000, derandomize=False)


EVERY = tuple(range(1, 97))
SOME = {1: EVERY, 2: (*range(1, 25), 31, 48, 63, 64, 65, 95, 96), 3: (*range(1, 13), 17, 24)}
FULL = {1: EVERY, 2: EVERY, 3: tuple(range(1, 29))}


def accepted(branch: list[nn.Module], d: int, sizes=SOME) -> dict[int, tuple[int, ...]]:
    """Output size by torch itself for every input size that gives at least one pixel."""
    plain = nn.Sequential(*branch).eval()
    found = {n: c.size_of(plain, 2, d, n) for n in sizes[d]}
    return {n: size for n, size in found.items() if size is not None and min(size) >= 1}


def check_sizes(chain, keep="branch", sizes=SOME) -> None:
    """Compare every size with torch's; on meta where upsampled maps would fill the memory."""
    d, spec = chain
    device = "cpu" if (max(sizes[d]) * c.growth(spec)) ** d < 2**14 else "meta"
    with torch.device(device):
        branch = c.build(d, spec)
        seen = accepted(branch, d, sizes)
        assume(seen)
        skip = Skip(*branch, keep=keep, in_channels=2).eval()
    for n, size in seen.items():
        x = torch.zeros(1, 2, *(n,) * d, device=device)
        with torch.no_grad():
            if keep == "branch":
                assert tuple(skip.shortcut(x).shape[2:]) == size, (n, spec)
            else:
                assert skip(x).shape == x.shape, (n, spec)


@default
@given(c.chains())
def test_the_size_is_exact(chain):
    check_sizes(chain)


@default
@given(c.chains(most=3))
def test_keep_input_gives_the_inputs_size(chain):
    check_sizes(chain, keep="input")


@pytest.mark.slow
@pytest.mark.timeout(3600)
@sweep
@given(c.chains(most=5))
def test_the_size_is_exact_sweep(chain):
    check_sizes(chain, sizes=FULL)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@sweep
@given(c.chains(most=4))
def test_keep_input_gives_the_inputs_size_sweep(chain):
    check_sizes(chain, keep="input", sizes=FULL)


@default
@given(c.chains())
def test_the_geometry_is_the_composition_of_the_layers(chain):
    d, spec = chain
    branch = c.build(d, spec)
    assume(accepted(branch, d))
    found = Skip(*branch, in_channels=2).probe
    assert [(g.stride, g.centre) for g in found.geometry] == c.affine(d, spec)


def check_centroids(chain) -> None:
    """Away from borders both arms look at the same pixels, measured by gradients."""
    _, spec = chain
    spec = [("avg", o) if kind == "max" else (kind, o) for kind, o in spec]
    branch = nn.Sequential(*c.build(1, spec, (1, 1), norm=False))
    n = 120
    assume(c.size_of(branch, 1, 1, n) is not None)
    skip = c.uniform(Skip(branch, in_channels=1))
    if skip.probe.keeps_size:
        assert type(skip.shortcut) is nn.Identity
        return
    ours, theirs = c.centroids(skip.shortcut, n), c.centroids(skip.branch, n)
    (geometry,) = skip.probe.geometry
    reach = float(geometry.extent) / 2 + 4 * max(1.0, float(geometry.stride))
    at = torch.tensor([float(geometry.centre_of(i)) for i in range(len(ours))])
    inside = (at > reach) & (at < n - 1 - reach)
    phases = geometry.stride.denominator
    assume(inside.sum() >= 2 * phases)
    assert (ours - at).abs()[inside].max() <= 0.01
    if phases == 1:
        assert (ours - theirs).abs()[inside].max() <= 0.01
    else:  # an upsampling layer repeats pixels: its centre is the mean over the repeats
        means = (ours - theirs)[inside].unfold(0, phases, phases).mean(1)
        assert means.abs().max() <= 0.01


@default
@given(c.chains(kinds=c.STRIDED, spatial=1))
def test_the_arms_are_aligned_by_gradient(chain):
    check_centroids(chain)


@default
@given(c.chains(kinds=("transposed", "upsample", "pad"), spatial=1, most=2))
def test_upsampling_arms_are_aligned_by_gradient(chain):
    check_centroids(chain)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@sweep
@given(c.chains(kinds=c.STRIDED, spatial=1, most=5))
def test_the_arms_are_aligned_by_gradient_sweep(chain):
    check_centroids(chain)


def check_restored(chain) -> None:
    _, spec = chain
    spec = [("avg", o) if kind == "max" else (kind, o) for kind, o in spec]
    branch = nn.Sequential(*c.build(1, spec, (1, 1), norm=False))
    for n in (120, 121):
        size = c.size_of(branch.float(), 1, 1, n)
        assume(size is not None)
        skip = c.uniform(Skip(branch, keep="input", in_channels=1))
        (g,) = skip.probe.geometry

        def restored(x, skip=skip):
            y = skip.branch(x)
            return y if skip.restore is None else skip.restore(y, x.shape[2:])

        seen = c.centroids(restored, n)
        assert len(seen) == n
        reach = float(g.extent) / 2 + 4 * max(1.0, float(g.stride))
        pixel = torch.arange(n)
        last = float(g.centre_of(size[0] - 1))
        inside = (pixel > reach + max(0.0, float(g.centre))) & (pixel < min(n, last) - reach)
        assume(inside.sum() >= 4)
        error = (seen - pixel)[inside]
        if g.stride.numerator == g.stride:  # no upsampling inside
            assert error.abs().max() <= 0.01


@default
@given(c.chains(kinds=c.STRIDED, spatial=1, most=3))
def test_keep_input_is_centred_on_the_output_pixel(chain):
    check_restored(chain)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@sweep
@given(c.chains(kinds=c.STRIDED, spatial=1, most=5))
def test_keep_input_is_centred_on_the_output_pixel_sweep(chain):
    check_restored(chain)


@pytest.mark.parametrize(
    ("branch", "centre"),
    [
        ((nn.ConstantPad1d((4, 0), 0.0), nn.Conv1d(2, 2, 5)), -2),  # causal, as in a TCN
        ((nn.ConstantPad1d((1, 2), 0.0), nn.Conv1d(2, 2, 4)), 0.5),  # "same" of an even kernel
        ((nn.Upsample(scale_factor=2), nn.Conv1d(2, 2, 3, stride=2, padding=1)), -0.25),
    ],
)
def test_an_equal_size_is_a_true_identity_even_off_centre(branch, centre):
    skip = Skip(*branch)
    assert [float(g.centre) for g in skip.probe.geometry] == [centre]
    x = torch.randn(2, 2, 17)
    assert type(skip.shortcut) is nn.Identity
    assert torch.equal(skip(x), x + nn.Sequential(*branch)(x))
