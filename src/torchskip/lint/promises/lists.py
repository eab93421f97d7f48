"""Lists of pointwise layers that fit the arms of a block's joins, none of which runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from torchskip.lint.ops import ADDS, CONCATS, name
from torchskip.lint.promises.block import Block, Blocks
from torchskip.lint.promises.spare import pointwise
from torchskip.lint.vocabulary import may_project, of_training

__all__ = ["idle_lists"]


def idle_lists(blocks: Blocks) -> Iterator[tuple[Block, Block, bool]]:
    """Each block with such a list, the list, and whether its name says that it is for sums."""
    for block in blocks.values():
        for part in block.idle:
            if part.type != "ModuleList" or not part.weights:
                continue
            if not all(map(pointwise, part.weights)):
                continue
            if _named_for_sums(block, part):
                yield block, part, True
            elif not of_training(part.path) and _keep_arms(block, part):
                yield block, part, False


def _named_for_sums(block: Block, part: Block) -> bool:
    """Whether layers named for shortcuts take an arm's channels to a sum's, each in a sum."""
    flow = block.run.flow
    ends = {
        (flow.value(v).shape[1:2], flow.value(n.outputs[0]).shape[1:2])
        for n in flow.graph.nodes
        if n.module == block.path and name(n) in ADDS and len(n.inputs) == 2 and n.outputs
        for v in n.inputs
    }
    return may_project(part.word) and all(((w[1],), (w[0],)) in ends for w in part.weights)


def _keep_arms(block: Block, part: Block) -> bool:
    """Whether several layers keep their channels, and joins of the block have an arm for each."""
    flow = block.run.flow
    arms = Counter(
        flow.value(v).shape[1]
        for n in flow.graph.nodes
        if n.module == block.path and name(n) in ADDS | CONCATS
        for v in n.inputs
        if len(flow.value(v).shape) > 2
    )
    kept = [w[0] for w in part.weights if w[0] == w[1]]
    return len(kept) == len(part.weights) > 1 and not Counter(kept) - arms
