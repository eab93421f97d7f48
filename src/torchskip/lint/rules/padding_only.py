"""Some outputs of a branch see nothing but padding.

## What it does
Follows, along the branch of every join and in failed models too, which cells of a map look at
least at one pixel of the branch's input, and counts those that do not, behind every layer that
pads further than its kernel reaches.

## Why is this bad
With a padding larger than the kernel reaches, the outermost windows hold zeros alone. These cells
are constants: they cost time, widen the map, and shift where the rest lies. In the tutorial's
branch, 40 of 121 cells are such.

## Example

    nn.Conv2d(3, 6, kernel_size=2, stride=2, padding=2)

## Use instead

    nn.Conv2d(3, 6, kernel_size=2, stride=2, padding=0)

## References
Dumoulin & Visin, *A guide to convolution arithmetic for deep learning*, 2016, section 2.2.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

from torchskip.graph import Node
from torchskip.lint.evidence import Evidence
from torchskip.lint.finding import Finding, Mend
from torchskip.lint.flow import Flow
from torchskip.lint.joins import joins
from torchskip.lint.rule import Rule
from torchskip.lint.solve import Layer, layer_of, layers_of
from torchskip.lint.words import shape

RULE = Rule("TS206", "padding-only", "warning", __doc__)


def check(evidence: Evidence) -> Iterator[Finding]:
    """Branches with cells that look at no pixel."""
    run = evidence.eval
    flow = run.flow
    if not any(_pads_outside(flow, node) for node in run.graph.nodes):
        return
    for join in joins(run):
        start = flow.value(join.split).shape
        for value in join.values:
            end = flow.value(value).shape
            if value == join.split or len(start) != len(end) or len(end) < 3:
                continue
            layers = layers_of(flow, join.split, value)
            if not layers or not any(_outside(layer) for layer in layers):
                continue
            # Later layers may blur the constants into their neighbours.
            counts = [len(layers), *(i + 1 for i, layer in enumerate(layers) if _outside(layer))]
            views = [(i, _view(layers[:i], start[2:])) for i in counts]
            blind = next(((i, view) for i, view in views if _read(view, layers[i : i + 1])), None)
            if blind is None:
                continue
            count, view = blind
            seen, cells = prod(map(sum, view)), prod(map(len, view))
            first = next(layer for layer in layers if _outside(layer))
            reach = tuple(d * (k - 1) for k, d in zip(first.kernel, first.dilation, strict=True))
            between = flow.nodes_between(join.split, value)
            node = next(n for n in between if n.module == first.module)
            if count < len(layers):
                inner = next(n for n in between if n.module == layers[count - 1].module)
                end = flow.value(inner.outputs[0]).shape
            yield RULE.at(
                node,
                f"{cells - seen} of the {cells} cells of {shape(end)} see only padding: "
                f"{first.module!r} pads by {_one(first.padding)} and its kernel reaches "
                f"{_one(reach)}",
                join=join.node.source,
                mends=(Mend("pad by at most dilation x (kernel - 1)"),),
            )
            break


def _pads_outside(flow: Flow, node: Node) -> bool:
    layer = layer_of(node, len(flow.value(node.outputs[0]).shape) - 2) if node.outputs else None
    return layer is not None and _outside(layer)


def _outside(layer: Layer) -> bool:
    """Whether the first window of some axis lies outside the map."""
    return not layer.transposed and any(
        p > d * (k - 1) for p, k, d in zip(layer.padding, layer.kernel, layer.dilation, strict=True)
    )


def _view(layers: tuple[Layer, ...], sizes: tuple[int, ...]) -> list[list[bool]]:
    """For each axis, which cells behind the layers look at a pixel of the input."""
    return [_seen(layers, [True] * n, axis) for axis, n in enumerate(sizes)]


def _read(view: list[list[bool]], behind: tuple[Layer, ...]) -> bool:
    """Whether a cell sees no pixel, and the layer behind, if there is one, does not crop it."""
    blind = [[not cell for cell in cells] for cells in view]
    return any(any(_seen(behind, cells, axis)) for axis, cells in enumerate(blind))


def _seen(layers: tuple[Layer, ...], seen: list[bool], axis: int) -> list[bool]:
    """Along one axis: which cells look at a cell of the input that is seen."""
    for layer in layers:
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


def _one(numbers: tuple[int, ...]) -> str:
    return str(numbers[0]) if len(set(numbers)) == 1 else str(numbers)
