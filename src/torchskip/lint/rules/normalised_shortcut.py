"""The shortcut carries the normalised input although the raw one was at hand.

## What it does
Reports residual blocks that begin by normalising their input and start branch *and* shortcut from
the normalised value.

## Why is this bad
A pre-normalisation block computes `x + f(norm(x))`: the stream itself is never normalised, so the
gradient reaches every block unchanged. With `x = norm(x)` the stream passes every normalisation,
which is the post-normalisation wiring without its stability at the end, and usually a slip.

## Example

    x = self.norm(x)
    return x + self.mlp(x)

## Use instead

    return x + self.mlp(self.norm(x))

Blocks whose shortcut starts after normalisation *and* activation (He et al. 2016, first unit of a
stage) and blocks that normalise after the addition are published and are not reported.

## References
Howuhh/faster-trajectory-transformer#3; allenai/OLMo pull request 680; Xiong et al., *On Layer
Normalization in the Transformer Architecture*, 2020.
"""

from __future__ import annotations

from collections.abc import Iterator

from torchskip.lint.evidence import Evidence
from torchskip.lint.finding import Finding, Mend
from torchskip.lint.flow import Flow
from torchskip.lint.ops import FORMS, is_norm, name
from torchskip.lint.rule import Rule
from torchskip.lint.words import called

RULE = Rule("TS202", "normalised-shortcut", "warning", __doc__)


def check(evidence: Evidence) -> Iterator[Finding]:
    """Identity skips that part right behind a normalisation of the block's own input."""
    run = evidence.eval
    flow, graph = run.flow, run.graph
    for skip in run.skips:
        if skip.kind != "identity" or skip.merge != "add" or not skip.live:
            continue
        join = graph.nodes[skip.join]
        value = skip.split
        norm = flow.producer(_bare(flow, value))
        if norm is None or not is_norm(norm) or not norm.inputs or not join.module:
            continue
        if not norm.module.startswith(join.module + "."):
            continue
        raw = _bare(flow, norm.inputs[0])
        maker = flow.producer(raw)
        outside = maker is None or not (maker.module + ".").startswith(join.module + ".")
        # Whatever else the block reads of its raw input shows that the wiring is meant.
        inside = [n for n in flow.reads(raw) if (n.module + ".").startswith(join.module + ".")]
        if outside and len(inside) == 1:
            yield RULE.at(
                norm,
                f"{called(norm)} replaces the block's input: shortcut and branch of the next sum "
                "both start from the normalised value, and the raw one is lost",
                join=join.source,
                mends=(Mend("normalise on the branch alone: `x + f(norm(x))`"),),
            )


def _bare(flow: Flow, value: int) -> int:
    """The value behind what only changes its form."""
    while (maker := flow.producer(value)) and name(maker) in FORMS and len(maker.inputs) == 1:
        value = maker.inputs[0]
    return value
