"""Skip connections in PyTorch convolutional networks: build, see, check, prove, ship."""

from torchskip.deploy import FusedModel, fuse
from torchskip.errors import MergeShapeError, TorchskipError
from torchskip.inspection import Inspection, inspect
from torchskip.lint.check import check
from torchskip.lint.mending import mend
from torchskip.lint.report import Report
from torchskip.nn import Skip

__all__ = [
    "FusedModel",
    "Inspection",
    "MergeShapeError",
    "Report",
    "Skip",
    "TorchskipError",
    "check",
    "fuse",
    "inspect",
    "mend",
]
__version__ = "0.1.0"
