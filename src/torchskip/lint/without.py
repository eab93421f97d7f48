"""What a block does without parts that were built for it, and what to do about it."""

from __future__ import annotations

import re

from torchskip.lint.finding import Severity
from torchskip.lint.ops import ADDS, CONCATS, name
from torchskip.lint.promises.block import Blocks
from torchskip.lint.promises.spare import Spare
from torchskip.lint.vocabulary import bypass

__all__ = ["without"]

_ENDS = re.compile(r"(^|_)(out|last|final)", re.I)  # `proj_out`, `to_out`


def without(blocks: Blocks, spare: Spare) -> tuple[str, str, Severity | None]:
    """What the block does without the parts, what to do, and how bad it is where that is known."""
    block, names = spare.block, [part.word for part in spare.parts]
    if len(block.parts) == 1 and not spare.fuse:
        return "what it wraps has no part in its result", "call it in forward", None
    if spare.fuse:
        return "the arms are added", "call it on their concatenation, or do not build it", None
    if any(n.module == block.path and name(n) in ADDS | CONCATS for n in block.run.graph.nodes):
        if all(_ENDS.search(n) and not bypass(n) for n in names):
            mend = "call it on the branch before the addition, or do not build it"
            return "the branch is added without it", mend, None
        mend = "call it on the input, or build it only where channels or size change"
        return "its shortcut is the identity", mend, None
    for other in blocks.values():
        if other.type == block.type and other is not block:
            run = {part.word for part in other.parts if part.runs}
            if run.issuperset(names):
                mend = "call it here too and add its result, or do not build it here"
                return f"it has no shortcut as {other.path!r} has", mend, "warning"
    return "it has no shortcut", "call it in forward and add its result", None
