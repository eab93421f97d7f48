"""Stochastic depth drops the wrong thing.

## What it does
Finds the random masks of the training pass that keep or drop whole rows (one number per sample,
token or channel) and reports masks on another axis than the batch, masks of more or fewer axes
than what they mask, masks on the sum or on the shortcut instead of the branch, masks on what
nothing goes around, masks whose result is thrown away, masks whose mean is not the factor of
evaluation, and masks that evaluation draws too, also one number for the whole batch; and a block
that returns its input by a coin in training while evaluation adds the branch unscaled. A module or
function called a stochastic depth (`drop_path`, `StochasticDepth`, `drop_connect`) must draw one
number per sample, and run; a dropout may not stand on the shortcut alone, nor on a sum where others
of the block stand on the branch, and one in a branch must know the mode.

## Why is this bad
Stochastic depth drops the *branch* of a *sample*: the shortcut then carries the sample on. On the
token axis it drops the same tokens for every sample; on the sum it drops the sample itself,
shortcut and all; on the shortcut it cuts the path that the design relies on. Without the division
the network sees smaller branches in training than in evaluation.

## Example

    mask = torch.rand((x.shape[0], 1, 1)) < keep    # x is (L, N, C): axis 0 is the token
    x = self.drop_path(x + self.mlp(x))             # drops the shortcut too
    self.drop_path = nn.Dropout(0.1)                # drops single numbers of every branch

## Use instead

    x = x + self.drop_path(self.mlp(x))             # one number per sample, divided by `keep`

## References
Huang et al., *Deep Networks with Stochastic Depth*, 2016, eqs. 2 and 5; microsoft/VideoX#85;
mosaicml/composer#372; huggingface/transformers#29140; pytorch/pytorch#26338 (`F.dropout`).
"""

from __future__ import annotations

from collections.abc import Iterator

from torchskip.graph import Source
from torchskip.lint.balance import unbalanced
from torchskip.lint.coins import coins
from torchskip.lint.drops import (
    Drop,
    after_sum,
    around,
    bypassed,
    carried,
    chance,
    drops,
    in_scope,
    is_branch,
    is_dropout,
    is_shortcut,
    met,
    misshapen,
    on_sums,
    undropped,
)
from torchskip.lint.evidence import Evidence, Pass
from torchskip.lint.facts import Draws
from torchskip.lint.finding import Finding, Mend
from torchskip.lint.flow import Flow
from torchskip.lint.joins import Join, joins
from torchskip.lint.ops import ADDS, name
from torchskip.lint.outsiders import listed_outside
from torchskip.lint.regions import below
from torchskip.lint.rule import Rule
from torchskip.lint.undrawn import undrawn
from torchskip.lint.words import shape

RULE = Rule("TS111", "misplaced-drop-path", "error", __doc__)
_ROWS = Mend("give the branch one number per sample: a mask of shape (N, 1, ...)")
_AXES = Mend("give the mask as many axes: `(x.shape[0],) + (1,) * (x.ndim - 1)`")
_KNOWN = Mend("pass `training=self.training` on, or make the module in `__init__`")
_REGISTERED = Mend("register what holds it: `eval()` does not reach a module of a plain list")
_TRAINING = Mend("return the branch as it is unless `self.training`")
_SCALED = Mend("drop per sample and divide by the keep probability: `x + self.drop_path(branch)`")
_BRANCH = Mend("drop the branch before the addition: `x + self.drop_path(branch)`")


def check(evidence: Evidence) -> Iterator[Finding]:
    """Masks that are not one number per sample of a branch, drawn in training, of mean one."""
    quiet = {(*drop.place, name(drop.node)) for drop in drops(evidence.eval)}
    run = evidence.train
    found = [d for d in drops(run) if (*d.place, name(d.node)) not in quiet]
    meets = tuple(joins(run, ADDS)) if found else ()
    for drop in found:
        if len(drop.axes) == 1:
            yield from _row(evidence, found, meets, drop)
        elif len(drop.axes) > 1:
            yield from _element(run, meets, drop)
    yield from (_whole(run, drop) for drop in on_sums(run, meets, found))
    yield from _misshapen(run)
    yield from _resting(evidence)
    yield from _idle(evidence)
    for path, line, join in coins(evidence):
        yield _tossed(path, line, join)


