"""Surgery: the same network with and without its skips."""

from torchskip.surgery.added import AddedSkip
from torchskip.surgery.adding import with_skips
from torchskip.surgery.meeting import meeting
from torchskip.surgery.without import without_branches, without_skips

__all__ = ["AddedSkip", "meeting", "with_skips", "without_branches", "without_skips"]
