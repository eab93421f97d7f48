"""Surgery: the same network with and without its skips."""

from torchskip.surgery.added import AddedSkip
from torchskip.surgery.adding import with_skips
from torchskip.surgery.without import without_branches, without_skips

__all__ = ["AddedSkip", "with_skips", "without_branches", "without_skips"]
