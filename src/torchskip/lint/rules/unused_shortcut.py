"""A shortcut is constructed and never called.

## What it does
Reports layers with parameters that never run, in evaluation or training, inside a block that
does run, where they could be the block's shortcut: they take the block's channels and give the
channels of its result (or the channels of both arms of its sum, and give the sum's), or are named
a shortcut. It is a warning where nothing but the neighbours tell: the other layers of the list
run, or its first ones alone because the loop returns in its first round, or the layer of that name
in an equal block does, or a normalisation of that name but for its number, or the joins beside a
list of pointwise layers take arms of their channels as they are; and where the weights are the
block's own parameters. A block whose layers are called from outside, without its forward, counts
too. A gate that was built for the branch and never runs (squeeze-and-excitation) is a warning, and
so is any other part that no code of the model's names but the constructor: no flag and no input
makes it run. Heads, teachers and losses are left out: a training loop may call them.

## Why is this bad
Either the shortcut was forgotten in `forward`, and the block has none, or it was built although
nothing has to be projected: its parameters are saved, counted and handed to the optimizer, and
distributed training stops with "parameters that were not used in producing loss".

## Example

    self.shortcut = nn.Conv2d(a, b, 1)
    ...
    return F.relu(self.body(x))

## Use instead

    return F.relu(self.body(x) + self.shortcut(x))

or build the projection only where the channels or the size change.

## References
Project-MONAI/MONAI#4314; YishuLiu/TransAttUnet#3; simonpf/quantnn pull request 2;
JDAI-CV/fast-reid#375 (a gate); hfslyc/AdvSemiSeg#65 (a return within the loop); PyTorch
documentation, *DistributedDataParallel*, `find_unused_parameters`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace

from torchskip.lint.evidence import Evidence
from torchskip.lint.finding import Finding, Mend, Severity
from torchskip.lint.promises.block import Block, Blocks
from torchskip.lint.promises.byhand import by_hand, left_out
from torchskip.lint.promises.gaps import Gap, gaps
from torchskip.lint.promises.gates import idle_gates
from torchskip.lint.promises.lists import idle_lists
from torchskip.lint.promises.spare import Spare, spares
from torchskip.lint.promises.twins import stand_ins
from torchskip.lint.promises.unread import unread_scales, unread_weights
from torchskip.lint.rule import Rule
from torchskip.lint.vocabulary import of_training
from torchskip.lint.without import without
from torchskip.lint.words import listed, plural, shape

RULE = Rule("TS108", "unused-shortcut", "error", __doc__)


def check(evidence: Evidence) -> Iterator[Finding]:
    """Blocks that run without the shortcut that was built for them."""
    if evidence.eval.graph.failure is not None:
        return
    blocks = evidence.blocks
    idle = tuple(idle_gates(blocks))
    named = {gate.path for _, gate, _ in idle}
    yield from (_ungated(block, gate, width) for block, gate, width in idle)
    for spare in spares(blocks, besides=named | stand_ins(blocks).keys()):
        named.update(part.path for part in spare.parts)
        yield _spare(blocks, spare)
    if evidence.train.graph.failure is None:
        yield from _by_hand(blocks)
        for gap in gaps(blocks):
            if gap.part.path not in named:
                yield _gap(gap)
        named.update(gap.part.path for gap in gaps(blocks))
        yield from _lists(blocks, named)
        named.update(part.path for _, part, _ in idle_lists(blocks))
        yield from _unread(blocks)
        yield from _unnamed(blocks, evidence.unnamed - named)


def _spare(blocks: Blocks, spare: Spare) -> Finding:
    """Parts that fit around a block, or take both arms of its sum."""
    block, names = spare.block, [part.word for part in spare.parts]
    weights = sum(len(part.parameters) for part in spare.parts)
    effect, mend, severity = without(blocks, spare)
    return _of(
        block,
        f"{listed(map(repr, names))} of {block.type} never run{'s' * (len(names) == 1)}: {effect}, "
        f"and {plural(weights, 'tensor')} of parameters and statistics "
        f"{'is' if weights == 1 else 'are'} never trained",
        mend,
        severity,
    )


def _ungated(block: Block, gate: Block, width: int) -> Finding:
    """A gate that never runs."""
    scaled = f" of its {width} channels" if width else ""
    return _of(
        block,
        f"{gate.path!r} ({gate.type}) never runs: {block.type} makes maps{scaled}, and nothing "
        "scales them",
        "call it on the branch, before the addition, or do not build it",
        "warning",
    )


def _by_hand(blocks: Blocks) -> Iterator[Finding]:
    """Shortcuts of blocks whose layers are called from outside, without the block's forward."""
    for block, region in by_hand(blocks):
        for part in left_out(block):
            yield RULE.at(
                region.nodes[0],
                f"{part.word!r} of {block.type} {block.path!r} never runs: the block's layers are "
                "called one by one, without its forward and without its shortcut",
                module=block.path,
                mends=(
                    Mend(f"call the block itself, or add {part.path!r} of its input to the result"),
                ),
            )


