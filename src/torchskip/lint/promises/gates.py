"""Gates that blocks build and never call: squeeze-and-excitation and its kin."""

from __future__ import annotations

import re
from collections.abc import Iterator

from torchskip.lint.promises.block import Block, Blocks
from torchskip.lint.regions import below

__all__ = ["idle_gates"]

_SQUASHES = re.compile(r"sigmoid", re.I)
_NAMED = re.compile(
    r"^(se|eca|cbam|bam|scse|ca|sa)(_?(block|layer|module|unit))?\d*$|squeeze|excit"
    r"|(spatial|channel)_?(att|gate)",
    re.I,
)


def idle_gates(blocks: Blocks) -> Iterator[tuple[Block, Block, int]]:
    """Each block with a gate that no pass calls, the gate, and the channels it would scale.

    A gate is known by its sigmoid, or by its name; it gives as many channels as it takes, and the
    block makes maps of these channels. One known by both may be of any weights (0 channels are
    told): a spatial gate gives one channel, and a convolution along the channels knows no number.
    """
    for block, part in ((b, p) for b in blocks.values() for p in b.idle):
        kinds = [part.type, *(b.type for b in part.inside())]
        signs = any(map(_SQUASHES.search, kinds)), any(map(_NAMED.search, (part.word, part.type)))
        weights, widths = part.weights, _widths(block) if any(signs) else set()
        if not weights or not widths:
            continue
        if weights[0][1] == weights[-1][0] in widths:
            yield block, part, weights[-1][0]
        elif all(signs) and (weights[0][1] in widths or max(weights[0][:2]) < 3):
            yield block, part, 0


def _widths(block: Block) -> set[int]:
    """Channels of the maps that a block makes."""
    flow = block.run.flow
    shapes = (
        flow.value(v).shape
        for node in flow.graph.nodes
        if below(node.module, block.path)
        for v in node.outputs
    )
    return {shape[1] for shape in shapes if len(shape) > 2}
