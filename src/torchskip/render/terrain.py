"""The geometry of a network as a landscape: resolution is height, channels are shade."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from torchskip.graph import Graph, Node, SkipPath
from torchskip.render.outline import Outline

__all__ = ["SHADES", "Ground", "terrain"]

SHADES = 6  # as many as the eye tells apart in one hue

# Operations whose result is laid out batch, channels, then space, whatever came in.
_CHANNELS_FIRST = (
    "convolution", "conv1d", "conv2d", "conv3d", "conv_transpose", "batch_norm", "group_norm",
    "instance_norm", "pool", "upsample", "pixel_shuffle", "grid_sampler", "interpolate",
)  # fmt: skip
# Operations over the last axis: tokens before it, channels last.
_CHANNELS_LAST = frozenset(
    ("addmm", "mm", "linear", "layer_norm", "native_layer_norm", "rms_norm", "_fused_rms_norm")
)


@dataclass(frozen=True, slots=True)
class Ground:
    """The landscape under one step: height 0 to 1, shade 0 to SHADES - 1, and its label."""

    height: float
    shade: int
    label: str


@dataclass(frozen=True, slots=True)
class _Extent:
    """Spatial extent of a value: side length in cells, channels and label."""

    side: float
    channels: int
    label: str


def terrain(graph: Graph, outline: Outline, skips: Sequence[SkipPath] = ()) -> tuple[Ground, ...]:
    """Return the ground under every step of the outline.

    The height is the logarithm of the side length (the geometric mean of the spatial sizes),
    from one level below the graph's smallest map to its largest. Tokens count as the image they
    stand for, windows and heads moved into the batch axis are counted back. Side ways make no
    steps: a gate's branch stays on the level of what it gates, and a shortcut that runs before
    the branch on the level of the split.
    """
    extents = _extents(graph)
    level: list[_Extent] = []
    for step in outline.steps:
        outputs = [graph.nodes[node].outputs[0] for node in step.nodes if graph.nodes[node].outputs]
        if outputs:
            level.append(extents[outputs[-1]])
        else:
            level.append(level[-1] if level else _Extent(1.0, 1, ""))
    for skip in skips:
        top = level[outline.step_of[skip.join]] if skip.kind == "gate" else extents[skip.split]
        for index in _side_way(outline, skip):
            if level[index].side < top.side:
                level[index] = top
    sides = [math.log2(max(extent.side, 1.0)) for extent in level]
    sides += [math.log2(max(extents[i].side, 1.0)) for i in graph.inputs]
    highest = max(sides, default=0.0)
    lowest = min((side for side in sides if side > 0.5), default=0.0) - 1
    shades = [math.log2(max(extent.channels, 1)) for extent in level]
    low, high = min(shades, default=0), max(shades, default=0)
    return tuple(
        Ground(
            height=round(max(side - lowest, 0.0) / (highest - lowest), 4) if side > 0.5 else 0.0,
            shade=round((shade - low) / (high - low) * (SHADES - 1)) if high > low else 0,
            label=extent.label,
        )
        for side, shade, extent in zip(sides, shades, level, strict=False)
    )


def _side_way(outline: Outline, skip: SkipPath) -> Iterator[int]:
    first = min(
        (arm.nodes[0] for arm in skip.arms if arm.role == "branch" and arm.nodes), default=0
    )
    for arm in skip.arms:
        for node in arm.nodes:
            if skip.kind == "gate" or (arm.role == "shortcut" and node < first):
                yield outline.step_of[node]


def _extents(graph: Graph) -> dict[int, _Extent]:
    first = graph.values[graph.inputs[0]].shape if graph.inputs else ()
    axes = max(len(first) - 2, 1)
    batch = first[0] if first else 1
    extents: dict[int, _Extent] = {}
    for value in graph.values:
        if value.producer is None:
            extents[value.index] = _image(value.shape)
            continue
        node = graph.nodes[value.producer]
        known = [extents[i] for i in node.inputs if i in extents]
        before = max(known, key=lambda extent: extent.side, default=_Extent(1.0, 1, ""))
        extents[value.index] = _after(graph, node, value.shape, before, batch, axes)
    return extents


def _after(
    graph: Graph, node: Node, sizes: tuple[int, ...], before: _Extent, batch: int, axes: int
) -> _Extent:
    name = node.op.split(".")[1] if "." in node.op else node.op
    if any(part in name for part in _CHANNELS_FIRST) and len(sizes) >= 3:
        return _image(sizes)
    if len(sizes) < 2 or (len(sizes) == 2 and sizes[0] <= batch):
        return _Extent(1.0, sizes[-1] if sizes else 1, "")
    if name in _CHANNELS_LAST:
        tokens = math.prod(sizes[:-1]) / max(batch, 1)
        side = tokens ** (1 / axes)
        # A class token beside an image's patches changes nothing a reader would want to see.
        label = before.label if round(before.side) == round(side) else _square(tokens, axes)
        return _Extent(side, sizes[-1], label)
    inputs = [graph.values[i].shape for i in node.inputs]
    if name.strip("_") == "cat" and all(s[2:] == sizes[2:] for s in inputs):
        return _Extent(before.side, sizes[1], before.label)
    return before


def _image(sizes: tuple[int, ...]) -> _Extent:
    space = sizes[2:]
    if not space:
        return _Extent(1.0, sizes[-1] if sizes else 1, "")
    side = float(math.prod(space)) ** (1 / len(space))
    return _Extent(side, sizes[1], "×".join(map(str, space)))


def _square(tokens: float, axes: int) -> str:
    side = round(tokens ** (1 / axes))
    return "×".join([str(side)] * axes) if side**axes == tokens else f"{tokens:g} tokens"
