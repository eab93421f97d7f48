"""Run an operation; on meta tensors, without asking torch twice for the same shape."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import nn

from torchskip.trace.schema import Plan
from torchskip.trace.shapes import RULES
from torchskip.trace.standin import Rung

__all__ = ["Kernels"]

_Form = tuple[tuple[int, ...], tuple[int, ...], torch.dtype]  # shape, strides, type


class Kernels:
    """Runs the operations of one pass.

    Most meta kernels are written in Python and slower than a layer on a small image. The
    commonest operations have a rule (`shapes`). Of the others, those whose results have memory
    of their own are asked once: the forms of the results follow from those of the arguments.
    """

    def __init__(self, rung: Rung) -> None:
        self._meta = rung == "meta"
        self._known: dict[object, tuple[type, list[_Form]]] = {}

    def run(self, func: Any, scheme: Plan, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Return ``func(*args, **kwargs)``."""
        if not self._meta:
            return func(*args, **kwargs)
        rule = RULES.get(func)
        result = NotImplemented if rule is None else rule(*args, **kwargs)
        if result is not NotImplemented:
            return result
        if not scheme.fresh:
            return func(*args, **kwargs)
        key = func, torch.get_default_dtype(), _key(args), _key(tuple(kwargs.items()))
        known = self._known.get(key)
        if known is not None:
            kind, forms = known
            made = [_empty(*form) for form in forms]
            return made[0] if kind is torch.Tensor else kind(made)
        result = func(*args, **kwargs)
        made = [result] if isinstance(result, torch.Tensor) else result
        if isinstance(made, (list, tuple)) and _fresh(made, args):
            self._known[key] = type(result), [_form(t) for t in made]
        return result


def _empty(shape: tuple[int, ...], strides: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
    return torch.empty_strided(shape, strides, dtype=dtype, device="meta")


def _form(tensor: torch.Tensor) -> _Form:
    return tensor.shape, tensor.stride(), tensor.dtype


def _key(item: Any) -> object:
    """Return what a result may depend on; a key that equals no other where that is the data."""
    kind = type(item)
    if kind is torch.Tensor or kind is nn.Parameter:
        return _form(item) if _plain(item) else object()
    if kind is list or kind is tuple:
        return tuple([_key(i) for i in item])
    return object() if isinstance(item, torch.Tensor) else (kind, item)  # 1 is not 1.0


def _plain(tensor: torch.Tensor) -> bool:
    return (
        tensor.is_meta
        and tensor.layout is torch.strided
        and not (tensor.is_quantized or tensor.is_conj() or tensor.is_neg())
    )


def _fresh(results: Sequence[Any], args: tuple[Any, ...]) -> bool:
    """Whether results are nothing but their forms, in memory that no argument shares."""
    taken = {_address(t) for t in _tensors(args)}
    for t in results:
        if type(t) is not torch.Tensor or not _plain(t) or _address(t) in taken:
            return False
        taken.add(_address(t))
        size = _empty(*_form(t)).untyped_storage().nbytes()
        if t.storage_offset() or t.untyped_storage().nbytes() != size:
            return False
    return True


def _tensors(args: Sequence[Any]) -> Iterator[torch.Tensor]:
    for item in args:
        if isinstance(item, torch.Tensor):
            yield item
        elif isinstance(item, (list, tuple)):
            yield from _tensors(item)


def _address(tensor: torch.Tensor) -> int:
    return int(tensor.untyped_storage()._cdata)
