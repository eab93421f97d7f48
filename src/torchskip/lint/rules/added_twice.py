"""A value is added to itself, or the same shortcut is added twice.

## What it does
Looks through every sum, and through sums of sums, for a value that occurs more than once:
`x + x`, or `(x + f(x)) + x`; and for concatenations of a value with itself, alone or beside others,
also where it is cut out of a concatenation that holds it. A part of a sum that holds the value
already, `x + 0.5 * (x + f(x))` or `x + x * (1 + gate)`, is a warning, and so are parts of one
value, `y + 0.2 * y` or `0.5 * y + 0.5 * y`. The mean of residual blocks side by side is none, and
neither is the sum of the results of all blocks before, each of which is read elsewhere too. A
shortcut around several blocks that have their own, with no layer behind them, is a note: published
groups do so.

## Why is this bad
`x + x` is `2 * x`: no branch takes part, so there is no skip connection. It is the usual slip of
a forward that overwrote the name it meant to add (`x = f(x); x = x + x`). A shortcut that the
block adds and its caller adds again gives `2 * x + f(x)`: the identity doubles with every
block, and n blocks multiply it by 2**n.

## Example

    x = self.conv(x)
    x = x + x

## Use instead

    x = x + self.conv(x)

If doubling is meant, write it: `2 * x`.

## References
kyegomez/BitNet#32; werner-duvaud/muzero-general#89; yakhyo/darknet-pytorch#2; He et al.,
*Identity Mappings in Deep Residual Networks*, 2016, section 3.1 (a scaled identity);
MarcoForte/FBA_Matting#42 (a concatenation); asdf2kr/BAM-CBAM-pytorch#1 (a gate).
"""

from __future__ import annotations

from collections.abc import Iterator, Sized

from torchskip.graph import Node
from torchskip.lint.evidence import Evidence, Pass
from torchskip.lint.finding import Finding, Mend
from torchskip.lint.flow import Flow
from torchskip.lint.ops import ADDS, CONCATS, name
from torchskip.lint.repeats import computed, form, repeated
from torchskip.lint.rule import Rule
from torchskip.lint.scaled import factor, offset, parts, shares
from torchskip.lint.terms import operands, terms, terms_of
from torchskip.lint.words import shape, times

RULE = Rule("TS106", "added-twice", "error", __doc__)


def check(evidence: Evidence) -> Iterator[Finding]:
    """Sums that hold one value more than once."""
    for run in evidence.passes:
        seen: set[int] = set()
        for node in run.graph.nodes:
            if _overwritten(evidence, run, node):
                continue
            if terms_of(run.flow, node):
                yield from _judge(run, node, seen)
            elif name(node) in CONCATS:
                yield from _doubled(run, node)
            yield from _in_part(run, node)
            yield from _gated(run, node)
            yield from _scaled(run, node)


def _judge(run: Pass, node: Node, seen: set[int]) -> Iterator[Finding]:
    flow = run.flow
    found, sums = terms(flow, node)
    value, count = found.most_common(1)[0]
    # A doubled sum holds the doubling of its part: report where it first occurs.
    if count < 2 or not seen.isdisjoint(sums):
        return
    seen.add(node.index)
    size = shape(flow.value(value).shape)
    direct = terms_of(flow, node)
    if len({form(flow, v) for v in direct}) == 1:
        yield RULE.at(
            node,
            f"a value is added to itself: {_every(direct)} operands are the same {size}, the "
            f"result is {len(direct)}x it and no branch takes part",
            mends=(Mend("add the value saved before the branch, or write `2 * x`"),),
        )
        return
    bare = any(form(flow, v) in operands(flow, w) for v in direct for w in direct)
    if not bare and _averaged(flow, node):
        return
    holders = [flow.producer(form(flow, v)) for v in direct if value in operands(flow, v)]
    wrong = bare and any(n and (n.module, n.call) == (node.module, node.call) for n in holders)
    if not wrong and any(_read_beside(flow, node, v) for v in direct if form(flow, v) != value):
        return
    yield RULE.at(
        node,
        f"the same shortcut {size} is added {times(count)}: the sum holds it once already, so "
        f"the result is {count}x the shortcut plus the branch",
        severity="error" if wrong else "note" if _grouped(run, node, value, sums) else "warning",
        mends=(Mend("drop one of the two additions"),),
    )


def _grouped(run: Pass, node: Node, value: int, sums: set[int]) -> bool:
    """Whether a sum goes around several blocks that have their own: a group without a last layer.

    Such groups are published (DFCAN), though each of them doubles the stream. Sums within a
    block's branch are none of them: they do not hold the shortcut.
    """
    nodes = [run.graph.nodes[n] for n in sums - {node.index}]
    return len({n.module for n in nodes if value in terms(run.flow, n)[0]}) > 1


def _overwritten(evidence: Evidence, run: Pass, node: Node) -> bool:
    """Whether the operands are one value only since one was written over the other: TS104."""
    values = _values(run.flow, node)
    maker = run.flow.producer(next(iter(values))) if len(values) == 1 else None
    if maker is None or not maker.inplace or evidence.outplace is None:
        return False
    free = evidence.outplace
    return any(
        (n.op, n.module, n.call, n.source) == (node.op, node.module, node.call, node.source)
        and len(_values(free.flow, n)) > 1
        for n in free.graph.nodes
    )


