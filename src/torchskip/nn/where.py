"""The path of the module that is running, found when an error needs it and never before."""

import sys
from types import FrameType

from torch import nn

__all__ = ["locate"]


def locate() -> tuple[str, nn.Module | None]:
    """Path and module of the innermost module that can advise, as ``'layer2.0' (Skip)``.

    A module does not know its own name. The call stack does: the outermost module on it that
    contains the innermost one names it. Read only on the way to an error, so it costs a forward
    pass nothing. Under ``torch.compile`` there is no such stack and the place stays empty.
    """
    running: list[nn.Module] = []
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if frame.f_code is nn.Module._call_impl.__code__:
            module = frame.f_locals.get("self")
            if isinstance(module, nn.Module):
                running.append(module)
        frame = frame.f_back
    inner = next((m for m in running if hasattr(m, "advise")), running[0] if running else None)
    if inner is None:
        return "", None
    for root in reversed(running):
        for path, module in root.named_modules():
            if module is inner:
                kind = type(inner).__name__
                return (f"{path!r} ({kind})" if path else f"the outermost module ({kind})"), inner
    return type(inner).__name__, inner
