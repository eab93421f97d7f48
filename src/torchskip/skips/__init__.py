"""Find: the skip connections of a traced graph."""

from torchskip.skips.find import find_skips

__all__ = ["find_skips"]
