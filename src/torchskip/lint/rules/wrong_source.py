"""A shortcut starts from the wrong value.

## What it does
Reports shortcut layers that read the block's result instead of its input, decoder levels that read
an encoder feature of another level while the feature of their own level is read by no skip, and
pre-normalised halves of a block that both add to the block's input.

## Why is this bad
A projection that reads the branch's result adds a function of the branch to the branch: the
block's input has no short way to its output. A decoder level that is fed a coarser feature,
resized, never sees the detail that its own level kept.

## Example

    h = self.conv2(self.conv1(x))
    shortcut = self.shortcut(h)
    return h + shortcut

## Use instead

    return h + self.shortcut(x)

## References
bytedance/1d-tokenizer pull request 119; Ronneberger et al., *U-Net*, 2015, figure 1.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from torchskip.graph import SkipPath
from torchskip.lint.evidence import Evidence
from torchskip.lint.finding import Finding, Mend
from torchskip.lint.ops import is_layer, is_norm
from torchskip.lint.regions import below, regions
from torchskip.lint.rule import Rule
from torchskip.lint.words import called, shape

RULE = Rule("TS204", "wrong-source", "warning", __doc__)
_SHORTCUT = re.compile(r"short_?cut|skip|down_?sample|identity|residual", re.I)


def check(evidence: Evidence) -> Iterator[Finding]:
    """Shortcut layers on the branch's result, and decoder levels with a foreign feature."""
    if evidence.eval.graph.failure is None:
        yield from _late(evidence)
        yield from _levels(evidence)
        yield from _stale(evidence)


def _late(evidence: Evidence) -> Iterator[Finding]:
    run = evidence.eval
    known = regions(run)
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
            if not all(_SHORTCUT.search(path.partition(".")[0]) for path in inner):
                continue
            way = run.flow.nodes_between(region.entry, skip.split)
            if any(is_layer(n) for n in way) and not any(
                _SHORTCUT.search(n.module.removeprefix(block)) for n in way
            ):
                yield RULE.at(
                    layers[0],
                    f"{called(layers[0])} reads the branch's result, not the block's input "
                    f"{shape(run.flow.value(region.entry).shape)}: nothing bypasses the layers",
                    join=join.source,
                    mends=(Mend("give the shortcut the block's input"),),
                )


def _stale(evidence: Evidence) -> Iterator[Finding]:
    """Pre-normalised halves of one block that both add to the block's input."""
    run = evidence.eval
    flow, graph = run.flow, run.graph
    before: dict[tuple[int, str, int], list[SkipPath]] = {}
    for skip in run.skips:
        if skip.kind != "identity" or skip.merge != "add" or not skip.live:
            continue
        join = graph.nodes[skip.join]
        earlier = before.setdefault((skip.split, join.module, join.call), [])
        for first in earlier[-1:]:
            total = graph.nodes[first.join].outputs[0]
            readers = [n for n in flow.reads(total) if n.index <= skip.join]
            enters = any(is_norm(n) and n.index < first.join for n in flow.reads(skip.split))
            if not enters or not readers or not all(map(is_norm, readers)):
                continue
            if len(readers) == len(flow.readers[total]) and flow.depends(join.outputs[0], total):
                yield RULE.at(
                    join,
                    f"the second sum adds to the block's input {shape(flow.value(total).shape)} "
                    "again: the first sum is read by the second branch alone, and has no short "
                    "way on",
                    join=join.source,
                    mends=(Mend("add to the first sum: `x = x + f(x); x = x + g(x)`"),),
                )
        earlier.append(skip)


def _levels(evidence: Evidence) -> Iterator[Finding]:
    run = evidence.eval
    flow, graph = run.flow, run.graph
    decoders = [s for s in run.skips if s.kind in {"long", "concat", "dense"} and s.live]
    used: dict[int, list[int]] = {}
    for skip in decoders:
        used.setdefault(skip.split, []).append(skip.join)
    for skip in decoders:
        if len(used[skip.split]) < 2:
            continue
        for arm in skip.arms:
            nodes = [graph.nodes[i] for i in arm.nodes]
            enlarged = flow.value(arm.values[-1]).shape[2:] > flow.value(skip.split).shape[2:]
            if arm.role != "shortcut" or not enlarged:
                continue
            if any(is_layer(n) for n in nodes):
                continue
            target = flow.value(arm.values[-1]).shape
            own = _own_level(evidence, skip.split, target)
            if own is not None and own not in used:
                yield RULE.at(
                    graph.nodes[skip.join],
                    f"the skip is a feature of another level, {shape(flow.value(skip.split).shape)}"
                    f" resized to {shape(target)}, which another level reads too; the encoder's "
                    f"own {shape(flow.value(own).shape)} is read by no skip",
                    mends=(Mend("join the encoder's feature of this level"),),
                )


def _own_level(evidence: Evidence, split: int, target: tuple[int, ...]) -> int | None:
    """The last value of the target's size on the way to the split."""
    flow = evidence.eval.flow
    found = None
    for start in evidence.eval.graph.inputs:
        if flow.depends(split, start):
            for _, value in flow.longest(start, split):
                if flow.value(value).shape[2:] == target[2:]:
                    found = value
    return found
