"""Ship: the same function from a faster object, or in a file for another runtime."""

from torchskip.deploy.fuse import fuse
from torchskip.deploy.model import FusedModel
from torchskip.deploy.report import Report

__all__ = ["FusedModel", "Report", "fuse"]
