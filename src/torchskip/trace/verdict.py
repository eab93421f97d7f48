"""Ask a real kernel whether an operation that failed without data fails with it too."""

from __future__ import annotations

from typing import Any

import torch
from torch.utils._python_dispatch import _disable_current_modes

__all__ = ["verdict"]

_LIMIT = 1 << 26  # elements: a quarter of a gigabyte of float32


def verdict(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str | None:
    """Run `func` on zeros of the same shapes; return its error's message, None if it has none.

    The kernels of meta and fake tensors lack operations, and word their errors differently.
    """
    size = 0

    def real(item: Any) -> Any:
        nonlocal size
        if isinstance(item, torch.Tensor):
            size += item.numel()
            if size > _LIMIT:
                raise MemoryError
            return torch.zeros(tuple(item.shape), dtype=item.dtype)
        if isinstance(item, (list, tuple)):
            return [real(i) for i in item]
        return "cpu" if isinstance(item, torch.device) else item

    with _disable_current_modes(), torch.no_grad():
        try:
            arguments = [real(a) for a in args]
            named = {key: real(a) for key, a in kwargs.items()}
        except (MemoryError, RuntimeError):
            return None
        try:
            func(*arguments, **named)
        except NotImplementedError:
            return None
        except Exception as error:
            return str(error)
    return None
