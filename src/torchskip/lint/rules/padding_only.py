"""Some outputs of a branch see nothing but padding.

## What it does
Follows, along the branch of every join and in failed models too, which cells of a map look at
least at one pixel of the branch's input, and counts those that do not, behind every layer that
pads further than its kernel reaches, by itself or by an `F.pad` in front of it.

## Why is this bad
With a padding larger than the kernel reaches, the outermost windows hold zeros alone. These cells
are constants: they cost time, widen the map, and shift where the rest lies. In the tutorial's
branch, 40 of 121 cells are such.

## Example

    nn.Conv2d(3, 6, kernel_size=2, stride=2, padding=2)

## Use instead

    nn.Conv2d(3, 6, kernel_size=2, stride=2, padding=0)

## References
Dumoulin & Visin, *A guide to convolution arithmetic for deep learning*, 2016, section 2.2;
xgastaldi/shake-shake#3.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from operator import add

from torchskip.graph import Node
from torchskip.lint.evidence import Evidence
from torchskip.lint.finding import Finding, Mend
from torchskip.lint.flow import Flow
from torchskip.lint.joins import joins
from torchskip.lint.ops import name
from torchskip.lint.rule import Rule
from torchskip.lint.solve import Layer, layer_of
from torchskip.lint.words import called, shape

RULE = Rule("TS206", "padding-only", "warning", __doc__)


@dataclass(frozen=True, slots=True)
class _Step:
    """A layer, and what the forward adds in front of its map and behind, along each axis."""

    node: Node
    layer: Layer
    before: tuple[int, ...]
    after: tuple[int, ...]


def check(evidence: Evidence) -> Iterator[Finding]:
    """Branches with cells that look at no pixel."""
    run = evidence.eval
    flow = run.flow
    if not any(_pads(flow, node) for node in run.graph.nodes):
        return
    for join in joins(run):
        start = flow.value(join.split).shape
        for value in join.values:
            end = flow.value(value).shape
            if value == join.split or len(start) != len(end) or len(end) < 3:
                continue
            steps = _steps(flow, join.split, value)
            if not steps or not any(_outside(step) for step in steps):
                continue
            # Later layers may blur the constants into their neighbours.
            counts = [len(steps), *(i + 1 for i, step in enumerate(steps) if _outside(step))]
            views = [(i, _view(steps[:i], start[2:])) for i in counts]
            blind = next(((i, view) for i, view in views if _read(view, steps[i : i + 1])), None)
            if blind is None:
                continue
            count, view = blind
            seen, cells = prod(map(sum, view)), prod(map(len, view))
            first = next(step for step in steps if _outside(step))
            if count < len(steps):
                end = flow.value(steps[count - 1].node.outputs[0]).shape
            text, mend = _words(first)
            yield RULE.at(
                first.node,
                f"{cells - seen} of the {cells} cells of {shape(end)} see only padding: {text}",
                join=join.node.source,
                mends=(Mend(mend),),
            )
            break


def _words(step: _Step) -> tuple[str, str]:
    """What pads how far, and how to pad less."""
    layer = step.layer
    reach = tuple(d * (k - 1) for k, d in zip(layer.kernel, layer.dilation, strict=True))
    if not any((*step.before, *step.after)):
        text = (
            f"{layer.module!r} pads by {_one(layer.padding)} and its kernel reaches {_one(reach)}"
        )
        return text, "pad by at most dilation x (kernel - 1)"
    text = (
        f"a pad adds {_one(step.before)} in front of {called(step.node)} and {_one(step.after)} "
        f"behind, and the kernel reaches {_one(reach)}"
    )
    if min(step.after) < 0:
        return text, "shift the other way: crop in front and pad behind, `F.pad(x, (-1, 1, -1, 1))`"
    return text, "pad by at most dilation x (kernel - 1)"


def _steps(flow: Flow, start: int, end: int) -> tuple[_Step, ...] | None:
    """The layers on the way with the pads in front of them; None when else sizes change."""
    sizes = flow.value(start).shape
    none = (0,) * (len(sizes) - 2)
    found: list[_Step] = []
    before = after = none
    for node, value in flow.longest(start, end):
        shape = flow.value(value).shape
        layer, pad = layer_of(node, len(shape) - 2), _pad(node, len(shape) - 2)
        if layer is not None and len(layer.kernel) != len(none):
            return None  # an image without a batch
        if layer is not None:
            found.append(_Step(node, layer, before, after))
            before = after = none
        elif pad is not None:
            before = tuple(map(add, before, pad[0]))
            after = tuple(map(add, after, pad[1]))
        elif shape[2:] != sizes[2:]:
            return None
        sizes = shape
    return tuple(found)


def _pad(node: Node, rank: int) -> tuple[tuple[int, ...], tuple[int, ...]] | None:
    """What a padding with a constant adds in front and behind along `rank` axes."""
    sizes = node.argument("pad")
    if name(node) != "constant_pad_nd" or not isinstance(sizes, (list, tuple)):
        return None
    if len(sizes) > 2 * rank and any(sizes[2 * rank :]):
        return None
    wide = (*sizes, *(0,) * (2 * rank - len(sizes)))
    return tuple(wide[0 : 2 * rank : 2])[::-1], tuple(wide[1 : 2 * rank : 2])[::-1]


def _pads(flow: Flow, node: Node) -> bool:
    """Whether a layer pads further than its kernel reaches, or the forward pads at all."""
    if not node.outputs:
        return False
    rank = len(flow.value(node.outputs[0]).shape) - 2
    layer = layer_of(node, rank)
    if layer is None:
        return _pad(node, rank) is not None
    none = (0,) * rank
    return len(layer.kernel) == rank and _outside(_Step(node, layer, none, none))


def _outside(step: _Step) -> bool:
    """Whether the first or the last window of some axis lies outside the map.

    A map that is moved on by a pad in front and a crop behind is meant, PixelCNN's, unless a
    stride could have taken what it holds without that; one that is moved back is meant, NASNet's.
    """
    layer = step.layer
    return not layer.transposed and any(
        max(before, after) + p > d * (k - 1)
        and (min(before, after) >= 0 or (s > 1 and before > after))
        for before, after, p, k, d, s in zip(
            step.before,
            step.after,
            layer.padding,
            layer.kernel,
            layer.dilation,
            layer.stride,
            strict=True,
        )
    )


def _view(steps: tuple[_Step, ...], sizes: tuple[int, ...]) -> list[list[bool]]:
    """For each axis, which cells behind the layers look at a pixel of the input."""
    return [_seen(steps, [True] * n, axis) for axis, n in enumerate(sizes)]


def _read(view: list[list[bool]], behind: tuple[_Step, ...]) -> bool:
    """Whether a cell sees no pixel, and the layer behind, if there is one, does not crop it."""
    blind = [[not cell for cell in cells] for cells in view]
    return any(any(_seen(behind, cells, axis)) for axis, cells in enumerate(blind))


def _seen(steps: tuple[_Step, ...], seen: list[bool], axis: int) -> list[bool]:
    """Along one axis: which cells look at a cell of the input that is seen."""
    for step in steps:
        layer = step.layer
        seen = _widened(seen, step.before[axis], step.after[axis])
        k, s, p, d = (
            layer.kernel[axis],
            layer.stride[axis],
            layer.padding[axis],
            layer.dilation[axis],
        )
        size = layer.size(len(seen), axis)
        if layer.transposed:
            seen = [
                any(
                    (o + p - t * d) % s == 0 and 0 <= (o + p - t * d) // s < len(seen)
                    and seen[(o + p - t * d) // s]
                    for t in range(k)
                )
                for o in range(size)
            ]  # fmt: skip
        else:
            seen = [
                any(
                    0 <= o * s - p + t * d < len(seen) and seen[o * s - p + t * d] for t in range(k)
                )
                for o in range(size)
            ]
    return seen


def _widened(seen: list[bool], before: int, after: int) -> list[bool]:
    """Cells with as many unseen ones in front and behind, or without some where negative."""
    kept = seen[max(-before, 0) : len(seen) - max(-after, 0)]
    return [False] * before + kept + [False] * after


def _one(numbers: tuple[int, ...]) -> str:
    return str(numbers[0]) if len(set(numbers)) == 1 else str(numbers)
