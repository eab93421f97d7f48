"""Whether a forward asks for a floating dtype: by a cast, or by making numbers of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from torchskip.trace.record import Recorder
from torchskip.trace.tree import leaves

__all__ = ["Floats"]

_CASTS = frozenset({"float", "double", "half", "bfloat16", "type"})


class Floats(TorchFunctionMode):
    """Inside, notes calls whose floating dtype does not come from the model or its input.

    `asked` says that there was one. A cast to the dtype that a tensor has already is one, too: no
    graph shows it, and in another precision it is none.
    """

    def __init__(self, recorder: Recorder) -> None:
        super().__init__()
        self.asked = False
        self._origin = recorder.values.origin

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        if not self.asked and isinstance(result, Tensor) and result.is_floating_point():
            self.asked = self._asks(getattr(func, "__name__", ""), args, kwargs)
        return result

    def _asks(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
        if name in _CASTS or any(isinstance(a, torch.dtype) for a in (*args, *kwargs.values())):
            return True
        floats = [t for _, t in leaves((args, kwargs)) if t.is_floating_point()]
        # What is on meta comes from the input; what has a name, from the model.
        return not floats or any(t.ndim and not (t.is_meta or self._origin(t)) for t in floats)
