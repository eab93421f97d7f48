"""Skip connections in PyTorch convolutional networks: build, see, check, prove, ship."""

from typing import TYPE_CHECKING, Any

from torchskip.errors import MergeShapeError, TorchskipError
from torchskip.nn import Skip

if TYPE_CHECKING:
    from torchskip.deploy import FusedModel, fuse
    from torchskip.deploy.export import export
    from torchskip.inspection import Inspection, inspect
    from torchskip.lint.check import check
    from torchskip.lint.mending import mend
    from torchskip.lint.report import Report
    from torchskip.prove import compare

__all__ = [
    "FusedModel",
    "Inspection",
    "MergeShapeError",
    "Report",
    "Skip",
    "TorchskipError",
    "check",
    "compare",
    "export",
    "fuse",
    "inspect",
    "mend",
]
__version__ = "0.1.0"

# Whoever only builds does not wait for the other verbs: they are imported on first use.
_HOMES = {
    "FusedModel": "deploy",
    "Inspection": "inspection",
    "Report": "lint.report",
    "check": "lint.check",
    "compare": "prove",
    "export": "deploy.export",
    "fuse": "deploy",
    "inspect": "inspection",
    "mend": "lint.mending",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'torchskip' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f"torchskip.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
