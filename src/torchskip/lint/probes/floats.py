"""Whether a forward asks for a floating dtype: by a cast, or by making numbers of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from torchskip.lint.probes.watch import Watcher
from torchskip.trace.tree import leaves

__all__ = ["Floats"]

_CASTS = frozenset({"float", "double", "half", "bfloat16", "type"})


class Floats(Watcher):
    """Notes calls whose floating dtype does not come from the model or its input.

    `asked` says that there was one. A cast to the dtype that a tensor has already is one, too: no
    graph shows it, and in another precision it is none. `origin` tells the parameters that a
    tensor derives from.
    """

    def __init__(self, origin: Callable[[Tensor], tuple[str, ...]]) -> None:
        self.asked = False
        self._origin = origin

    def after(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any) -> None:
        """Note what the call asks for."""
        if not self.asked and isinstance(result, Tensor) and result.is_floating_point():
            self.asked = self._asks(name, args, kwargs)

    def _asks(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
        if name in _CASTS or any(isinstance(a, torch.dtype) for a in (*args, *kwargs.values())):
            return True
        given = False
        for _, tensor in leaves((args, kwargs) if kwargs else args):
            if tensor.is_floating_point():
                given = True
                # What is on meta comes from the input; what has a name, from the model.
                if not tensor.is_meta and tensor.ndim and not self._origin(tensor):
                    return True
        return not given
