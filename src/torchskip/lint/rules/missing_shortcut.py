"""A block that should have a shortcut has none.

## What it does
Reports blocks without a skip connection, of equal input and output shape, where something says
that one was meant: equal sibling blocks have one; the blocks of its class that change the width
have a projection; every later block's result is subtracted from what it reads; the class is called
a residual block; a value saved as `residual`, `identity` or `shortcut` is never read, or only where
a part is there that the block does not have, or a list of `skips` is filled and never read; a
stochastic depth was built for the block and never runs; a flag such as `use_residual` is set and
neither the block nor one below it follows; an attention without one stands between two residual
sums, one of which spans its like; the second half of a block multiplies, or goes on with its branch
alone, where the first adds; the layers of a block are called from outside, or kept in a list,
without its forward that adds.

## Why is this bad
The network trains, only worse, and the worse the deeper it is: He et al. report 28.54 % error for
a plain network of 34 layers where 18 layers reach 27.94 %, and 25.03 % with shortcuts.

## Example

    def forward(self, x):
        residual = x
        out = self.conv2(F.relu(self.conv1(x)))
        return out

## Use instead

        return out + residual

## References
He et al., *Deep Residual Learning*, 2015, table 2; znxlwm/UGATIT-pytorch#32;
yilundu/improved_contrastive_divergence#7; mlcommons/GaNDLF#142; zsef123/EfficientNets-PyTorch#2.
"""

from __future__ import annotations

from collections.abc import Iterator

from torchskip.graph import Source
from torchskip.lint.attention import between_sums
from torchskip.lint.drops import chance
from torchskip.lint.evidence import Evidence, Pass
from torchskip.lint.finding import Finding, Mend
from torchskip.lint.promises.block import Block, Blocks
from torchskip.lint.promises.byhand import unadded
from torchskip.lint.promises.dismantled import dismantled, like_a_whole
from torchskip.lint.promises.halves import multiplied, unjoined
from torchskip.lint.promises.peeled import unpeeled
from torchskip.lint.promises.said import ignored, passed_over, unlike_their_class
from torchskip.lint.promises.saved import forgotten
from torchskip.lint.promises.siblings import outdone
from torchskip.lint.promises.unprojected import unprojected
from torchskip.lint.promises.waiting import waiting
from torchskip.lint.rule import Rule
from torchskip.lint.words import called, shape

RULE = Rule("TS201", "missing-shortcut", "warning", __doc__)
_ADD = "add the block's input to its result"


def check(evidence: Evidence) -> Iterator[Finding]:
    """Blocks without a skip that neighbours, names or flags promise."""
    if evidence.eval.graph.failure is not None:
        return
    blocks = evidence.blocks
    found: set[str] = set()
    for finding in (
        *_like_its_equals(blocks),
        *_between(evidence),
        *_unprojected(blocks),
        *_peeled(evidence),
        *_named(blocks),
        *_saved(blocks),
        *_undropped(blocks),
        *_by_hand(blocks),
        *_dismantled(evidence),
    ):
        if finding.module not in found:
            found.add(finding.module)
            yield finding
    yield from _halves(evidence.eval)
    yield from _flags(blocks)


def _like_its_equals(blocks: Blocks) -> Iterator[Finding]:
    """Blocks without a skip among equal blocks of one parent, most of which have one."""
    for block, within, equals in outdone(blocks):
        yield _without(
            block,
            f"{within} of {equals} equal blocks have a shortcut and {block.path!r} has none: "
            f"{_input(block)} goes through its layers alone",
        )


def _between(evidence: Evidence) -> Iterator[Finding]:
    """Attention between two residual sums of one forward, where its like has a shortcut."""
    for region in between_sums(evidence, evidence.eval.regions):
        block = evidence.blocks[region.path]
        yield _without(
            block,
            f"{block.path!r} ({block.type}) stands between two sums without one of its own: "
            f"{_input(block)} goes on through its softmax alone",
        )


def _unprojected(blocks: Blocks) -> Iterator[Finding]:
    """Blocks that keep the width, of a class that adds its input only where the width changes."""
    for block, other in unprojected(blocks):
        yield _without(
            block,
            f"{block.type} adds a projection of its input where the width changes, in "
            f"{other.path!r}, and nothing where it stays: {_input(block)} goes through its layers "
            "alone",
            "add the input itself where no projection is needed",
        )


def _peeled(evidence: Evidence) -> Iterator[Finding]:
    """First blocks whose result becomes the stream from which all others' results are taken."""
    for peel in unpeeled(evidence):
        yield RULE.at(
            peel.first,
            f"the blocks' results are taken off what they read, but for the first: the result "
            f"{shape(evidence.eval.flow.value(peel.result).shape)} of {peel.block!r} goes on as it "
            "is, and its input is lost",
            module=peel.block,
            mends=(Mend("subtract the first block's result from its input too: `r = x - f(x)`"),),
        )


