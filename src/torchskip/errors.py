"""What torchskip raises: every message says what happened, where, the numbers and the mend."""

from collections.abc import Sequence

__all__ = [
    "ArgumentError",
    "BranchInputError",
    "DataError",
    "ExportError",
    "FuseError",
    "GeometryError",
    "MergeShapeError",
    "SpecError",
    "SurgeryError",
    "TorchskipError",
]


class TorchskipError(Exception):
    """Base of every error that torchskip raises on purpose."""


class ArgumentError(TorchskipError, ValueError):
    """An argument has no meaning here: an unknown name, a number out of range, no branch."""


class GeometryError(TorchskipError, ValueError):
    """A branch's geometry cannot be derived, or the arms' geometries cannot meet."""


class MergeShapeError(TorchskipError, ValueError):
    """Branch and shortcut arrive at a merge with shapes that do not meet.

    >>> print(MergeShapeError("add", (8, 128, 16, 16), (8, 64, 32, 32), where="'layer2.0' (Skip)"))
    cannot add branch and shortcut in 'layer2.0' (Skip)
      branch    (8, 128, 16, 16)
      shortcut  (8, 64, 32, 32)    axes 1, 2, 3 differ
    """

    def __init__(
        self,
        merge: str,
        branch: Sequence[int],
        shortcut: Sequence[int],
        *,
        where: str = "",
        mend: str = "",
    ) -> None:
        self.merge = merge
        self.branch = tuple(int(n) for n in branch)
        self.shortcut = tuple(int(n) for n in shortcut)
        self.where = where
        self.mend = mend
        super().__init__(self.merge, self.branch, self.shortcut, where, mend)

    @property
    def axes(self) -> tuple[int, ...]:
        """Axes along which the shapes differ; empty when the ranks do."""
        if len(self.branch) != len(self.shortcut):
            return ()
        pairs = zip(self.branch, self.shortcut, strict=True)
        return tuple(axis for axis, (b, s) in enumerate(pairs) if b != s)

    def __str__(self) -> str:
        axes = self.axes
        if not axes:
            differ = f"ranks {len(self.branch)} and {len(self.shortcut)} differ"
        elif len(axes) == 1:
            differ = f"axis {axes[0]} differs"
        else:
            differ = f"axes {', '.join(map(str, axes))} differ"
        lines = [
            f"cannot {self.merge} branch and shortcut"
            + (f" in {self.where}" if self.where else ""),
            f"  branch    {self.branch}",
            f"  shortcut  {self.shortcut}    {differ}",
        ]
        if self.mend:
            lines.append(f"  mend: {self.mend}")
        return "\n".join(lines)

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (self.merge, self.branch, self.shortcut, self.where, self.mend)


def _rebuild(
    merge: str, branch: tuple[int, ...], shortcut: tuple[int, ...], where: str, mend: str
) -> MergeShapeError:
    return MergeShapeError(merge, branch, shortcut, where=where, mend=mend)


class BranchInputError(TorchskipError, ValueError, RuntimeError):
    """A branch cannot take the input it was given: wrong channels, or too few pixels."""


class SpecError(TorchskipError, ValueError):
    """A model specification such as ``file.py:Class`` does not lead to a module."""


class DataError(TorchskipError, ValueError):
    """A data directory or an image cannot be read as asked."""


class TrainingError(TorchskipError, RuntimeError):
    """A training cannot begin, go on, be saved or be resumed."""


class FuseError(TorchskipError, RuntimeError):
    """A model cannot be fused without computing something else, or an input is not covered."""


class ExportError(TorchskipError, RuntimeError):
    """A model cannot be exported, or the exported file computes something else."""


class SurgeryError(TorchskipError, RuntimeError):
    """A model cannot be cut or bypassed as asked, or ran another way than when it was cut."""
