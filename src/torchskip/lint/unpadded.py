"""Ways down and up again on which convolutions without padding shrink the map."""

from __future__ import annotations

from dataclasses import replace

from torchskip.lint.flow import Flow
from torchskip.lint.solve import Layer, layer_of

__all__ = ["shrinking"]


def shrinking(flow: Flow, start: int, end: int, target: tuple[int, ...]) -> tuple[Layer, ...]:
    """The layers of a way as they keep the map's size, if the way then arrives at the target.

    Empty where padding them all is not what brings it there. An upsampling multiplies sizes.
    """
    sizes = flow.value(start).shape[2:]
    before = sizes
    mended: list[Layer] = []
    for node, value in flow.longest(start, end):
        after = flow.value(value).shape[2:]
        layer = layer_of(node, len(after))
        if len(after) != len(sizes) or (layer and len(layer.kernel) != len(sizes)):
            return ()
        if layer is not None:
            kept = _kept(layer)
            if kept != layer:
                mended.append(kept)
            sizes = tuple(kept.size(n, axis) for axis, n in enumerate(sizes))
        elif after != before:
            if any(not b or a % b for a, b in zip(after, before, strict=True)):
                return ()
            sizes = tuple(n * a // b for n, a, b in zip(sizes, after, before, strict=True))
        before = after
    return tuple(mended) if sizes == target else ()


def _kept(layer: Layer) -> Layer:
    """A convolution of stride one, padded so that it keeps the size where it shrinks it."""
    reach = tuple(d * (k - 1) for k, d in zip(layer.kernel, layer.dilation, strict=True))
    plain = not layer.transposed and not layer.pools and set(layer.stride) == {1}
    shrinks = all(2 * p <= r for p, r in zip(layer.padding, reach, strict=True))
    if not plain or not shrinks or any(r % 2 for r in reach):
        return layer
    return replace(layer, padding=tuple(r // 2 for r in reach))
