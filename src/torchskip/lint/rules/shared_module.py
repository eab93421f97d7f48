"""One module with weights serves several places.

## What it does
Reports modules with parameters that are registered under several names (`[block] * n`), that are
called on their own output from different lines, or that are called twice on the same value.

## Why is this bad
`nn.Sequential(*[block] * 8)` is one block applied eight times: an eighth of the parameters, and
normalisation statistics that are averaged over places where they differ. Networks that share
weights on purpose loop over one module, or run it on several inputs side by side; these are not
reported.

## Example

    self.blocks = nn.Sequential(*([ResBlock(64)] * 8))

## Use instead

    self.blocks = nn.Sequential(*(ResBlock(64) for _ in range(8)))

## References
deep-learning-with-pytorch/dlwpt-code#89; SSinyu/RED-CNN#8; joeylitalien/noise2noise-pytorch#7;
Project-MONAI/MONAI#7802.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from torchskip.graph import Node
from torchskip.lint.evidence import Evidence
from torchskip.lint.finding import Finding, Mend
from torchskip.lint.ops import is_layer
from torchskip.lint.rule import Rule
from torchskip.lint.words import listed, times

RULE = Rule("TS203", "shared-module", "warning", __doc__)
_OWN = (Mend("make one module per place"),)


def check(evidence: Evidence) -> Iterator[Finding]:
    """Modules registered more than once, or called from several lines on their own result."""
    modules = evidence.modules
    reported: set[str] = set()
    for names in evidence.registered:
        known = [name for name in names if name in modules]
        module = modules.get(known[0]) if known else None
        if module is None or module.calls < 2:
            continue
        reported.update(names)
        shown = listed([repr(n) for n in names[:4]]) + (" ..." if len(names) > 4 else "")
        yield RULE.at(
            None,
            f"{shown} are one {module.type}: it runs {times(module.calls)} with the same weights",
            module=names[0],
            source=module.source,
            mends=_OWN,
        )
    yield from _lines(evidence, reported)


def _lines(evidence: Evidence, reported: set[str]) -> Iterator[Finding]:
    flow = evidence.eval.flow
    calls: dict[str, list[Node]] = {}
    for node in evidence.eval.graph.nodes:
        if is_layer(node) and any(c.names for c in node.constants):
            calls.setdefault(node.module, []).append(node)
    for path, nodes in calls.items():
        first = {node.call: node for node in reversed(nodes)}
        if len(first) < 2 or any(path == r or path.startswith(r + ".") for r in reported):
            continue
        ordered = [first[call] for call in sorted(first)]
        for before, after in pairwise(ordered):
            lines = (before.source, after.source)
            if before.inputs and before.inputs[:1] == after.inputs[:1]:
                text = f"{path!r} runs twice on the same value: both arms hold the same layer"
            elif None in lines or lines[0] == lines[1]:
                continue
            elif after.inputs and flow.depends(after.inputs[0], before.outputs[0]):
                text = (
                    f"{path!r} runs on its own result from another line "
                    f"({times(len(ordered))} in all): two levels share one layer"
                )
            else:
                continue
            yield RULE.at(after, text, mends=_OWN)
            break
