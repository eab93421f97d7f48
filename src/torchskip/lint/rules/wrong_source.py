"""A shortcut starts from the wrong value.

## What it does
Reports shortcut layers and normalisations that read the block's result instead of its input
(or end the branch, while the input is added as it is), attention whose result is added to what it
reads from instead of what asks,
residual blocks whose shortcut starts behind their first layer, decoder levels that read an encoder
feature of another level while the feature of their own level is read by no skip, encoder
features that a decoder meets in the order they were made, normalised halves of a block that both
add to the block's input, loops whose every round adds to the value before the loop or to one part
of a split, and attention gates whose two inputs changed places.

## Why is this bad
A projection that reads the branch's result adds a function of the branch to the branch: the
block's input has no short way to its output. A decoder level that is fed a coarser feature,
resized, never sees the detail that its own level kept. A list of features read from its front
(`skips.pop(0)`) joins the finest feature to the coarsest map: the map grows at once and shrinks
again. In a loop that adds to one value, no block's result has a short way on but the last one's.

## Example

    h = self.conv2(self.conv1(x))
    shortcut = self.shortcut(h)
    return h + shortcut

## Use instead

    return h + self.shortcut(x)

## References
bytedance/1d-tokenizer pull request 119; strutive07/transformer-tensorflow2.0#14;
jackyko1991/vnet-tensorflow#12; Ronneberger et al., *U-Net*, 2015, figure 1.
"""

from __future__ import annotations

from collections.abc import Iterator

from torchskip.graph import Node, SkipPath
from torchskip.lint.evidence import Evidence
from torchskip.lint.finding import Finding, Mend
from torchskip.lint.levels import crossed_levels, foreign_levels, queued_levels, repeated_levels
from torchskip.lint.memories import memory_sums
from torchskip.lint.ops import ADDS, is_layer, is_norm, name
from torchskip.lint.promises.halves import restarted
from torchskip.lint.regions import below, keeps_shape
from torchskip.lint.rounds import anchored_parts, anchored_rounds
from torchskip.lint.rule import Rule
from torchskip.lint.steered import steered
from torchskip.lint.vocabulary import projection, residual_projection, says_residual, shortcut
from torchskip.lint.words import called, shape

RULE = Rule("TS204", "wrong-source", "warning", __doc__)
_PUBLISHED = frozenset({"BasicBlock", "Bottleneck"})  # He et al., 2015


def check(evidence: Evidence) -> Iterator[Finding]:
    """Shortcut layers on the branch's result, and decoder levels with a foreign feature."""
    if evidence.eval.graph.failure is None:
        yield from _late(evidence)
        yield from _last(evidence)
        yield from _memory(evidence)
        yield from _levels(evidence)
        yield from _order(evidence)
        yield from _stale(evidence)
        yield from _inside(evidence)
        yield from _own_norm(evidence)
        yield from _anchored(evidence)
        yield from _steered(evidence)


def _late(evidence: Evidence) -> Iterator[Finding]:
    run = evidence.eval
    known = run.regions
    for skip in run.skips:
        join = run.graph.nodes[skip.join]
        block = join.module
        maker = run.flow.producer(skip.split)
        region = known.get(block)
        if maker is None or region is None or not below(maker.module, block):
            continue
        if region.entry == skip.split or not skip.live or skip.merge != "add":
            continue
        for arm in skip.arms:
            nodes = [run.graph.nodes[i] for i in arm.nodes]
            layers = [n for n in nodes if is_layer(n)]
            inner = [n.module.removeprefix(block + ".") if block else n.module for n in layers]
            if not layers or arm.role != "branch":
                continue
            tops = [path.partition(".")[0] for path in inner]
            one = len(layers) == 1 and residual_projection(tops[0])
            if not one and not all(map(shortcut, tops)):
                continue
            way = run.flow.nodes_between(region.entry, skip.split)
            if any(is_layer(n) for n in way) and not any(
                shortcut(n.module.removeprefix(block)) for n in way
            ):
                yield RULE.at(
                    layers[0],
                    f"{called(layers[0])} reads the branch's result, not the block's input "
                    f"{shape(run.flow.value(region.entry).shape)}: nothing bypasses the layers",
                    join=join.source,
                    mends=(Mend("give the shortcut the block's input"),),
                )


