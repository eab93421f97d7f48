"""Skip connections in PyTorch convolutional networks: build, see, check, prove, ship."""

from torchskip.errors import MergeShapeError, TorchskipError
from torchskip.inspection import Inspection, inspect
from torchskip.nn import Skip

__all__ = ["Inspection", "MergeShapeError", "Skip", "TorchskipError", "inspect"]
__version__ = "0.1.0"
