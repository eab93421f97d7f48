"""Operators in forms that oneDNN's graph interface knows: the same function, written otherwise.

PyTorch records pooling with its indices, and means over height and width; oneDNN pools without
indices, and takes a mean as a pool with one window.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from torchskip.deploy.plan import Step

__all__ = ["OTHER_FORMS", "gelu"]


class Graph(Protocol):
    """What these functions write to."""

    shapes: Mapping[str, tuple[int, ...]]
    read: dict[str, set[int]]
    lone_arithmetic: bool

    def call(self, name: str, *args: Any) -> Any:
        """Call an operator; defaults are filled in."""

    def node(self, name: str, inputs: list[Any]) -> Any:
        """Call an operator, all its arguments given."""

    def resolve(self, tree: Any) -> Any:
        """Return arguments with values in the place of references."""


def _max_pool(to: Graph, step: Step) -> Any:
    if to.read[step.name] - {0}:
        return None
    x, size, stride, *rest = _filled(to.resolve(step.args), (None, None, [], 0, 1, False))
    return [to.call("aten::max_pool2d", x, size, stride or size, *rest)]


def _avg_pool(to: Graph, step: Step) -> Any:
    given = _filled(to.resolve(step.args), (None, None, [], 0, False, True, None))
    x, size, stride, *rest = given
    return to.call("aten::avg_pool2d", x, size, stride or size, *rest)


def _filled(given: Sequence[Any], defaults: Sequence[Any]) -> list[Any]:
    return [*given, *defaults[len(given) :]]


def _adaptive_pool(to: Graph, step: Step) -> Any:
    x, size = step.args
    shape, size = to.shapes[x.name], to.resolve(size)
    if len(shape) != 4 or any(n == 0 or n % out for n, out in zip(shape[2:], size, strict=True)):
        return None
    window = [n // out for n, out in zip(shape[2:], size, strict=True)]
    return to.call("aten::avg_pool2d", to.resolve(x), window, window)


def _mean(to: Graph, step: Step) -> Any:
    x, axes, *keep = step.args
    shape = to.shapes[x.name]
    spatial = sorted(a % len(shape) for a in axes or ()) == [2, 3] and len(shape) == 4
    if not spatial or step.kwargs or 0 in shape:
        return None
    y = to.call("aten::avg_pool2d", to.resolve(x), list(shape[2:]), list(shape[2:]))
    return y if keep and keep[0] else to.call("aten::flatten", y, 1)


def _layer_norm(to: Graph, step: Step) -> Any:
    if to.read[step.name] - {0}:
        return None
    return [to.call("aten::layer_norm", *to.resolve(step.args))]


def _add(to: Graph, step: Step) -> Any:
    a, b = to.resolve(step.args)
    factor = step.kwargs.get("alpha", 1)
    if not to.lone_arithmetic:
        return to.node("aten::sub", [a, b, -factor])
    return to.call("aten::add", a, b if factor == 1 else to.call("aten::mul", b, factor))


def _mul(to: Graph, step: Step) -> Any:
    if not to.lone_arithmetic:
        return to.call("aten::multiply", *to.resolve(step.args))  # the same by another name
    # A gate ends its group: else the image that it scales goes through memory for itself.
    gates = [_gates(to, *pair) for pair in (step.args, step.args[::-1])]
    if not any(gates):
        return None
    values = zip(to.resolve(step.args), gates, strict=True)
    return to.call("aten::mul", *(to.call("aten::alias", v) if gate else v for v, gate in values))


def _gates(to: Graph, value: Any, other: Any) -> bool:
    """Whether `value` has one pixel per channel where `other` has an image."""
    small, large = (to.shapes.get(getattr(v, "name", ""), ()) for v in (value, other))
    return len(small) == 4 and small[:2] == large[:2] and small[2:] == (1, 1) != large[2:]


def gelu(to: Graph, y: Any, approximate: str) -> Any:
    """Write gelu, exact or by its tanh."""
    if approximate == "none":
        return to.call("aten::gelu", y)
    # PyTorch does not tell oneDNN of this argument: the exact one would be computed.
    cube = to.call("aten::mul", to.call("aten::mul", y, y), y)
    inner = to.call("aten::add", y, to.call("aten::mul", cube, 0.044715))
    bent = to.call("aten::tanh", to.call("aten::mul", inner, math.sqrt(2 / math.pi)))
    half = to.call("aten::mul", y, 0.5)
    return to.call("aten::mul", half, to.call("aten::add", bent, 1.0))


def _gelu(to: Graph, step: Step) -> Any:
    return gelu(to, to.resolve(step.args[0]), step.kwargs.get("approximate", "none"))


def _elu(to: Graph, step: Step) -> Any:
    x, *factors = to.resolve(step.args)
    alpha, scale, inner = (*factors, 1.0, 1.0, 1.0)[:3] if factors else (1.0, 1.0, 1.0)
    return to.call("aten::elu", x, alpha) if scale == inner == 1 else None


# Each returns None where the recorded form has to stay.
OTHER_FORMS: dict[str, Callable[[Graph, Step], Any]] = {
    "aten.max_pool2d_with_indices.default": _max_pool,
    "aten.avg_pool2d.default": _avg_pool,
    "aten._adaptive_avg_pool2d.default": _adaptive_pool,
    "aten.mean.dim": _mean,
    "aten.native_layer_norm.default": _layer_norm,
    "aten.add.Tensor": _add,
    "aten.mul.Tensor": _mul,
    "aten.gelu.default": _gelu,
    "aten.elu.default": _elu,
}
