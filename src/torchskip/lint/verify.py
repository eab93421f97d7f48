"""Apply a mend to a copy of the model, run it, and say whether the finding went away."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from torchskip.errors import TorchskipError
from torchskip.lint.finding import Edit, Finding, Mend, Wrap
from torchskip.nn import Skip
from torchskip.nn.duplicate import duplicate

__all__ = ["applied", "verified"]


def verified(
    model: nn.Module, example: tuple[Any, ...], kwargs: dict[str, Any], finding: Finding
) -> Finding:
    """The finding with every mend that is code marked as working or not."""
    mends = tuple(
        replace(mend, verified=_works(model, example, kwargs, finding, mend))
        for mend in finding.mends
    )
    return replace(finding, mends=mends)


def _works(
    model: nn.Module, example: tuple[Any, ...], kwargs: dict[str, Any], finding: Finding, mend: Mend
) -> bool | None:
    from torchskip.lint.check import check

    if mend.wrap is not None:
        return _meets(model, mend.wrap)
    if not mend.edits:
        return None
    report = check(applied(model, mend.edits), *example, select=[finding.code, "TS100"], **kwargs)
    # Forward may stop at a later block, which has the same fault: this one is mended.
    return not any(
        f.severity == "error" and (f.code != finding.code or _place(f) == _place(finding))
        for f in report.findings
    )


def _place(finding: Finding) -> tuple[object, ...]:
    return finding.module, finding.source, finding.join


def _meets(model: nn.Module, wrap: Wrap) -> bool:
    """Whether the wrapped branch gives the shape that the mend promises."""
    try:
        branch = [duplicate(model.get_submodule(path)) for path in wrap.modules]
        block = Skip(*branch, **dict(wrap.arguments)).to("meta").eval()  # type: ignore[arg-type]
        return tuple(block(torch.empty(wrap.takes, device="meta")).shape) == wrap.gives
    except TorchskipError:
        return False


def applied(model: nn.Module, edits: Iterable[Edit]) -> nn.Module:
    """A copy of the model with the settings changed; the original is not touched."""
    other = duplicate(model)
    for edit in edits:
        module = other.get_submodule(edit.module)
        if edit.setting == "kernel_size" and isinstance(edit.value, tuple):
            _resize(module, edit.value)
        setattr(module, edit.setting, edit.value)
        if edit.setting in {"padding", "kernel_size"} and hasattr(
            module, "_reversed_padding_repeated_twice"
        ):
            padding = module.padding
            if isinstance(padding, tuple):
                both = [p for p in reversed(padding) for _ in range(2)]
                setattr(module, "_reversed_padding_repeated_twice", both)  # noqa: B010
    return other


def _resize(module: nn.Module, kernel: tuple[int, ...]) -> None:
    weight = getattr(module, "weight", None)
    if isinstance(weight, nn.Parameter):
        fresh = weight.new_empty((*weight.shape[:2], *kernel))
        if not fresh.is_meta:
            nn.init.kaiming_uniform_(fresh, a=5**0.5)
        module.weight = nn.Parameter(fresh, requires_grad=weight.requires_grad)
