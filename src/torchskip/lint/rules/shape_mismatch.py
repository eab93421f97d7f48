"""The arms of a join have shapes that do not meet, and forward fails.

## What it does
When forward stops at a sum, product or concatenation, traces both arms back to where they part, or
to the inputs that they come from, names every step with its shape and the first step after which
the arms can no longer meet, and solves for settings that make them meet.

## Why is this bad
The model does not run. PyTorch's message ("The size of tensor a (32) must match the size of tensor
b (11)") names neither arm, nor the layer that changed the size.

## Example

    self.conv = nn.Conv2d(3, 6, 2, stride=2, padding=2)
    ...
    return x + self.conv(x)

## Use instead

    self.conv = Skip(nn.Conv2d(3, 6, 2, stride=2, padding=2))   # derives the shortcut

or a stride, padding and kernel that keep the size.

## References
He et al., *Deep Residual Learning*, 2015, eq. 2 (the projection); Dumoulin & Visin, *A guide to
convolution arithmetic*, 2016; Project-MONAI/MONAI#7591.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from math import prod

from torchskip.lint.evidence import Evidence, Pass
from torchskip.lint.finding import Finding, Mend, Wrap
from torchskip.lint.lengths import built_for, kept, strides
from torchskip.lint.mismatch import Mismatch, mismatch
from torchskip.lint.ops import is_layer, name
from torchskip.lint.rule import Rule
from torchskip.lint.solve import Layer, layers_of, project, round_up, solve
from torchskip.lint.unpadded import shrinking
from torchskip.lint.words import called, listed, shape

RULE = Rule("TS101", "shape-mismatch", "error", __doc__)
_INTERPOLATES = re.compile(r"_?upsample_|_unsafe_index$")  # to the nearest pixel by its index


def check(evidence: Evidence) -> Iterator[Finding]:
    """The join at which forward failed, in evaluation or only in training."""
    for run in (evidence.eval, evidence.train):
        found = mismatch(run)
        if found is None:
            if run.graph.failure is not None:
                return
            continue
        yield RULE.at(
            found.join.node,
            found.message,
            source=run.graph.failure.source if run.graph.failure else None,
            arms=found.ways,
            mends=_mends(run, found),
        )
        return


def _mends(run: Pass, found: Mismatch) -> tuple[Mend, ...]:
    flow = run.flow
    if found.split is None:
        return tuple(strides(run, found))
    start = flow.value(found.split).shape
    branch, shortcut = (flow.value(v).shape for v in (found.branch, found.shortcut))
    empty = next(_emptied(run, found), None)
    if empty is not None:
        return (empty,)
    mends: list[Mend] = list(_reshaped(branch, shortcut))
    rank = len(branch) - 2
    spatial = bool(found.axes) and min(found.axes) >= 2
    if spatial and len(shortcut) == len(branch) == len(start) and rank >= 1:
        mends += list(_own_level(run, found)) or _settings(run, found) or _unpadded(run, found)
    if found.concat or (spatial and _lowest(run, found)):
        if spatial:
            mends.append(
                Mend(
                    f"resize the branch to its skip: `F.interpolate(x, size={shortcut[2:]})`, "
                    "written `size=skip.shape[2:]`"
                )
            )
        return tuple(mends[:3])
    if _recurrent(run, found):
        mends.append(Mend("join the sequence, or the last layer's state: `h[-1].unsqueeze(1)`"))
        return tuple(mends[:3])
    if spatial and (resized := tuple(_resized(run, found))):
        return (*resized, *mends[:2])
    if found.shortcut == found.split and _features(found):
        mends.append(Mend(f"project the shortcut: `nn.Linear({shortcut[-1]}, {branch[-1]})`"))
    if moved := tuple(kept(run, found)):
        return (*mends[:2], *moved)[:3]
    if rank >= 1 and found.axes and len(start) == len(branch):
        modules = _modules(run, found)
        auto = Wrap(modules, (("shortcut", "auto"),), start, branch) if modules else None
        mends.append(
            Mend(
                f"{_wrapped(auto, 'auto')}: the derived shortcut brings {shape(start)} to the "
                f"branch's {shape(branch)}",
                wrap=auto,
            )
        )
        if found.shortcut == found.split:
            keep = Wrap(modules, (("keep", "input"),), start, start) if modules else None
            mends.append(
                Mend(
                    f"{_wrapped(keep, 'input')}: the branch is brought back, pixel-aligned, and "
                    f"the result keeps {shape(start)}",
                    wrap=keep,
                )
            )
            mends += _narrowed(run, found)
    return tuple(mends[:3])


def _narrowed(run: Pass, found: Mismatch) -> Iterator[Mend]:
    """The last layer with the shortcut's width, and what was built for its own behind it."""
    if found.axes != (1,):
        return
    branch, shortcut = (run.flow.value(v).shape[1] for v in (found.branch, found.shortcut))
    nodes = found.between(found.branch)
    layers = [i for i, n in enumerate(nodes) if is_layer(n) and n.module]
    if not layers:
        return
    last, behind = nodes[layers[-1]], nodes[layers[-1] + 1 :]
    if run.flow.value(last.outputs[0]).shape[1:2] != (branch,):
        return
    built = built_for(branch, last, behind)
    more = f", and {listed(map(repr, built))} for them" if built else ""
    yield Mend(f"build {last.module!r} with {shortcut} outputs, not {branch}{more}")