def _row(
    evidence: Evidence, found: list[Drop], meets: tuple[Join, ...], drop: Drop
) -> Iterator[Finding]:
    """One number per row: of the wrong rows, of the wrong value, or of the wrong size."""
    flow, node = evidence.train.flow, drop.node
    full = flow.value(node.inputs[0]).shape
    axis, join = drop.axes[0], met(meets, drop)
    place = join.node.source if join else None
    if not any(value in flow.live for value in node.outputs):
        if drop.start in flow.live:  # else the branch is not used either: another rule's finding
            yield RULE.at(
                node,
                f"the result of the stochastic depth {shape(drop.mask.shape)} is thrown away: the "
                "branch is never dropped",
                source=_thrown(flow, drop),
                mends=(Mend("use its result: `x = x + self.drop_path(branch)`"),),
            )
    elif (
        evidence.mark is not None
        and not evidence.marked(drop.mask.shape[axis])
        and (join or after_sum(flow, drop))
    ):
        batch = next((i for i, size in enumerate(full) if evidence.marked(size)), None)
        yield RULE.at(
            node,
            f"the stochastic depth drops along axis {axis} of {shape(full)}"
            + (f"; the samples are axis {batch}" if batch is not None else "")
            + ": it removes the same positions of every sample",
            join=place,
            mends=(_ROWS,),
        )
    elif after_sum(flow, drop) and not is_branch(flow, meets, drop.end):
        yield RULE.at(
            node,
            f"the stochastic depth drops the sum {shape(full)}: a dropped sample loses its "
            "shortcut too and goes on as zeros",
            source=_made(flow, drop.start),
            mends=(_BRANCH,),
        )
    elif (not join or join.split == drop.end) and _uncarried(evidence.train, drop):
        yield RULE.at(
            node,
            f"the stochastic depth drops {shape(full)}, which nothing goes around: a dropped "
            "sample goes on as zeros",
            source=_made(flow, drop.start),
            severity="warning",
            mends=(Mend("drop where there is a shortcut alone: `x + self.drop_path(branch)`"),),
        )
    elif join and is_shortcut(flow, join, drop) and undropped(flow, join, drop, found):
        yield RULE.at(
            node,
            f"the stochastic depth drops the shortcut {shape(full)} and keeps the branch",
            source=place,
            mends=(Mend("drop the branch instead: `x + self.drop_path(branch)`"),),
        )
    elif join and (draws := evidence.numbers.drawn(drop.place, len(full), True)):
        yield from _scale(evidence, join, drop, draws)


def _uncarried(run: Pass, drop: Drop) -> bool:
    """Whether nothing carries a dropped sample on: no shortcut, and no way to an output."""
    return in_scope(drop.node) and not (bypassed(run.flow, drop) and carried(run, drop))


def _scale(evidence: Evidence, join: Join, drop: Drop, draws: Draws) -> Iterator[Finding]:
    """A mask of zeros and one other number whose mean is not the factor of evaluation."""
    found = unbalanced(evidence, join, drop, draws)
    if found is None:
        return
    why = (
        "is not divided by its keep probability"
        if found.unscaled
        else f"keeps {found.keep:.2f} of the samples and scales them by {found.kept:.2f}"
    )
    yield RULE.at(
        drop.node,
        f"the stochastic depth {why}: the branch is {found.mean:.2f}x as large in training as in "
        "evaluation",
        join=join.node.source,
        severity="warning",
        mends=(Mend("divide the mask by the keep probability in training"),),
    )


def _element(run: Pass, meets: tuple[Join, ...], drop: Drop) -> Iterator[Finding]:
    """One number per element or channel: under a wrong name, or on the shortcut alone."""
    flow, join = run.flow, met(meets, drop)
    if join is None:
        return
    bypass = is_shortcut(flow, join, drop)
    if in_scope(drop.node) and not bypass:
        yield RULE.at(
            drop.node,
            f"the stochastic depth draws a mask {shape(drop.mask.shape)} for the branch "
            f"{shape(flow.value(drop.start).shape)}: that is dropout, and no sample is ever "
            "without the branch",
            join=join.node.source,
            severity="warning",
            mends=(_ROWS,),
        )
    elif bypass and drop.start == join.split:
        yield RULE.at(
            drop.node,
            f"the dropout stands on the shortcut {shape(drop.mask.shape)} and the branch reads "
            "what is not dropped: every block zeroes a part of the stream",
            join=join.node.source,
            severity="warning",
            mends=(Mend("drop the branch instead: `x + self.dropout(branch)`"),),
        )


