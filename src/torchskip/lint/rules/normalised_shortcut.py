"""The shortcut carries a normalised or weakened input although the raw one was at hand.

## What it does
Reports residual blocks that begin by normalising their input and start branch *and* shortcut from
the normalised value, blocks that do so between a pre-normalised first half and their second half,
and runs of blocks that normalise and activate before the split. A module that writes a
normalisation out by hand (RMSNorm) counts as one, and so does a normalisation that a condition
scales and shifts (AdaLN, FiLM), or one that is called for query and key alike. Reports scales that
belong to the branch, a learnt one that begins near zero or a number of at most 0.3, on shortcuts
whose branch has none, and on sums that follow each other.

## Why is this bad
A pre-normalisation block computes `x + f(norm(x))`: the stream itself is never normalised, so the
gradient reaches every block unchanged. With `x = norm(x)` the stream passes every normalisation,
which is the post-normalisation wiring without its stability at the end, and usually a slip. With
`x * 0.1 + f(x)` or `0.1 * (x + f(x))` each block keeps a tenth of the stream.

## Example

    x = self.norm(x)
    return x + self.mlp(x)

## Use instead

    return x + self.mlp(self.norm(x))

A single block whose shortcut starts after normalisation *and* activation (He et al. 2016, first
unit of a stage), blocks that normalise after the addition, and a first block that alone of its like
normalises the embedding (RWKV) are published and are not reported.

## References
Howuhh/faster-trajectory-transformer#3; SHI-Labs/Compact-Transformers#25; allenai/OLMo pull
request 680; Xiong et al., *On Layer
Normalization in the Transformer Architecture*, 2020.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

from torchskip.graph import Node, SkipPath
from torchskip.lint.evidence import Evidence, Pass
from torchskip.lint.finding import Finding, Mend
from torchskip.lint.flow import Flow
from torchskip.lint.norms import Norms
from torchskip.lint.ops import ACTIVATIONS, CONCATS, FORMS, is_norm, name
from torchskip.lint.regions import below
from torchskip.lint.rule import Rule
from torchskip.lint.weakened import weakened
from torchskip.lint.words import called, shape

RULE = Rule("TS202", "normalised-shortcut", "warning", __doc__)


def check(evidence: Evidence) -> Iterator[Finding]:
    """Identity skips that part right behind a normalisation that hides the raw stream."""
    run = evidence.eval
    norms = Norms(run)
    activated: dict[str, list[Finding]] = {}
    plain: list[tuple[Node, Finding]] = []
    for skip in run.skips:
        if skip.kind != "identity" or skip.merge != "add" or not skip.live:
            continue
        join = run.graph.nodes[skip.join]
        value = _bare(run.flow, skip.split)
        behind = _bare(run.flow, _before_activation(run.flow, value))
        norm = run.flow.producer(_before_modulation(run.flow, norms, behind))
        entry = norms.entry(norm)
        if norm is None or entry is None or not below(norm.module, join.module):
            continue
        text = _hides(run, norms, skip, join, _bare(run.flow, entry))
        if text is None:
            continue
        finding = RULE.at(
            norm,
            f"{_called(norm)} {text}",
            # A normalisation by hand has its lines in a class of its own.
            source=norm.source if is_norm(norm) else join.source,
            join=join.source if is_norm(norm) else None,
            mends=(Mend("normalise on the branch alone: `x + f(norm(x))`"),),
        )
        if behind == value:
            plain.append((join, finding))
        else:
            activated.setdefault(join.module_type, []).append(finding)
    yield from (f for join, f in plain if not _embeds(run, join, [j.module for j, _ in plain]))
    # One unit of a stage may share its pre-activation; a stream of them has no identity.
    for findings in activated.values():
        if len(findings) > 1:
            yield from findings
    yield from _weakened(evidence)


def _weakened(evidence: Evidence) -> Iterator[Finding]:
    """Small scales that multiply the stream where they were meant for the branch."""
    for found in weakened(evidence):
        scale = repr(found.scale) if found.scale else f"{found.share:g}"
        what = "whole sum" if found.whole else "shortcut"
        size = shape(evidence.eval.flow.value(found.skip.split).shape)
        yield RULE.at(
            found.node,
            f"{scale} scales the {what} {size}, and not the branch: each block keeps "
            f"{found.share:.2g} of the stream",
            mends=(Mend("scale the branch alone: `x + scale * f(x)`"),),
        )


def _embeds(run: Pass, join: Node, hiding: list[str]) -> bool:
    """Whether the first block of a stream, and none of its like, normalises what it is given.

    It normalises the embedding, and the stream begins behind it: RWKV.
    """
    found = sorted({s.join for s in run.skips if s.live and s.merge == "add"})
    joins = map(run.graph.nodes.__getitem__, found)
    alike = list(dict.fromkeys(j.module for j in joins if j.module_type == join.module_type))
    first = len(alike) > 1 and join.module == alike[0]
    return first and hiding.count(join.module) == 1 and set(hiding).isdisjoint(alike[1:])


def _called(norm: Node) -> str:
    return called(norm) if is_norm(norm) else f"{norm.module_type} {norm.module!r}"


def _hides(run: Pass, norms: Norms, skip: SkipPath, join: Node, raw: int) -> str | None:
    """How the normalisation takes the raw value from the shortcut; None where that is meant."""
    flow = run.flow
    maker = flow.producer(raw)
    # Whatever else the block reads of its raw value shows that the wiring is meant.
    if len(_uses(norms, [n for n in _users(flow, raw) if below(n.module, join.module)])) != 1:
        return None
    if maker is None or not below(maker.module, join.module):
        if not join.module and not _is_block(run, norms, skip):
            return None  # a whole model may well normalise its data first
        return (
            "replaces the block's input: shortcut and branch of the next sum both start from "
            "the normalised value, and the raw one is lost"
        )
    before = next((s for s in run.skips if s.join == maker.index and s.kind == "identity"), None)
    ended = any(
        norms.end(n) is not None and below(n.module, join.module)
        for v in join.outputs
        for n in _users(flow, v)
    )
    if before is None or ended or not _pre_normalised(flow, norms, before):
        return None
    if _carried_along(flow, skip, join):
        return None
    return (
        "replaces the sum of the block's first half, which adds to its raw input: the shortcut of "
        "the second half starts from the normalised value"
    )


def _carried_along(flow: Flow, skip: SkipPath, join: Node) -> bool:
    """Whether the branch holds a part of the normalised value as it is: XCiT's patch tokens."""
    for node in flow.nodes_between(skip.split, join.outputs[0]):
        if name(node) not in CONCATS:
            continue
        for value in node.inputs:
            while (maker := flow.producer(value)) and name(maker) in FORMS | {"slice"}:
                value = maker.inputs[0]
            if value == skip.split:
                return True
    return False