def _resized(run: Pass, found: Mismatch) -> Iterator[Mend]:
    """The other arm's size for a resize on an arm of a sum; an input's size needs no other."""
    flow = run.flow
    given = {flow.value(v).shape[2:] for v in run.graph.inputs}
    arms = [(found.branch, found.shortcut), (found.shortcut, found.branch)]
    for value, other in sorted(arms, key=lambda arm: flow.value(arm[0]).shape[2:] in given):
        if any(_INTERPOLATES.match(name(n)) for n in found.between(value)):
            size = flow.value(other).shape[2:]
            yield Mend(
                f"give the resize of the {found.roles[value]} its size, no factor: "
                f"`F.interpolate(x, size={size})`, written `size=other.shape[2:]`"
            )
            return


def _settings(run: Pass, found: Mismatch) -> list[Mend]:
    """Settings with which every arm arrives at the shortcut's size, as one mend."""
    flow, split = run.flow, found.join.split
    start, target = (flow.value(v).shape[2:] for v in (split, found.shortcut))
    flat = layers_of(flow, split, found.shortcut)
    whole = layers_of(flow, split, found.branch)
    if whole is not None and flat is not None:
        rounded = round_up(whole, flat, start)
        if rounded is not None:
            return [rounded]
    projected = project(whole, flat, start) if whole and flat and not found.concat else None
    if projected is not None:
        return [*_once(found, whole or (), flat or (), start), projected]
    parts: list[Mend] = []
    for value in found.join.values:
        deep = layers_of(flow, split, value)
        if flow.value(value).shape[2:] == target:
            continue
        solved = solve(deep, flat, start)[:1] if deep is not None and flat is not None else ()
        if not solved:
            return []
        parts += solved
    words = [part.text.removeprefix("set ") for part in parts]
    edits = tuple(edit for part in parts for edit in part.edits)
    return [Mend("set " + listed(words), edits=edits)] if parts else []


def _once(
    found: Mismatch, branch: tuple[Layer, ...], shortcut: tuple[Layer, ...], start: tuple[int, ...]
) -> tuple[Mend, ...]:
    """The branch without the stride that it repeats: both arms stride, and the branch again."""
    strides = [
        [prod(x.stride[a] for x in arm) for arm in (branch, shortcut)] for a in range(len(start))
    ]
    if any(a != b and not a > b > 1 for a, b in strides):
        return ()
    at = {w.steps[w.parts].module for w in found.ways if w.parts is not None}
    mends = solve(branch, shortcut, start, 4)
    return tuple(m for m in mends if {edit.module for edit in m.edits} <= at)[:1] or mends[:1]


def _emptied(run: Pass, found: Mismatch) -> Iterator[Mend]:
    """A slice on an arm that keeps nothing of what it takes."""
    flow = run.flow
    for value in found.join.values:
        for node in found.between(value):
            if name(node) != "slice":
                continue
            before, after = flow.value(node.inputs[0]).shape, flow.value(node.outputs[0]).shape
            if 0 in after and 0 not in before:
                yield Mend("a slice `[d:-d]` keeps nothing for d = 0: write `[d : size - d]`")


