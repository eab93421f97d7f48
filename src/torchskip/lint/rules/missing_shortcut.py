"""A block that should have a shortcut has none.

## What it does
Reports blocks without a skip connection, of equal input and output shape, where something says
that one was meant: equal sibling blocks have one; the blocks of its class that change the width
have a projection; every later block's result is subtracted from what it reads; the class is called
a residual block; a value saved as `residual`, `identity` or `shortcut` is never read, or only where
a part is there that the block does not have; a stochastic depth was built for the block and never
runs; a flag such as `use_residual` is set and neither the block nor one below it follows; an
attention without one stands between two residual sums, one of which spans its like; the second half
of a block multiplies, or goes on with its branch alone, where the first adds; the layers of a block
are called from outside, without its forward that adds.

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
from fractions import Fraction

from torchskip.graph import Module, Source
from torchskip.lint.attention import between_sums
from torchskip.lint.bare import unprojected
from torchskip.lint.byhand import unadded
from torchskip.lint.drops import chance
from torchskip.lint.evidence import Evidence, Pass
from torchskip.lint.finding import Finding, Mend
from torchskip.lint.flags import ignored, passed_over
from torchskip.lint.halves import multiplied, unjoined
from torchskip.lint.ops import ADDS, CONCATS, PRODUCTS, name
from torchskip.lint.peeled import unpeeled
from torchskip.lint.regions import (
    Region,
    below,
    bridged,
    keeps_shape,
    spanned,
)
from torchskip.lint.rule import Rule
from torchskip.lint.saved import forgotten
from torchskip.lint.vocabulary import promises, says_residual
from torchskip.lint.waiting import waiting
from torchskip.lint.words import called, shape

RULE = Rule("TS201", "missing-shortcut", "warning", __doc__)
_ADD = (Mend("add the block's input to its result"),)


def check(evidence: Evidence) -> Iterator[Finding]:
    """Blocks without a skip that neighbours, names or flags promise."""
    if evidence.eval.graph.failure is not None:
        return
    known = evidence.eval.regions
    found: set[str] = set()
    for finding in (
        *_siblings(evidence, known),
        *_between(evidence, known),
        *_bare(evidence),
        *_peeled(evidence),
        *_named(evidence, known),
        *_saved(evidence, known),
        *_undropped(evidence, known),
        *_by_hand(evidence),
    ):
        if finding.module not in found:
            found.add(finding.module)
            yield finding
    yield from _halves(evidence)
    yield from _flags(evidence, known)


def _siblings(evidence: Evidence, known: dict[str, Region]) -> Iterator[Finding]:
    """The blocks without a skip among equal blocks of one parent, most of which have one."""
    run = evidence.eval
    groups: dict[tuple[object, ...], list[Region]] = {}
    weights: dict[str, list[tuple[str, tuple[int, ...]]]] = {}
    for parameter in run.graph.parameters:
        path = parameter.name.rpartition(".")[0]
        while path:
            weights.setdefault(path, []).append(
                (parameter.name.removeprefix(path), parameter.shape)
            )
            path = path.rpartition(".")[0]
    for path, region in known.items():
        if not path or not region.layers or region.entry == region.exit:
            continue
        mark = (path.rpartition(".")[0], tuple(weights.get(path, ())), _change(run, region))
        groups.setdefault(mark, []).append(region)
    for group in groups.values():
        within = [r for r in group if spanned(r, run) or _holds(r, run)]
        if len(group) < 3 or 2 * len(within) <= len(group):
            continue
        without = [r for r in group if r not in within and not bridged(r, run)]
        if without == group[-1:] and not any(_joins_itself(r, run) for r in within):
            continue  # the caller adds, and has nothing to go on with behind its last block
        if without == group[:1] and not any(_joins_itself(r, run) for r in within):
            continue  # the caller adds from its second layer on: GNMT
        for region in without:
            module = evidence.modules[region.path]
            yield RULE.at(
                region.nodes[-1],
                f"{len(within)} of {len(group)} equal blocks have a shortcut and "
                f"{region.path!r} has none: {shape(run.flow.value(region.entry).shape)} goes "
                "through its layers alone",
                module=region.path,
                source=_place(module, region),
                mends=_ADD,
            )


def _bare(evidence: Evidence) -> Iterator[Finding]:
    """Blocks that keep the width, of a class that adds its input only where the width changes."""
    flow = evidence.eval.flow
    for region, other in unprojected(evidence):
        module = evidence.modules[region.path]
        yield RULE.at(
            region.nodes[-1],
            f"{module.type} adds a projection of its input where the width changes, in "
            f"{other.path!r}, and nothing where it stays: "
            f"{shape(flow.value(region.entry).shape)} goes through its layers alone",
            module=region.path,
            source=_place(module, region),
            mends=(Mend("add the input itself where no projection is needed"),),
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


def _between(evidence: Evidence, known: dict[str, Region]) -> Iterator[Finding]:
    """Attention between two residual sums of one forward, where its like has a shortcut."""
    for region in between_sums(evidence, known):
        module = evidence.modules[region.path]
        entry = evidence.eval.flow.value(region.entry).shape
        yield RULE.at(
            region.nodes[-1],
            f"{region.path!r} ({module.type}) stands between two sums without one of its own: "
            f"{shape(entry)} goes on through its softmax alone",
            module=region.path,
            source=_place(module, region),
            mends=_ADD,
        )


def _halves(evidence: Evidence) -> Iterator[Finding]:
    """Second halves of a block that multiply, or do not join, where the first half adds."""
    run = evidence.eval
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


def _joins_itself(region: Region, run: Pass) -> bool:
    """Whether the module holds a sum, so that its caller need not add."""
    return any(s.live and below(run.graph.nodes[s.join].module, region.path) for s in run.skips)


def _change(run: Pass, region: Region) -> tuple[Fraction, ...]:
    """By how much the region changes each axis: blocks of other strides are no siblings."""
    before, after = (run.flow.value(v).shape for v in (region.entry, region.exit))
    return tuple(Fraction(b, max(a, 1)) for a, b in zip(before, after, strict=False))


def _holds(region: Region, run: Pass) -> bool:
    """Whether a sum of the module itself bridges its layers behind a resize of its input."""
    sizes = [run.flow.value(v).shape for v in (region.entry, region.exit)]
    return sizes[0] != sizes[1] and any(
        s.live and s.merge == "add" and run.graph.nodes[s.join].module == region.path
        for s in run.skips
    )


def _place(module: Module, region: Region) -> Source | None:
    return region.nodes[-1].source or module.source


def _named(evidence: Evidence, known: dict[str, Region]) -> Iterator[Finding]:
    """Classes called residual blocks without any join."""
    run = evidence.eval
    for path, region in known.items():
        module = evidence.modules.get(path)
        if module is None or not says_residual(module.type) or region.layers < 2:
            continue
        if any(value is False and promises(flag) for flag, value in module.attributes):
            continue  # its configuration says so: `has_skip=False`
        if not keeps_shape(region, run) or bridged(region, run):
            continue
        if any(
            name(n) in ADDS | CONCATS | PRODUCTS and len(set(n.inputs)) > 1 for n in region.nodes
        ):
            continue
        yield RULE.at(
            region.nodes[-1],
            f"{module.type} joins nothing: its input {shape(run.flow.value(region.entry).shape)} "
            "goes through its layers alone",
            module=path,
            source=_place(module, region),
            mends=_ADD,
        )


def _saved(evidence: Evidence, known: dict[str, Region]) -> Iterator[Finding]:
    """Values saved under a shortcut's name that nobody reads."""
    run = evidence.eval
    joined = {run.graph.nodes[s.join].module for s in run.skips if s.live}
    for body, word, line, needs in forgotten(evidence, known):
        other = ", or join it where another value is joined" * (body.module in joined)
        why = "never read" if not needs else f"read only where {needs} is there, and it is not"
        yield RULE.at(
            None,
            f"{word!r} is saved in {body.type}.forward and {why}: the shortcut is not added",
            module=body.module,
            source=Source(body.file, line, f"{body.type}.forward"),
            mends=(
                Mend(f"add {word} to the block's result" + " in any case" * bool(needs) + other),
            ),
        )


