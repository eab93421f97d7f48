"""What torchskip raises: every message says what happened, where, the numbers and the mend."""

__all__ = ["DataError", "GeometryError", "MergeShapeError", "SpecError", "TorchskipError"]


class TorchskipError(Exception):
    """Base of every error that torchskip raises on purpose."""


class GeometryError(TorchskipError, ValueError):
    """A branch's geometry cannot be derived, or the arms' geometries cannot meet."""


class MergeShapeError(TorchskipError, ValueError):
    """Branch and shortcut arrive at a merge with shapes that do not meet."""


class SpecError(TorchskipError, ValueError):
    """A model specification such as ``file.py:Class`` does not lead to a module."""


class DataError(TorchskipError, ValueError):
    """A data directory or an image cannot be read as asked."""
