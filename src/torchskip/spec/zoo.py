"""Models by name: ``torchvision/resnet18``, ``timm/resnet50d``, without pretrained weights."""

from __future__ import annotations

import importlib
import sys
from types import ModuleType

import torch
from torch import nn

from torchskip.errors import SpecError

__all__ = ["FAMILIES", "build", "declare_missing_operators", "import_family", "near"]

FAMILIES = ("timm", "torchvision")

# torchvision refuses to import beside a torch build that its C++ operators were not made for.
# Declared without a kernel, they let its Python models load; calling one still fails by name.
_OPERATORS = {
    "nms": "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms": "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "roi_align": "(Tensor input, Tensor rois, float spatial_scale, SymInt pooled_height, "
    "SymInt pooled_width, int sampling_ratio, bool aligned) -> Tensor",
    "roi_pool": "(Tensor input, Tensor rois, float spatial_scale, SymInt pooled_height, "
    "SymInt pooled_width) -> (Tensor, Tensor)",
    "ps_roi_align": "(Tensor input, Tensor rois, float spatial_scale, SymInt pooled_height, "
    "SymInt pooled_width, int sampling_ratio) -> (Tensor, Tensor)",
    "ps_roi_pool": "(Tensor input, Tensor rois, float spatial_scale, SymInt pooled_height, "
    "SymInt pooled_width) -> (Tensor, Tensor)",
    "deform_conv2d": "(Tensor input, Tensor weight, Tensor offset, Tensor mask, Tensor bias, "
    "SymInt stride_h, SymInt stride_w, SymInt pad_h, SymInt pad_w, SymInt dilation_h, "
    "SymInt dilation_w, SymInt groups, SymInt offset_groups, bool use_mask) -> Tensor",
}
_library = torch.library.Library("torchvision", "FRAGMENT")  # type: ignore[no-untyped-call]


def import_family(family: str) -> ModuleType:
    """Import ``timm`` or ``torchvision``; raise `SpecError` where it is missing or broken.

    >>> import_family("nonesuch")
    Traceback (most recent call last):
    torchskip.errors.SpecError: 'nonesuch' is not installed; mend: pip install nonesuch
    """
    try:
        return importlib.import_module(family)
    except ImportError as error:
        raise SpecError(f"{family!r} is not installed; mend: pip install {family}") from error
    except RuntimeError as error:
        if not declare_missing_operators(error):
            raise SpecError(f"{family!r} does not import: {error}") from error
        return importlib.import_module(family)


def declare_missing_operators(error: BaseException) -> bool:
    """Declare torchvision's operators if an import failed for want of them; say if it did."""
    if not isinstance(error, RuntimeError) or "operator torchvision::" not in str(error):
        return False
    for name in [n for n in sys.modules if n.partition(".")[0] in FAMILIES]:
        del sys.modules[name]
    for name, schema in _OPERATORS.items():
        if not hasattr(torch.ops.torchvision, name):
            _library.define(name + schema)  # type: ignore[no-untyped-call]
    return True


def build(family: str, name: str) -> nn.Module:
    """Build a named model with fresh weights; raise `SpecError` with near names if unknown."""
    package = import_family(family)
    if family == "timm":
        known: list[str] = package.list_models()
        if name in known:
            return _as_module(package.create_model(name, pretrained=False), name)
    else:
        models = importlib.import_module("torchvision.models")
        known = models.list_models()
        if name in known:
            options = {"weights": None}
            if "weights_backbone" in _parameters(models.get_model_builder(name)):
                options["weights_backbone"] = None
            return _as_module(models.get_model(name, **options), name)
    raise SpecError(f"{family} has no model {name!r}{near(name, known)}")


def near(name: str, known: list[str]) -> str:
    """Say which known names are close: ``; nearest: 'resnet18', 'resnet34'``."""
    import difflib

    close = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    return "; nearest: " + ", ".join(map(repr, close)) if close else ""


def _parameters(function: object) -> set[str]:
    import inspect

    return set(inspect.signature(function).parameters)  # type: ignore[arg-type]


def _as_module(made: object, name: str) -> nn.Module:
    if not isinstance(made, nn.Module):
        raise SpecError(
            f"{name!r} gave an object of type {type(made).__name__}, not a torch.nn.Module"
        )
    return made
