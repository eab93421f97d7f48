"""`mend`: a corrected copy of a model with in-place faults."""

from __future__ import annotations

from typing import Any

from torch import nn

from torchskip.errors import TorchskipError
from torchskip.example import infer_example
from torchskip.lint.check import check
from torchskip.lint.probes.outplace import OutOfPlace
from torchskip.lint.verify import applied
from torchskip.nn.duplicate import duplicate

__all__ = ["mend"]

_CODES = ("TS104", "TS112")


def mend(model: nn.Module, *example: Any, **kwargs: Any) -> nn.Module:
    """Return a copy of the model in which no in-place operation harms a skip connection.

    Modules that overwrite a shortcut get ``inplace=False``; where the operation is written in a
    forward, the copy runs that module's in-place operations out of place. Parameters, buffers
    and everything else are equal to the original's, which is not touched. Without an example an
    input is inferred.

    Raises `TorchskipError` when a fault remains: then the source must be changed.

    >>> import torch
    >>> from torch import nn
    >>> class Block(nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.branch = nn.Sequential(nn.ReLU(inplace=True), nn.Conv2d(3, 3, 3, padding=1))
    ...     def forward(self, x):
    ...         return x + self.branch(x)
    >>> block = nn.Sequential(nn.BatchNorm2d(3), Block())
    >>> mended = mend(block, torch.zeros(1, 3, 8, 8))
    >>> mended[1].branch[0], block[1].branch[0]
    (ReLU(), ReLU(inplace=True))
    """
    if not example and not kwargs:
        example = infer_example(model).tensors
    other = duplicate(model)
    for _ in range(2):  # settings first; what remains is run out of place
        report = check(other, *example, select=_CODES, **kwargs)
        faults = [f for f in report.findings if f.severity == "error"]
        if not faults:
            return other
        edits = [edit for f in faults for m in f.mends for edit in m.edits]
        if edits:
            other = applied(other, {e.module: e for e in edits}.values())
        also = {
            path
            for f in faults
            if not any(m.edits for m in f.mends)
            for path in (f.module, *f.also)
        }
        for path in sorted(also):
            module = other.get_submodule(path)
            if not isinstance(module.__dict__.get("forward"), _OutOfPlaceForward):
                module.forward = _OutOfPlaceForward(module)
    report = check(other, *example, select=_CODES, **kwargs)
    if report.exit_code():
        raise TorchskipError(
            f"an in-place fault of {type(model).__name__} cannot be mended in a copy: "
            f"{report.findings[0].message}; mend: change the source"
        )
    return other


class _OutOfPlaceForward:
    """Runs a module's forward with its in-place operations out of place."""

    def __init__(self, module: nn.Module) -> None:
        self.module = module

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        with OutOfPlace():
            return type(self.module).forward(self.module, *args, **kwargs)