def _undropped(evidence: Evidence, known: dict[str, Region]) -> Iterator[Finding]:
    """Blocks that add nothing, whose stochastic depth waits for a branch to drop."""
    for region, drop in waiting(evidence, known):
        module = evidence.modules[region.path]
        yield RULE.at(
            region.nodes[-1],
            f"{module.type} keeps the shape {shape(evidence.eval.flow.value(region.entry).shape)} "
            f"and adds its input nowhere, and {drop.path!r} ({drop.type} of {chance(drop):g}), "
            "built for its branch, never runs",
            module=region.path,
            source=module.source or _place(module, region),
            mends=(Mend("add the input, `x + drop_path(f(x))`: a flag for it may be off"),),
        )


def _by_hand(evidence: Evidence) -> Iterator[Finding]:
    """Blocks that add in their forward, of which others call the layers alone."""
    for block in unadded(evidence):
        yield RULE.at(
            block.nodes[-1],
            f"{evidence.modules[block.path].type}.forward adds a shortcut and is not called: the "
            f"layers of {block.path!r} are, one by one, and nothing is added to their result",
            module=block.path,
            mends=(Mend("call the block itself, or add its input to the result"),),
        )


def _flags(evidence: Evidence, known: dict[str, Region]) -> Iterator[Finding]:
    """Flags that are set above and off in every block below, and flags that a block ignores."""
    run = evidence.eval
    for module, flag, off in passed_over(run):
        more = f" and {len(off) - 1} more" if len(off) > 1 else ""
        yield RULE.at(
            None,
            f"{flag} is True in {module.type} and off in {off[0].type} {off[0].path!r}{more}: no "
            "block has a shortcut",
            module=module.path,
            source=module.source,
            mends=(Mend(f"pass {flag} on to the blocks"),),
        )
    for module, flag in ignored(run):
        region = known.get(module.path)
        if region and region.layers and keeps_shape(region, run) and not bridged(region, run):
            yield RULE.at(
                region.nodes[-1],
                f"{flag} is True in {module.type}, and its input "
                f"{shape(run.flow.value(region.entry).shape)} goes through its layers alone",
                module=module.path,
                source=_place(module, region),
                mends=_ADD,
            )