def _gap(gap: Gap) -> Finding:
    """A layer left out although its like runs."""
    part, like = gap.part, gap.like
    why = {
        "list": f"{gap.rest[0]} of the {gap.rest[1]} layers of {like.path!r} run",
        "twin": f"the {part.word!r} of {like.path!r} does",
        "stand-in": f"{like.path!r} runs in its place",
        "number": f"{like.path!r} beside it does",
    }[gap.sign]
    if gap.cut is not None:
        why += ", for the loop over them returns in its first round"
    finding = _of(
        part,
        f"{part.path!r} ({part.type}) never runs, and {why}: its weights are saved, counted and "
        "never trained",
        "return behind the loop"
        if gap.cut
        else "call it where its neighbours are called, or do not build it",
        "warning",
    )
    return finding if gap.cut is None else replace(finding, source=gap.cut)


def _lists(blocks: Blocks, named: set[str]) -> Iterator[Finding]:
    """Lists of pointwise layers that fit the arms of a forward's joins, none of which runs."""
    for block, part, sums in idle_lists(blocks):
        if part.path not in named:
            does = (
                "the sums of {} add their shortcuts as they are"
                if sums
                else "{} joins arms of their channels as they are"
            )
            yield RULE.at(
                None,
                f"none of the {plural(len(part.weights), 'layer')} of {part.path!r} runs: "
                + does.format(block.type),
                severity="warning",
                module=part.path,
                source=block.module.source,
                mends=(Mend("call them where they belong, or do not build them"),),
            )


def _unnamed(blocks: Blocks, parts: Collection[str]) -> Iterator[Finding]:
    """Parts that nothing in the model's files names but the constructor that makes them."""
    for block in blocks.values():
        idle = [p for p in block.idle if p.path in parts and not of_training(f"{p.path} {p.type}")]
        if not idle:
            continue
        they, never = ("it", "never runs") if len(idle) == 1 else ("them", "never run")
        weights = sum(len(p.parameters) for p in idle)
        yield _of(
            block,
            f"{listed(repr(p.word) for p in idle)} of {block.type} {never}, and only the "
            f"constructor names {they}: {plural(weights, 'tensor')} of parameters and statistics "
            f"{'is' if weights == 1 else 'are'} saved, counted and never trained",
            f"call {they} in forward, or do not build {they}",
            "warning",
        )


def _unread(blocks: Blocks) -> Iterator[Finding]:
    """Scales of a branch and weights of a shortcut that a block keeps itself and never reads."""
    for block, scale in unread_scales(blocks):
        yield _of(
            block,
            f"{scale.name!r} {shape(scale.shape)} is never read: the branch of {block.type} is not "
            "scaled",
            f"multiply the branch by {scale.name.rpartition('.')[2]}, or do not build it",
            "warning",
        )
    for block, words in unread_weights(blocks):
        though = f", though {block.wants[0]} is True" if block.wants else ""
        yield _of(
            block,
            f"{listed(map(repr, words))} of {block.type} {'is' if len(words) == 1 else 'are'} "
            f"never read{though}: no shortcut is made with them",
            "join the shortcut that they make, or do not build them",
            "warning",
        )


def _of(block: Block, message: str, mend: str, severity: Severity | None) -> Finding:
    return RULE.at(
        None,
        message,
        severity=severity,
        module=block.path,
        source=block.module.source,
        mends=(Mend(mend),),
    )