def _last(evidence: Evidence) -> Iterator[Finding]:
    """Shortcut layers at the end of a branch, whose input is added as it is."""
    run = evidence.eval
    for skip in run.skips:
        if skip.kind != "identity" or skip.merge != "add" or not skip.live:
            continue
        join = run.graph.nodes[skip.join]
        for arm in skip.arms:
            layers = [n for n in (run.graph.nodes[i] for i in arm.nodes) if is_layer(n)]
            named = [n for n in layers if projection(_own(n, join))]
            if arm.role != "branch" or len(named) == len(layers) or layers[-1:] != named:
                continue
            yield RULE.at(
                named[0],
                f"{called(named[0])} reads the branch's result, and the block's input "
                f"{shape(run.flow.value(skip.split).shape)} is added without it",
                join=join.source,
                mends=(Mend("give the shortcut the block's input, and add its result"),),
            )


def _own(node: Node, join: Node) -> str:
    """The name that the operation's module has in the module of the join."""
    if not below(node.module, join.module):
        return ""
    return node.module.removeprefix(join.module).removeprefix(".").partition(".")[0]


def _memory(evidence: Evidence) -> Iterator[Finding]:
    """Sums of an attention's result and what it reads from, where another value asks."""
    for join in memory_sums(evidence.eval):
        total = shape(evidence.eval.flow.value(join.outputs[0]).shape)
        yield RULE.at(
            join,
            f"the result of the attention {total} is added to the value that it reads from; the "
            "one that asks goes on through the softmax alone",
            mends=(Mend("add the queries' own stream: `x + attention(x, memory)`"),),
        )


def _inside(evidence: Evidence) -> Iterator[Finding]:
    """Residual blocks whose one sum starts behind their first layers, which keep the shape.

    They are called so, or a block of their class bypasses more layers, from its input on.
    """
    run = evidence.eval
    flow = run.flow
    around: dict[str, int] = {}
    for skip in run.skips:
        path = run.graph.nodes[skip.join].module
        region = run.regions.get(path)
        if skip.live and skip.merge == "add" and region and region.entry == skip.split:
            like = evidence.modules[path].type
            around[like] = max(around.get(like, 0), _bypassed(skip))
    for region in run.regions.values():
        kind = evidence.modules[region.path].type
        known = says_residual(kind) or kind in _PUBLISHED
        if not (known or kind in around) or not keeps_shape(region, run):
            continue
        own = {n.index for n in region.nodes}
        sums = [s for s in run.skips if s.join in own and s.live and s.merge == "add"]
        if len(sums) != 1 or run.graph.nodes[sums[0].join].module != region.path:
            continue
        if not known and _bypassed(sums[0]) >= around[kind]:
            continue
        split, join = sums[0].split, run.graph.nodes[sums[0].join]
        first = [n for n in flow.nodes_between(region.entry, split) if is_layer(n)]
        last = [n for n in flow.nodes_between(join.outputs[0], region.exit) if is_layer(n)]
        if first and not last and flow.value(split).shape == flow.value(region.entry).shape:
            yield RULE.at(
                join,
                f"the shortcut of {kind} starts behind {called(first[-1])}: nothing bypasses "
                f"that layer, and the block's input {shape(flow.value(split).shape)} is not added",
                join=join.source,
                mends=(Mend("save the shortcut before the first layer"),),
            )


def _bypassed(skip: SkipPath) -> int:
    """How many layers the longest way of a shortcut's branch goes through."""
    return max(arm.layers for arm in skip.arms)


