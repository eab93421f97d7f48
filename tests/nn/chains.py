"""Random branches for the sweeps, and oracles that do not use torchskip."""

from fractions import Fraction

import torch
from hypothesis import strategies as st
from torch import Tensor, nn

CONV = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
TRANSPOSED = {1: nn.ConvTranspose1d, 2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}
MAX = {1: nn.MaxPool1d, 2: nn.MaxPool2d, 3: nn.MaxPool3d}
AVG = {1: nn.AvgPool1d, 2: nn.AvgPool2d, 3: nn.AvgPool3d}
PAD = {1: nn.ConstantPad1d, 2: nn.ConstantPad2d, 3: nn.ConstantPad3d}
NORM = {1: nn.BatchNorm1d, 2: nn.BatchNorm2d, 3: nn.BatchNorm3d}


@st.composite
def layers(draw, spatial: int, kinds: tuple[str, ...]) -> tuple[str, dict[str, object]]:
    kind = draw(st.sampled_from(kinds))

    def each(low: int, high: int) -> tuple[int, ...]:
        return tuple(draw(st.integers(low, high)) for _ in range(spatial))

    if kind == "conv":
        return kind, {
            "kernel_size": each(1, 5),
            "stride": each(1, 3),
            "padding": each(0, 3),
            "dilation": each(1, 3),
        }
    if kind in ("max", "avg"):
        kernel = each(1, 4)
        padding = tuple(draw(st.integers(0, k // 2)) for k in kernel)
        return kind, {
            "kernel_size": kernel,
            "stride": each(1, 3),
            "padding": padding,
            "ceil_mode": draw(st.booleans()),
        }
    if kind == "transposed":
        stride = each(1, 3)
        kernel = tuple(s + draw(st.integers(0, 2)) for s in stride)
        return kind, {
            "kernel_size": kernel,
            "stride": stride,
            "padding": tuple(draw(st.integers(0, k // 2)) for k in kernel),
            "output_padding": tuple(draw(st.integers(0, s - 1)) for s in stride),
        }
    if kind == "upsample":
        return kind, {
            "scale_factor": float(draw(st.integers(2, 3))),
            "mode": draw(st.sampled_from(("nearest", "linear"))),
        }
    assert kind == "pad"
    return kind, {"padding": tuple(draw(st.integers(-1, 3)) for _ in range(2 * spatial))}


STRIDED = ("conv", "conv", "max", "avg", "pad")
ANY = (*STRIDED, "transposed", "upsample")


@st.composite
def chains(draw, kinds=ANY, spatial=None, most: int = 4) -> tuple[int, list]:
    d = draw(st.sampled_from((1, 2, 2, 2, 3))) if spatial is None else spatial
    return d, draw(st.lists(layers(d, kinds), min_size=1, max_size=most))


def build(d: int, chain: list, channels: tuple[int, int] = (2, 3), norm: bool = True):
    """The chain as modules; channels change at the first convolution."""
    # An upsampling layer alone fits any number of axes; the empty padding names it.
    built: list[nn.Module] = [PAD[d](0, 0.0)]
    width = channels[0]
    for kind, options in chain:
        if kind in ("conv", "transposed"):
            table = CONV if kind == "conv" else TRANSPOSED
            built.append(table[d](width, channels[1], **options))
            width = channels[1]
            if norm:
                built += [NORM[d](width), nn.ReLU(inplace=True)]
        elif kind == "max":
            built.append(MAX[d](**options))
        elif kind == "avg":
            built.append(AVG[d](**options))
        elif kind == "upsample":
            mode = options["mode"]
            if mode == "linear":
                mode = {1: "linear", 2: "bilinear", 3: "trilinear"}[d]
            built.append(nn.Upsample(scale_factor=options["scale_factor"], mode=mode))
        else:
            built.append(PAD[d](options["padding"], 0.0))
    return built


def affine(d: int, chain: list) -> list[tuple[Fraction, Fraction]]:
    """Stride and centre per axis, composed by hand from each layer's own formula."""
    result = []
    for axis in range(d):
        stride, centre = Fraction(1), Fraction(0)
        for kind, o in chain:
            if kind in ("conv", "max", "avg"):
                reach = (o["kernel_size"][axis] - 1) * o.get("dilation", (1,) * d)[axis]
                s, c = Fraction(o["stride"][axis]), Fraction(reach, 2) - o["padding"][axis]
            elif kind == "transposed":
                s = Fraction(1, o["stride"][axis])
                c = (o["padding"][axis] - Fraction(o["kernel_size"][axis] - 1, 2)) * s
            elif kind == "upsample":
                s = 1 / Fraction(o["scale_factor"])
                c = (s - 1) / 2
            else:
                s, c = Fraction(1), Fraction(-o["padding"][2 * (d - 1 - axis)])
            centre += stride * c
            stride *= s
        result.append((stride, centre))
    return result


def growth(chain: list) -> int:
    """How many times longer than the input the layers can make an axis."""
    factor = 1
    for kind, options in chain:
        if kind == "transposed":
            factor *= max(options["stride"])
        elif kind == "upsample":
            factor *= int(options["scale_factor"])
    return factor


def size_of(module: nn.Module, channels: int, d: int, n: int):
    """Output size along every axis by running torch, or None when torch refuses."""
    try:
        with torch.no_grad():
            return tuple(module(torch.zeros(1, channels, *(n,) * d)).shape[2:])
    except (RuntimeError, TypeError):  # on meta, torch 2.13 refuses an empty map by TypeError
        return None


def uniform(module: nn.Module) -> nn.Module:
    """Every weight one, every bias zero: the centroid is then the centre of what is seen."""
    with torch.no_grad():
        for name, p in module.named_parameters():
            p.fill_(0.0 if name.endswith("bias") else 1.0)
    return module.double().eval()


def centroids(f, n: int) -> Tensor:
    """Centroid of |d y_i / d x| for every output i of a linear 1-D map of n pixels.

    The gradient of a linear map is its matrix: row j is the answer to an impulse at pixel j.
    NaN where an output sees nothing.
    """
    with torch.no_grad():
        matrix = f(torch.eye(n, dtype=torch.float64)[:, None]).sum(1).abs()
    grid = torch.arange(n, dtype=torch.float64)
    return (matrix * grid[:, None]).sum(0) / matrix.sum(0)
