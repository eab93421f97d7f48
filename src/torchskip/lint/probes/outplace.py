"""Run a forward with every in-place operation made out of place, to see what a join would get.

An in-place activation returns the tensor it overwrote, so a trace cannot tell `x = relu_(x)`
from `y = relu_(x)` followed by a use of `x`. Run out of place, the two differ. So do they where
a module that writes into a part of its input, or over all of it, gets a copy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils.hooks import RemovableHandle

from torchskip.lint.foreign import foreign
from torchskip.lint.passes import Pass
from torchskip.skips.ops import words
from torchskip.trace.schema import OVERWRITING
from torchskip.trace.tracer import unwrapped

__all__ = ["OutOfPlace", "guarded"]

# Names ending in an underscore that compute no new tensor from the old one: they replace it
# whole, write to a part of it, or change what it is.
_KEPT = OVERWRITING | words(
    """
    requires_grad_ retain_grad_ detach_ resize_ resize_as_ rename_ share_memory_ squeeze_
    unsqueeze_ transpose_ t_ swapaxes_ swapdims_ as_strided_ index_fill_ masked_fill_ index_copy_
    index_add_ scatter_ scatter_add_ index_put_ put_ apply_ map_ map2_
    """
)
_AUGMENTED = {
    f"__i{name}__": getattr(torch.Tensor, f"__{name}__")
    for name in ["add", "sub", "mul", "truediv", "floordiv", "pow", "and", "or", "xor"]
}


def guarded(model: nn.Module, run: Pass) -> tuple[nn.Module, ...]:
    """The modules of a model that write into tensors of their callers, by an evaluation pass."""
    paths = {node.module for node in foreign(run)}
    return tuple(
        module
        for path, module in unwrapped(model).named_modules()
        if path in paths and not isinstance(module, torch.jit.ScriptModule)
    )


class OutOfPlace(TorchFunctionMode):
    """Inside, in-place operations return a new tensor and leave the old one alone.

    `late` says whether anything was read that an in-place operation would have overwritten.
    `guarded` are the modules to which copies of their inputs are given.
    """

    def __init__(self, guarded: Iterable[nn.Module] = ()) -> None:
        super().__init__()
        self.late = False
        self._guarded = tuple(guarded)
        self._hooks: list[RemovableHandle] = []
        self._stale: dict[int, Tensor] = {}  # by storage; kept alive so that none is reused

    def __enter__(self) -> OutOfPlace:
        super().__enter__()  # type: ignore[no-untyped-call]
        self._hooks = [m.register_forward_pre_hook(self._apart) for m in self._guarded]
        return self

    def __exit__(self, *raised: Any) -> None:
        for hook in self._hooks:
            hook.remove()
        super().__exit__(*raised)  # type: ignore[no-untyped-call]

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        name = getattr(func, "__name__", "")
        if self._stale and name != "__get__":
            self.late = self.late or any(_storage(a) in self._stale for a in _flat(args))
        if kwargs.get("inplace") is True:
            kwargs["inplace"] = False
            return self._replaced(args, func(*args, **kwargs))
        if name in _AUGMENTED and args and _tracked(args[0]):
            return self._replaced(args, _AUGMENTED[name](*args, **kwargs))
        if name.endswith("_") and not name.endswith("__") and name not in _KEPT:
            twin = _twin(name[:-1])
            if twin is not None and args and _tracked(args[0]):
                return self._replaced(args, twin(*args, **kwargs))
        return func(*args, **kwargs)

    def _apart(self, module: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple(self._replaced((a,), a.clone()) if _tracked(a) else a for a in args)

    def _replaced(self, args: tuple[Any, ...], result: Any) -> Any:
        key = _storage(args[0]) if args else None
        if key is not None and key != _storage(result):  # dropout in evaluation hands it on
            self._stale[key] = args[0]
        return result


def _flat(args: tuple[Any, ...]) -> Iterator[Any]:
    for item in args:
        if isinstance(item, (list, tuple)):
            yield from _flat(tuple(item))
        else:
            yield item


def _storage(item: object) -> int | None:
    return item.untyped_storage()._cdata if isinstance(item, Tensor) else None


def _tracked(tensor: object) -> bool:
    """Whether the tensor derives from the input: statistics and masks are left to be written."""
    return isinstance(tensor, Tensor) and tensor.requires_grad and not tensor.is_leaf


def _twin(name: str) -> Callable[..., Any] | None:
    for place in (Tensor, torch, F):
        twin = getattr(place, name, None)
        if callable(twin):
            return twin  # type: ignore[no-any-return]
    return None