def _values(flow: Flow, node: Node) -> set[int]:
    """What a sum or a concatenation joins, each value once."""
    joined = node.inputs if name(node) in CONCATS else terms_of(flow, node)
    return {form(flow, v) for v in joined}


def _read_beside(flow: Flow, node: Node, value: int) -> bool:
    """Whether something else reads an operand: sums of all blocks before each have it too (ECAPA).

    A caller that adds once more what the block has added is the one that reads its result.
    """
    return any(
        n.index != node.index and any(v in flow.live for v in n.outputs) for n in flow.reads(value)
    )


def _averaged(flow: Flow, node: Node) -> bool:
    """Whether a sum, alone or with further summands, is divided by a number.

    Residual blocks side by side, each with its shortcut, have a mean: HiFi-GAN.
    """
    while len(readers := list(flow.reads(node.outputs[0]))) == 1:
        node = readers[0]
        if factor(node) is not None:
            return True
        if not terms_of(flow, node):
            return False
    return False


def _in_part(run: Pass, node: Node) -> Iterator[Finding]:
    """A sum of a value and a part of a sum that holds the value: ``x + 0.5 * (x + f(x))``.

    Parts that make one whole are a step between two values: ``(1 - a) * x + a * (x + f(x))``.
    """
    flow = run.flow
    for whole, part, share in parts(flow, node):
        if share > 0 and form(flow, whole) in operands(flow, part):
            yield RULE.at(
                node,
                f"the same shortcut {shape(flow.value(whole).shape)} is added twice: {share:g} of "
                "it is in the other operand, so the result is "
                f"{1 + share:g}x the shortcut plus the branch",
                severity="warning",
                mends=(Mend("drop one of the two additions"),),
            )
            return


def _gated(run: Pass, node: Node) -> Iterator[Finding]:
    """A sum of a value and its product with a gate that holds a one: ``x + x * (1 + gate)``."""
    flow = run.flow
    direct = terms_of(flow, node)
    for whole, product in (direct, direct[::-1]) if len(direct) == 2 else ():
        maker = flow.producer(form(flow, product))
        factors = () if maker is None or name(maker) != "mul" else maker.inputs
        others = [v for v in factors if form(flow, v) != form(flow, whole)]
        if len(factors) != 2 or len(others) != 1:
            continue
        held = offset(flow, others[0])
        if held > 0:
            yield RULE.at(
                node,
                f"the same shortcut {shape(flow.value(whole).shape)} is added twice: the product "
                f"holds {held:g} of it already, so the result is {1 + held:g}x the shortcut plus "
                "what the gate adds",
                severity="warning",
                mends=(Mend("drop the addition, or the number that is added to the gate"),),
            )
            return


def _scaled(run: Pass, node: Node) -> Iterator[Finding]:
    """A sum or a mean of parts of one computed value: ``y * 0.2 + y``, ``0.5 * y + 0.5 * y``."""
    flow = run.flow
    found = shares(flow, node)
    values, numbers = {v for v, _ in found}, [n for _, n in found]
    if len(found) < 2 or len(values) > 1 or min(numbers) <= 0 or set(numbers) == {1.0}:
        return
    value = values.pop()
    apart = len({form(flow, v) for v in terms_of(flow, node)}) != 1  # else it is added to itself
    if apart and computed(run, value):
        yield RULE.at(
            node,
            f"a value is added to a part of itself: {_every(found)} operands are the same "
            f"{shape(flow.value(value).shape)}, the result is {sum(numbers):.3g}x it and no "
            "branch takes part",
            severity="warning",
            mends=(Mend("add the value saved before the branch"),),
        )


def _every(operands: Sized) -> str:
    return "both" if len(operands) == 2 else "all"


def _doubled(run: Pass, node: Node) -> Iterator[Finding]:
    """A concatenation of a computed value with itself along the channels.

    A grey image is repeated to three channels, and a shortcut to the branch's: both are meant.
    """
    flow = run.flow
    values = {form(flow, v) for v in node.inputs}
    if len(values) > 1:
        yield from _beside(run, node)
    if len(node.inputs) < 2 or len(values) > 1 or name(node) == "stack" or not node.outputs:
        return
    value = values.pop()
    made = computed(run, value)
    summed = any(name(n) in ADDS for n in flow.reads(node.outputs[0]))
    if not made or summed or node.argument("dim", 0) in {0, -len(flow.value(value).shape)}:
        return
    yield RULE.at(
        node,
        f"a value is concatenated with itself: all {len(node.inputs)} operands are the same "
        f"{shape(flow.value(value).shape)}, and no skip connection takes part",
        severity="warning",
        mends=(Mend("concatenate the value saved before the branch"),),
    )


def _beside(run: Pass, node: Node) -> Iterator[Finding]:
    """A concatenation that holds one value more than once beside others."""
    found = repeated(run, node)
    if found is None:
        return
    value, count = found
    yield RULE.at(
        node,
        f"the same {shape(run.flow.value(value).shape)} is concatenated {times(count)}: the "
        f"{len(node.inputs)} operands hold {len(node.inputs) - count + 1} values",
        severity="warning",
        mends=(Mend("concatenate the value that was meant in its place, or drop it there"),),
    )
