"""Which padding, stride or kernel makes two arms meet: solved with the layers' size formulas.

A convolution or pooling gives ``floor((n + 2P - D(K - 1) - 1) / S) + 1``, in ceiling mode the
ceiling, less a window that would start in the padding behind; a transposed convolution
``(n - 1)S - 2P + D(K - 1) + Q + 1`` (Dumoulin & Visin 2016, relationships 6 and 13).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

from torchskip.graph import Node
from torchskip.lint.finding import Edit, Mend
from torchskip.lint.flow import Flow
from torchskip.lint.ops import name
from torchskip.lint.words import listed

__all__ = ["Layer", "layer_of", "layers_of", "project", "round_up", "solve"]

_LIMIT = 20000


@dataclass(frozen=True, slots=True)
class Layer:
    """The size formula of one layer, per spatial axis."""

    module: str
    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    extra: tuple[int, ...]
    transposed: bool = False
    fixed: bool = False
    ceil: bool = False
    pools: bool = False

    def size(self, n: int, axis: int) -> int:
        """Output size for `n` input pixels; 0 or less when nothing is left."""
        k, s, p, d = (self.kernel[axis], self.stride[axis], self.padding[axis], self.dilation[axis])
        if self.transposed:
            return (n - 1) * s - 2 * p + d * (k - 1) + self.extra[axis] + 1
        room = n + 2 * p - d * (k - 1) - 1
        if not self.ceil:
            return room // s + 1
        last = -(-room // s)  # a window that starts in the padding behind is left out
        return last + (last * s < n + p)


def layers_of(flow: Flow, start: int, end: int) -> tuple[Layer, ...] | None:
    """The layers that change sizes on the way; None when something else changes them."""
    found: list[Layer] = []
    before = flow.value(start).shape
    for node, value in flow.longest(start, end):
        after = flow.value(value).shape
        layer = layer_of(node, len(after) - 2)
        if layer is not None:
            found.append(layer)
        elif after[2:] != before[2:]:
            return None
        before = after
    return tuple(found)


def layer_of(node: Node, rank: int) -> Layer | None:
    """The size formula of a convolution or pooling over `rank` axes; None for other operations."""
    kind = name(node)
    if kind in {"convolution", "_convolution"}:
        weight = next((c for c in node.constants if c.argument == "weight"), None)
        if weight is None or len(weight.shape) < 3:
            return None
        kernel = weight.shape[2:]
        fixed = node.module_type not in _EDITABLE
    elif kind.startswith(("max_pool", "avg_pool")):
        kernel = _wide(node.argument("kernel_size"), rank)
        fixed = node.module_type not in _EDITABLE
    else:
        return None
    stride = node.argument("stride")
    return Layer(
        node.module,
        tuple(kernel),
        _wide(stride, rank) if stride not in ((), None) else tuple(kernel),
        _wide(node.argument("padding", 0), rank),
        _wide(node.argument("dilation", 1), rank),
        _wide(node.argument("output_padding", 0), rank),
        node.argument("transposed") is True,
        fixed,
        node.argument("ceil_mode") is True,
        "pool" in kind,
    )


_EDITABLE = frozenset(
    f"{kind}{n}d" for kind in ("Conv", "ConvTranspose", "MaxPool", "AvgPool") for n in (1, 2, 3)
)


def _wide(value: object, rank: int) -> tuple[int, ...]:
    if isinstance(value, int):
        return (value,) * rank
    if isinstance(value, tuple) and value:
        numbers = tuple(int(v) for v in value)
        return numbers if len(numbers) == rank else (numbers * rank)[:rank]
    return (0,) * rank


def solve(
    branch: tuple[Layer, ...], shortcut: tuple[Layer, ...], start: tuple[int, ...], most: int = 2
) -> tuple[Mend, ...]:
    """Changes of the branch's layers after which the arms meet, simplest first.

    A change that makes the arms meet for the neighbouring sizes too comes before one that
    fits this size alone. At most `most` are returned.
    """
    changed: list[tuple[tuple[int, int, int, int], tuple[Layer, ...]]] = []
    for count in range(1, min(len(branch), 3) + 1):
        for places in itertools.combinations(range(len(branch)), count):
            options = [list(_options(branch[i])) for i in places]
            total = 1
            for option in options:
                total *= len(option)
            if total > _LIMIT:
                continue
            for choice in itertools.product(*options):
                layers = list(branch)
                for place, layer in zip(places, choice, strict=True):
                    layers[place] = layer
                if not _meet(layers, shortcut, start):
                    continue
                good = sum(
                    _meet(layers, shortcut, tuple(n + step for n in start)) for step in (1, 2, 3, 5)
                )
                cost = sum(map(_cost, (branch[i] for i in places), choice))
                changed.append(
                    ((-good, count, cost, len(set(_settings(branch, layers)))), tuple(layers))
                )
        if changed and max(-rank[0] for rank, _ in changed) == 4:
            break
    changed.sort(key=lambda item: item[0])
    return tuple(_mend(branch, layers) for _, layers in changed[:most])


def project(
    branch: tuple[Layer, ...], shortcut: tuple[Layer, ...], start: tuple[int, ...]
) -> Mend | None:
    """The branch's stride for the shortcut's projection or pool, when the arms meet at any size."""
    stride = tuple(math.prod(layer.stride[axis] for layer in branch) for axis in range(len(start)))
    for place, layer in enumerate(shortcut):
        tiles = layer.pools and layer.kernel == layer.stride
        if layer.fixed or set(layer.padding) != {0} or not (tiles or set(layer.kernel) == {1}):
            continue
        kernel = stride if tiles else layer.kernel
        new = replace(layer, kernel=kernel, stride=stride)
        rest = (*shortcut[:place], new, *shortcut[place + 1 :])
        sizes = (tuple(n + step for n in start) for step in (0, 1, 2, 3, 5))
        if rest != shortcut and all(_meet(list(branch), rest, size) for size in sizes):
            return _mend(shortcut, rest)
    return None


def round_up(
    branch: tuple[Layer, ...], shortcut: tuple[Layer, ...], start: tuple[int, ...]
) -> Mend | None:
    """Pools of either arm in ceiling mode, when the arms then meet at any size."""
    for arm, other in ((shortcut, branch), (branch, shortcut)):
        pools = [layer for layer in arm if layer.pools and not layer.ceil and not layer.fixed]
        new = tuple(replace(layer, ceil=True) if layer in pools else layer for layer in arm)
        sizes = (tuple(n + step for n in start) for step in (0, 1, 2, 3, 5))
        if pools and all(_meet(list(new), other, size) for size in sizes):
            return Mend(
                f"set {listed(repr(layer.module) for layer in pools)}: ceil_mode=True",
                edits=tuple(Edit(layer.module, "ceil_mode", True) for layer in pools),
            )
    return None


def _options(layer: Layer) -> Iterator[Layer]:
    """Other settings of one layer: stride 1 or its own, any padding, an odd kernel."""
    if layer.fixed:
        return
    reach = max(d * (k - 1) for k, d in zip(layer.kernel, layer.dilation, strict=True))
    rank = len(layer.kernel)
    if layer.transposed:
        for padding, extra in itertools.product(range(reach + 1), range(max(layer.stride))):
            new = replace(layer, padding=(padding,) * rank, extra=(extra,) * rank)
            if new != layer:
                yield new
        return
    for stride in {layer.stride, (1,) * rank}:
        for padding in range(reach + 1):
            new = replace(layer, stride=stride, padding=(padding,) * rank)
            if new != layer:
                yield new
    if any(k % 2 == 0 for k in layer.kernel):
        kernel = tuple(k + 1 if k % 2 == 0 else k for k in layer.kernel)
        padding_ = tuple(d * (k - 1) // 2 for k, d in zip(kernel, layer.dilation, strict=True))
        for stride in {layer.stride, (1,) * rank}:
            yield replace(layer, kernel=kernel, stride=stride, padding=padding_)


def _meet(branch: list[Layer], shortcut: tuple[Layer, ...], start: tuple[int, ...]) -> bool:
    for axis, n in enumerate(start):
        a = b = n
        for layer in branch:
            a = layer.size(a, axis)
            if a < 1:
                return False
        for layer in shortcut:
            b = layer.size(b, axis)
        if a != b:
            return False
    return True


def _cost(old: Layer, new: Layer) -> int:
    return (
        (old.padding != new.padding)
        + 2 * (old.stride != new.stride)
        + 3 * (old.kernel != new.kernel)
        + (old.extra != new.extra)
    )


def _settings(branch: tuple[Layer, ...], layers: list[Layer]) -> Iterator[tuple[object, ...]]:
    for old, new in zip(branch, layers, strict=True):
        if old != new:
            yield (new.kernel, new.stride, new.padding, new.extra)


_NAMES = (
    ("kernel", "kernel_size"),
    ("stride", "stride"),
    ("padding", "padding"),
    ("extra", "output_padding"),
)


def _mend(branch: tuple[Layer, ...], layers: tuple[Layer, ...]) -> Mend:
    edits: list[Edit] = []
    words: list[str] = []
    for old, new in zip(branch, layers, strict=True):
        changes = [
            (setting, getattr(new, field))
            for field, setting in _NAMES
            if getattr(old, field) != getattr(new, field)
        ]
        edits += [Edit(new.module, setting, value) for setting, value in changes]
        if changes:
            settings = ", ".join(f"{s}={v[0] if len(set(v)) == 1 else v}" for s, v in changes)
            words.append(f"{new.module!r}: {settings}")
    return Mend("set " + listed(words), edits=tuple(edits))
