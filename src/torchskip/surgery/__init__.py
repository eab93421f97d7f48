"""Surgery: the same network with and without its skips."""

from torchskip.surgery.without import without_branches, without_skips

__all__ = ["without_branches", "without_skips"]
