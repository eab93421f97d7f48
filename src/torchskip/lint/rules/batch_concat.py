"""A skip is concatenated along the batch.

## What it does
Reports concatenations along the axis that holds the batch where one operand is computed from
the other, as in an encoder-decoder or a dense block, and the batch stays doubled.

## Why is this bad
The result has twice the samples: features of the skip and of the decoder go through the next
layers side by side instead of together, and the loss compares them with labels that are not
theirs, or fails one layer later.

## Example

    x = torch.cat((skip, x))         # dim=0 is the default

## Use instead

    x = torch.cat((skip, x), dim=1)

Two batches that are stacked, run once and split again are not reported.

## References
Ronneberger et al., *U-Net*, 2015, figure 1 (concatenation of channels).
"""

from __future__ import annotations

from collections.abc import Iterator

from torchskip.lint.evidence import Evidence, Pass
from torchskip.lint.finding import Finding, Mend
from torchskip.lint.joins import joins, way
from torchskip.lint.ops import CONCATS, is_layer, name
from torchskip.lint.rule import Rule
from torchskip.lint.words import listed, shape

RULE = Rule("TS109", "batch-concat", "error", __doc__)


def check(evidence: Evidence) -> Iterator[Finding]:
    """Concatenations of a value with what was computed from it, along the batch."""
    run = evidence.train
    for join in joins(run, CONCATS):
        node, flow = join.node, run.flow
        axis = node.argument("dim", 0)
        sizes = [flow.value(v).shape for v in join.values]
        if name(node) == "stack" or not isinstance(axis, int) or not node.outputs:
            continue
        rank = len(sizes[0])
        axis %= rank or 1
        others = {size for s in sizes for i, size in enumerate(s) if i != axis}
        if rank < 2 or not all(evidence.marked(s[axis]) for s in sizes):
            continue
        if any(evidence.marked(size) for size in others) or _split_again(run, node.outputs[0]):
            continue
        arms = [flow.nodes_between(join.split, value) for value in join.values]
        depth = sorted(sum(map(is_layer, nodes)) for nodes in arms)
        if depth[0] == depth[-1]:
            continue  # equals side by side: two views of one batch
        yield RULE.at(
            node,
            f"concatenates along the batch (axis {axis}): "
            f"{listed(shape(s) for s in sizes)} become {shape(flow.value(node.outputs[0]).shape)}",
            arms=tuple(way(flow, f"arm {i + 1}", join.split, v) for i, v in enumerate(join.values)),
            mends=(Mend("concatenate the channels: `dim=1`"),),
        )


def _split_again(run: Pass, value: int) -> bool:
    """Whether anything computed from the value is cut along its first axis again."""
    for index in sorted(run.flow.downstream(value)):
        node = run.flow.producer(index)
        if node is not None and name(node) in {"split", "split_with_sizes", "chunk", "slice"}:
            source = run.flow.value(node.inputs[0]).shape
            result = run.flow.value(node.outputs[0]).shape
            if source and result and source[0] != result[0]:
                return True
        if node is not None and name(node) in {"index", "select", "index_select", "unbind"}:
            return True
    return False