def _whole(run: Pass, drop: Drop) -> Finding:
    return RULE.at(
        drop.node,
        f"the dropout zeroes numbers of the whole sum {shape(drop.mask.shape)}, shortcut and all, "
        "and others of such a block drop the branch alone",
        source=_made(run.flow, drop.start),
        severity="warning",
        mends=(Mend("drop the branch before the addition: `x + self.dropout(branch)`"),),
    )


def _misshapen(run: Pass) -> Iterator[Finding]:
    """Masks that do not have the axes of what they mask."""
    for node, mask in misshapen(run):
        full = run.flow.value(node.inputs[0]).shape
        more = len(mask.shape) > len(full)
        yield RULE.at(
            node,
            f"the stochastic depth's mask {shape(mask.shape)} has {len(mask.shape)} axes and "
            f"{shape(full)} has {len(full)}: "
            + (
                f"the result {shape(run.flow.value(node.outputs[0]).shape)} holds every sample "
                "under the number of each"
                if more and node.outputs
                else "its numbers stand on another axis than the samples"
            ),
            mends=(_AXES,),
        )


def _resting(evidence: Evidence) -> Iterator[Finding]:
    """Rows that evaluation drops too, and single numbers of a branch."""
    run = evidence.eval
    found = list(drops(run))
    meets = tuple(joins(run, ADDS)) if found else ()
    for drop in found:
        join = met(meets, drop) if len(drop.axes) < 2 else around(run.flow, meets, drop)
        if join is None or is_shortcut(run.flow, join, drop):
            continue
        if _drawn_resting(evidence, drop) if len(drop.axes) < 2 else is_dropout(drop.node):
            what = "stochastic depth" if len(drop.axes) < 2 else "dropout"
            yield RULE.at(
                drop.node,
                f"the {what} {shape(drop.mask.shape)} drops in evaluation too: two "
                "passes on one input differ",
                join=join.node.source,
                severity="warning",
                mends=(_reached(evidence, drop),),
            )


def _reached(evidence: Evidence, drop: Drop) -> Mend:
    """How evaluation is to reach the mask."""
    if listed_outside(evidence, drop.node):
        return _REGISTERED
    return _TRAINING if len(drop.axes) < 2 else _KNOWN


def _drawn_resting(evidence: Evidence, drop: Drop) -> bool:
    rank = len(evidence.eval.flow.value(drop.node.inputs[0]).shape)
    draws = evidence.numbers.drawn(drop.place, rank, False)
    return bool(draws and draws.varied and draws.binary and draws.mean < draws.peak)


def _idle(evidence: Evidence) -> Iterator[Finding]:
    """Modules called a stochastic depth, of a probability above zero, that drop nothing."""
    for module, why, source, mend in undrawn(evidence):
        told = f"{module.path!r} ({module.type} of {chance(module):g}) {why}"
        path, mends = module.path, (Mend(mend),)
        yield RULE.at(None, told, severity="warning", module=path, source=source, mends=mends)


def _tossed(path: str, line: Source, join: Join) -> Finding:
    told = (
        "a coin leaves the branch out for the whole batch, and evaluation adds it unscaled: it is "
        "larger there than training's mean"
    )
    place = join.node.source
    return RULE.at(
        None, told, severity="warning", module=path, source=line, join=place, mends=(_SCALED,)
    )


def _thrown(flow: Flow, drop: Drop) -> Source | None:
    """The mask's line in a function beside the block's forward, else what a module was given."""
    maker = flow.producer(drop.start)
    own = maker is None or below(maker.module, drop.node.module)
    return drop.node.source if own else _made(flow, drop.start)


def _made(flow: Flow, value: int) -> Source | None:
    maker = flow.producer(value)
    return maker.source if maker else None
