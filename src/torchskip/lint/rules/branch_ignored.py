"""A branch is computed and its result is never used.

## What it does
Reports layers, sums and concatenations whose result reaches no output of the model, in
evaluation and in training mode. The last round of a loop, whose other rounds are used, is a
warning.

## Why is this bad
The layers cost time and memory and are never trained: their parameters receive no gradient. The
block computes something else than it says: a residual whose branch is dropped is the identity, a
dense block that returns its last layer has no dense connections.

## Example

    def forward(self, x):
        self.conv(x)
        return x

## Use instead

    def forward(self, x):
        return x + self.conv(x)

## References
Nandan91/ULSAM#8; PetarV-/GAT#11; taki0112/Densenet-Tensorflow#6; state-spaces/s4 pull request 30.
"""

from __future__ import annotations

from collections.abc import Iterator

from torchskip.lint.dead import DeadEnd, dead_ends
from torchskip.lint.evidence import Evidence
from torchskip.lint.finding import Finding, Mend
from torchskip.lint.joins import join_of, way
from torchskip.lint.ops import ADDS, CONCATS, is_layer, name
from torchskip.lint.rule import Rule
from torchskip.lint.words import called, plural, shape

RULE = Rule("TS107", "branch-ignored", "error", __doc__)


def check(evidence: Evidence) -> Iterator[Finding]:
    """Layers and joins that no output needs."""
    ends = dead_ends(evidence.eval)
    if not ends:
        return
    also = {(e.sink.module, e.sink.source) for e in dead_ends(evidence.train)}
    flow = evidence.eval.flow
    dead = {node.index for end in ends for node in end.nodes}
    used = {(n.source, name(n)) for n in evidence.eval.graph.nodes if n.index not in dead}
    for end in ends:
        if (end.sink.module, end.sink.source) not in also:
            continue
        # The last round of a loop is often not needed: other rounds use what the line makes.
        loop = end.sink.source is not None and (end.sink.source, name(end.sink)) in used
        names = end.parameters
        sizes = flow.value(end.sink.outputs[0]).shape
        if names and not evidence.influences(names[:4]):
            yield RULE.at(
                end.sink,
                f"the result {shape(sizes)} of {called(end.sink)} is never used: "
                f"{plural(sum(map(is_layer, end.nodes)), 'layer')} with "
                f"{plural(len(names), 'parameter tensor')} run for nothing and are never trained"
                + (" (other rounds of this line are used)" if loop else ""),
                severity="warning" if loop else None,
                mends=(Mend("use the result, or remove the layers"),),
            )
        elif not names and not loop and _is_join(evidence, end) and len(sizes) > 2:
            join = join_of(flow, end.sink)
            yield RULE.at(
                end.sink,
                f"the {name(end.sink)} {shape(sizes)} joins two arms and nobody reads it: the "
                "skip connection has no effect",
                arms=tuple(
                    way(flow, f"arm {i + 1}", join.split, v) for i, v in enumerate(join.values)
                )
                if join
                else (),
                mends=(Mend("return or pass on the joined value"),),
            )


def _is_join(evidence: Evidence, end: DeadEnd) -> bool:
    """Whether the dead end joins values that layers made."""
    if name(end.sink) not in ADDS | CONCATS:
        return False
    flow = evidence.eval.flow
    join = join_of(flow, end.sink)
    return join is not None and any(
        is_layer(n) for v in join.values for n in flow.nodes_between(join.split, v)
    )