def _named(blocks: Blocks) -> Iterator[Finding]:
    """Classes called residual blocks without any join."""
    for block in unlike_their_class(blocks):
        yield _without(
            block,
            f"{block.type} joins nothing: its input {_input(block)} goes through its layers alone",
        )


def _saved(blocks: Blocks) -> Iterator[Finding]:
    """Values saved under a shortcut's name that nobody reads."""
    for value in forgotten(blocks):
        word, needs = value.word, value.needs
        if value.many:
            yield RULE.at(
                None,
                f"{word!r} collects values in {value.source.function}, and nobody reads it: "
                f"{value.block.type} joins none of them",
                module=value.block.path,
                source=value.source,
                mends=(Mend(f"join them on the way up: `torch.cat([x, {word}.pop()], 1)`"),),
            )
            continue
        why = "never read" if not needs else f"read only where {needs} is there, and it is not"
        other = ", or join it where another value is joined" * bool(value.block.joins)
        yield RULE.at(
            None,
            f"{word!r} is saved in {value.source.function} and {why}: the shortcut is not added",
            module=value.block.path,
            source=value.source,
            mends=(
                Mend(f"add {word} to the block's result" + " in any case" * bool(needs) + other),
            ),
        )


def _undropped(blocks: Blocks) -> Iterator[Finding]:
    """Blocks that add nothing, whose stochastic depth waits for a branch to drop."""
    for block, drop in waiting(blocks):
        yield _without(
            block,
            f"{block.type} keeps the shape {_input(block)} and adds its input nowhere, and "
            f"{drop.path!r} ({drop.type} of {chance(drop.module):g}), built for its branch, never "
            "runs",
            "add the input, `x + drop_path(f(x))`: a flag for it may be off",
            block.module.source,
        )


def _by_hand(blocks: Blocks) -> Iterator[Finding]:
    """Blocks that add in their forward, of which others call the layers alone."""
    for block, region in unadded(blocks):
        yield RULE.at(
            region.nodes[-1],
            f"{block.type}.forward adds a shortcut and is not called: the layers of {block.path!r} "
            "are, one by one, and nothing is added to their result",
            module=block.path,
            mends=(Mend("call the block itself, or add its input to the result"),),
        )


def _dismantled(evidence: Evidence) -> Iterator[Finding]:
    """Lists that hold the layers of a residual block, and run them in a row."""
    blocks, mend = evidence.blocks, "keep the block itself: its forward adds its input"
    for block, kind, line in dismantled(blocks, evidence.opened):
        told = f"{block.path!r} holds the layers of a {kind}, whose forward adds a shortcut, and "
        yield _without(block, told + "runs them one by one: nothing is added", mend, line)
    for block, whole in like_a_whole(blocks):
        told = f"{block.path!r} holds the layers of a {whole.type} like {whole.path!r}, which adds "
        yield _without(block, told + f"its input: {_input(block)} goes through them alone", mend)


def _halves(run: Pass) -> Iterator[Finding]:
    """Second halves of a block that multiply, or do not join, where the first half adds."""
    for half in multiplied(run):
        yield RULE.at(
            half.node,
            f"the stream {shape(run.flow.value(half.stream).shape)} is multiplied by its branch, "
            "and the first half of the block adds: the branch is no gate, it ends with "
            f"{called(half.last)}",
            mends=(Mend("add the branch to the stream"),),
        )
    for half in unjoined(run):
        yield RULE.at(
            half.node,
            f"the first half of the block adds its branch to the stream, the second gives up the "
            f"stream {shape(run.flow.value(half.stream).shape)} for its branch, which ends with "
            f"{called(half.last)}",
            mends=(Mend("add the stream to the second branch: `x = x + mlp(norm(x))`"),),
        )


def _flags(blocks: Blocks) -> Iterator[Finding]:
    """Flags that are set above and off in every block below, and flags that a block ignores."""
    for block, flag, off in passed_over(blocks):
        more = f" and {len(off) - 1} more" if len(off) > 1 else ""
        yield RULE.at(
            None,
            f"{flag} is True in {block.type} and off in {off[0].type} {off[0].path!r}{more}: no "
            "block has a shortcut",
            module=block.path,
            source=block.module.source,
            mends=(Mend(f"pass {flag} on to the blocks"),),
        )
    for block, flag in ignored(blocks):
        yield _without(
            block,
            f"{flag} is True in {block.type}, and its input {_input(block)} goes through its "
            "layers alone",
        )


def _without(block: Block, message: str, mend: str = _ADD, source: Source | None = None) -> Finding:
    """A finding at the last operation of a block that lacks a shortcut."""
    last = block.region.nodes[-1] if block.region else None
    place = source or (last.source if last else None) or block.module.source
    return RULE.at(last, message, module=block.path, source=place, mends=(Mend(mend),))


def _input(block: Block) -> str:
    return shape(block.ends[0])