def _own_norm(evidence: Evidence) -> Iterator[Finding]:
    """Sums of a branch's result and its own normalisation."""
    run = evidence.eval
    flow = run.flow
    for node in run.graph.nodes:
        if name(node) not in ADDS or len(set(node.inputs)) != 2 or not node.outputs:
            continue
        for one, other in (node.inputs, node.inputs[::-1]):
            norm, maker = flow.producer(other), flow.producer(one)
            if norm is None or not is_norm(norm) or norm.inputs[:1] != (one,) or maker is None:
                continue
            if is_layer(maker) and below(maker.module, node.module):
                yield RULE.at(
                    node,
                    f"{called(norm)} reads the branch's result {shape(flow.value(one).shape)}, to "
                    "which it is added: the block's input has no way around the layers",
                    mends=(Mend("normalise and add the block's input"),),
                )


def _stale(evidence: Evidence) -> Iterator[Finding]:
    """Normalised halves of one block that both add to the block's input."""
    for join, first in restarted(evidence.eval):
        total = shape(evidence.eval.flow.value(first).shape)
        yield RULE.at(
            join,
            f"the second sum adds to the block's input {total} again: the first sum is read by the "
            "second branch alone, and has no short way on",
            join=join.source,
            mends=(Mend("add to the first sum: `x = x + f(x); x = x + g(x)`"),),
        )


def _anchored(evidence: Evidence) -> Iterator[Finding]:
    """Loops of different blocks, each of which adds to the value before the loop."""
    for sums in anchored_rounds(evidence.eval):
        total = shape(evidence.eval.flow.value(sums[0].outputs[0]).shape)
        yield RULE.at(
            sums[1],
            f"{len(sums)} rounds of this line all add to the value before the loop {total}: the "
            "sum of a round goes through the next block and has no short way on",
            mends=(Mend("add to the previous sum: `x = x + block(x)`"),),
        )
    for sums in anchored_parts(evidence.eval):
        part = shape(evidence.eval.flow.value(sums[0].outputs[0]).shape)
        yield RULE.at(
            sums[1],
            f"{len(sums)} parts of a split are added to the first one's {part}: no round sees the "
            "result of the round before",
            mends=(Mend("add the previous round's result: `y = layer(y + part)`"),),
        )


def _steered(evidence: Evidence) -> Iterator[Finding]:
    """Attention gates that multiply the map which is joined as it is, and not the other one."""
    run = evidence.eval
    for gate in steered(run):
        held, lost = (shape(run.flow.value(v).shape) for v in (gate.twice, gate.lost))
        yield RULE.at(
            gate.join,
            f"the concatenation holds {held} twice, as it is and gated, and the other input of "
            f"the gate, {lost}, steers the gate alone: the two inputs of the gate are swapped",
            mends=(Mend("gate the encoder's feature, and let the decoder's map steer"),),
        )


def _order(evidence: Evidence) -> Iterator[Finding]:
    """Encoder features that a decoder meets first in, first out, or two that changed places."""
    run = evidence.eval
    queue = queued_levels(run)
    crossed = () if queue else crossed_levels(run)
    for skips, how, mend in (
        (
            queue,
            "at once and shrinks again",
            "take the last first: `skips.pop()`, `reversed(skips)`",
        ),
        (crossed, "past a level and is resized to meet it", "meet the coarser feature first"),
    ):
        if skips:
            first, *_, last = (shape(run.flow.value(skip.split).shape) for skip in skips)
            yield RULE.at(
                run.graph.nodes[skips[0].join],
                "the decoder meets the encoder's features in the order they were made, "
                f"{first} before {last}: its map grows {how}",
                mends=(Mend(mend),),
            )


def _levels(evidence: Evidence) -> Iterator[Finding]:
    """Decoder levels that read a feature of another level of the encoder."""
    run = evidence.eval
    for level in (*foreign_levels(run), *repeated_levels(run)):
        split, own, total = (
            shape(run.flow.value(v).shape)
            for v in (level.skip.split, level.own, run.graph.nodes[level.skip.join].outputs[0])
        )
        yield RULE.at(
            run.graph.nodes[level.skip.join],
            f"the skip into {total} is the encoder's {split}, a feature of another level or one "
            f"that is joined before; the encoder's {own} is read by no skip",
            mends=(Mend("join the encoder's feature of this level"),),
        )
