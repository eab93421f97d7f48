"""Surgery: the same network with and without its skips."""

from torchskip.surgery.added import AddedSkip
from torchskip.surgery.adding import with_skips
from torchskip.surgery.choose import SUMS, Which
from torchskip.surgery.meeting import meeting
from torchskip.surgery.without import without_branches, without_skips

__all__ = [
    "SUMS",
    "AddedSkip",
    "Which",
    "meeting",
    "with_skips",
    "without_branches",
    "without_skips",
]