def _features(found: Mismatch) -> bool:
    """Whether the arms differ in the features that linear layers make, on the last axis."""
    layers = [n for n in found.between(found.branch) if is_layer(n)]
    linear = bool(layers) and all(name(n) in {"mm", "addmm", "bmm", "linear"} for n in layers)
    return linear and found.axes == (len(found.shapes[0]) - 1,)


def _recurrent(run: Pass, found: Mismatch) -> bool:
    """Whether the branch ends with a recurrent layer, which gives a sequence and its state."""
    maker = run.flow.producer(found.branch)
    return maker is not None and maker.module_type in {"RNN", "GRU", "LSTM"}


def _own_level(run: Pass, found: Mismatch) -> Iterator[Mend]:
    """The feature of the size to which the branch came up again: another entry of a skip list."""
    flow = run.flow
    target = flow.value(found.branch).shape
    steps, low = flow.longest(found.join.split, found.branch), _lowest(run, found)
    # A list that keeps what was pooled: the way only goes up from the feature that is joined.
    pooled = found.concat and found.shortcut == found.split
    if not low and not (pooled and prod(flow.value(found.shortcut).shape[2:]) < prod(target[2:])):
        return
    starts = [v for v in run.graph.inputs if flow.depends(found.join.split, v)]
    before = flow.longest(starts[0], found.join.split) if starts else ()
    for node, value in reversed((*before, *steps[:low])):
        size = flow.value(value).shape
        if size[2:] == target[2:] and (found.concat or size == target):
            yield Mend(f"join the feature of that size: {called(node)} gives {shape(size)}")
            return


def _lowest(run: Pass, found: Mismatch) -> int:
    """Where the way down and up again turns; 0 for a way that does not."""
    flow = run.flow
    steps = flow.longest(found.join.split, found.branch)
    low = min(range(len(steps)), key=lambda i: prod(flow.value(steps[i][1]).shape[2:]), default=0)
    end = prod(flow.value(found.branch).shape[2:])
    turns = bool(steps) and prod(flow.value(steps[low][1]).shape[2:]) * 2 <= end
    return low if turns else 0


def _unpadded(run: Pass, found: Mismatch) -> list[Mend]:
    """The padding with which a way down and up comes back at the size of its shortcut."""
    flow, split = run.flow, found.join.split
    if not _lowest(run, found):
        return []
    layers = shrinking(flow, split, found.branch, flow.value(found.shortcut).shape[2:])
    if not layers:
        return []
    named = listed(f"{x.module!r}: padding={x.padding[0]}" for x in layers[:2])
    return [Mend(f"let the convolutions keep the map's size: {named}")]


def _reshaped(branch: tuple[int, ...], shortcut: tuple[int, ...]) -> Iterator[Mend]:
    """What brings shapes together that hold the same numbers, or differ in their rank."""
    if len(branch) != len(shortcut):
        if prod(branch) == prod(shortcut):
            yield Mend(f"reshape the branch: `.view_as(x)` makes {shape(branch)} {shape(shortcut)}")
        else:
            yield Mend("keep the axis that one arm lost: `keepdim=True`, `unsqueeze`, no `flatten`")
        return
    moved = [i for i, (a, b) in enumerate(zip(branch, shortcut, strict=True)) if a != b]
    if len(moved) == 2 and sorted(branch) == sorted(shortcut):
        yield Mend(f"swap the branch's axes: `.transpose({moved[0]}, {moved[1]})`")


def _wrapped(wrap: Wrap | None, word: str) -> str:
    if wrap is not None:
        return f"write `{wrap.code}`"
    argument = 'shortcut="auto"' if word == "auto" else 'keep="input"'
    return f"wrap the branch in `Skip(..., {argument})`"


def _modules(run: Pass, found: Mismatch) -> tuple[str, ...]:
    """The branch as modules in order; empty when forward does some of it by functions."""
    leaves = {m.path for m in run.graph.modules if m.leaf}
    paths: list[str] = []
    for node, _ in run.flow.longest(found.join.split, found.branch):
        if node.module not in leaves:
            return ()
        if not paths or paths[-1] != node.module:
            paths.append(node.module)
    return tuple(paths)