def _is_block(run: Pass, norms: Norms, skip: SkipPath) -> bool:
    """Whether the branch begins without a normalisation of its own, and one that follows with one.

    Where both have their own, the first normalisation is the embedding's.
    """
    join = run.graph.nodes[skip.join]
    if _pre_normalised(run.flow, norms, skip):
        return False
    return any(
        norms.end(n) is not None
        for s in run.skips
        if run.graph.nodes[s.join].module == join.module and s.join >= skip.join
        for v in (s.split, *join.outputs)
        for n in _users(run.flow, v)
    )


def _uses(norms: Norms, readers: list[Node]) -> set[tuple[object, ...]]:
    """The operations, of which those of one normalisation are one.

    A module that normalises one value for query and key alike makes one value of it.
    """
    uses: set[tuple[object, ...]] = set()
    for node in readers:
        if norms.end(node) is None:
            uses.add((node.index,))
        else:  # a function may normalise with several weights in one module
            own = tuple(n for c in node.constants for n in c.names) if is_norm(node) else ()
            uses.add((node.module, *own))
    return uses


def _pre_normalised(flow: Flow, norms: Norms, skip: SkipPath) -> bool:
    """Whether the skip's branch begins with a normalisation of the split itself."""
    return any(norms.end(n) is not None and n.index < skip.join for n in _users(flow, skip.split))


def _users(flow: Flow, value: int) -> Iterator[Node]:
    """What reads the value, through changes of its form."""
    for node in flow.reads(value):
        if name(node) in FORMS and len(node.inputs) == 1:
            for made in node.outputs:
                yield from _users(flow, made)
        else:
            yield node


def _before_activation(flow: Flow, value: int) -> int:
    maker = flow.producer(value)
    if maker is not None and name(maker) in ACTIVATIONS and len(maker.inputs) == 1:
        return maker.inputs[0]
    return value


def _before_modulation(flow: Flow, norms: Norms, value: int) -> int:
    """The normalised value behind the scale and shift that a condition gives: AdaLN, FiLM.

    A condition is smaller than what it modulates. The value itself where no normalisation is met.
    """
    here = value
    while (maker := flow.producer(_bare(flow, here))) and norms.end(maker) is None:
        size = prod(flow.value(here).shape)
        large = [v for v in maker.inputs if prod(flow.value(v).shape) == size]
        if name(maker) not in {"add", "mul"} or len(large) != 1:
            return value
        here = large[0]
    return value if maker is None else _bare(flow, here)


def _bare(flow: Flow, value: int) -> int:
    """The value behind what only changes its form."""
    while (maker := flow.producer(value)) and name(maker) in FORMS and len(maker.inputs) == 1:
        value = maker.inputs[0]
    return value
