"""The arms of a join have shapes that do not meet, and forward fails.

## What it does
When forward stops at a sum, product or concatenation, traces both arms back to where they part,
names every step with its shape and the first step after which the arms can no longer meet, and
solves for settings that make them meet.

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

from collections.abc import Iterator

from torchskip.lint.evidence import Evidence, Pass
from torchskip.lint.finding import Finding, Mend, Wrap
from torchskip.lint.mismatch import Mismatch, mismatch
from torchskip.lint.rule import Rule
from torchskip.lint.solve import layers_of, solve
from torchskip.lint.words import shape

RULE = Rule("TS101", "shape-mismatch", "error", __doc__)


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
    flow, join = run.flow, found.join
    start = flow.value(join.split).shape
    branch, shortcut = (flow.value(v).shape for v in (found.branch, found.shortcut))
    mends: list[Mend] = []
    rank = len(branch) - 2
    spatial = bool(found.axes) and min(found.axes) >= 2
    if spatial and len(shortcut) == len(branch) == len(start) and rank >= 1:
        deep = layers_of(flow, join.split, found.branch)
        flat = layers_of(flow, join.split, found.shortcut)
        if deep is not None and flat is not None:
            mends += solve(deep, flat, start[2:])[:1]
    if found.concat:
        if spatial:
            mends.append(
                Mend(
                    f"resize the branch to its skip: `F.interpolate(x, size={shortcut[2:]})`, "
                    "written `size=skip.shape[2:]`"
                )
            )
        return tuple(mends[:3])
    if rank >= 1 and len(start) == len(branch):
        modules = _modules(run, found)
        auto = Wrap(modules, (("shortcut", "auto"),), start, branch) if modules else None
        mends.append(
            Mend(
                f"{_wrapped(auto, 'auto')}: the derived shortcut brings {shape(start)} to the "
                f"branch's {shape(branch)}",
                wrap=auto,
            )
        )
        if found.shortcut == join.split:
            keep = Wrap(modules, (("keep", "input"),), start, start) if modules else None
            mends.append(
                Mend(
                    f"{_wrapped(keep, 'input')}: the branch is brought back, pixel-aligned, and "
                    f"the result keeps {shape(start)}",
                    wrap=keep,
                )
            )
    return tuple(mends[:3])


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
