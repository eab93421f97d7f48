"""What a block does without layers that were built for it, and what to do about it."""

from __future__ import annotations

import re

from torchskip.lint.evidence import Evidence
from torchskip.lint.finding import Severity
from torchskip.lint.idle import running
from torchskip.lint.ops import ADDS, CONCATS, name
from torchskip.lint.vocabulary import bypass

__all__ = ["without"]

_ENDS = re.compile(r"(^|_)(out|last|final)", re.I)  # `proj_out`, `to_out`


def without(
    evidence: Evidence, block: str, names: list[str], fused: bool
) -> tuple[str, str, Severity | None]:
    """What a block does without these layers, what to do, and how bad it is where that is known."""
    nodes = evidence.eval.graph.nodes
    children = [p for p in evidence.modules if p and p.rpartition(".")[0] == block]
    if len(children) == 1 and not fused:
        return "what it wraps has no part in its result", "call it in forward", None
    if fused:
        return "the arms are added", "call it on their concatenation, or do not build it", None
    if any(n.module == block and name(n) in ADDS | CONCATS for n in nodes):
        if all(_ENDS.search(n) and not bypass(n) for n in names):
            mend = "call it on the branch before the addition, or do not build it"
            return "the branch is added without it", mend, None
        mend = "call it on the input, or build it only where channels or size change"
        return "its shortcut is the identity", mend, None
    runs, kind = running(evidence), evidence.modules[block].type
    for path, module in evidence.modules.items():
        if module.type == kind and path != block and all(f"{path}.{n}" in runs for n in names):
            mend = "call it here too and add its result, or do not build it here"
            return f"it has no shortcut as {path!r} has", mend, "warning"
    return "it has no shortcut", "call it in forward and add its result", None
