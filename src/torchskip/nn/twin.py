"""A copy of a module on the meta device: it has shapes, but no data and no owner to disturb."""

import copy
import random
import sys
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import UninitializedTensorMixin  # type: ignore[attr-defined]

from torchskip.errors import GeometryError

__all__ = ["device_of", "dtype_of", "meta_twin", "undisturbed"]


def meta_twin(branch: nn.Module) -> nn.Module:
    """A copy of ``branch`` in training mode, on the meta device and without its hooks.

    Raises:
        GeometryError: when the branch cannot be copied.

    """
    memo: dict[int, Any] = {}
    for module in branch.modules():
        for store in (module._parameters, module._buffers, vars(module)):
            for tensor in store.values():
                if isinstance(tensor, Tensor):
                    memo[id(tensor)] = _on_meta(tensor)
        for name, hooks in vars(module).items():
            if name.endswith("_hooks") and isinstance(hooks, OrderedDict):
                # A hook may write into its owner's objects; its owner expects no extra call.
                keeps = {k: h for k, h in hooks.items() if _is_torch_hook(h)}
                if len(keeps) != len(hooks):
                    memo[id(hooks)] = OrderedDict(keeps)
    try:
        return copy.deepcopy(branch, memo).train()
    except Exception as error:
        raise GeometryError(
            f"branch ({type(branch).__name__}) cannot be copied for probing: {error}\n"
            f'  mend: pass shortcut="identity" or a module of your own'
        ) from error


def _is_torch_hook(hook: Any) -> bool:
    """Hooks of torch itself (lazy modules, weight norm) belong to the forward pass."""
    owner = getattr(hook, "__func__", None) or type(hook)
    return str(getattr(owner, "__module__", "")).startswith("torch.nn.")


def _on_meta(tensor: Tensor) -> Tensor:
    if isinstance(tensor, UninitializedTensorMixin):
        return type(tensor)(requires_grad=False, device="meta", dtype=tensor.dtype)  # type: ignore[no-any-return]
    twin = torch.empty_like(tensor, device="meta")
    if isinstance(tensor, nn.Parameter):
        return nn.Parameter(twin, requires_grad=False)
    return twin


def dtype_of(module: nn.Module) -> torch.dtype:
    """Floating dtype of the module's first parameter or buffer, else torch's default."""
    tensor = _first_floating(module)
    return torch.get_default_dtype() if tensor is None else tensor.dtype


def device_of(module: nn.Module) -> torch.device | None:
    """Device of the module's first parameter or buffer; None when it has none."""
    tensor = _first_floating(module)
    return None if tensor is None else tensor.device


def _first_floating(module: nn.Module) -> Tensor | None:
    for tensor in (*module.parameters(), *module.buffers()):
        if tensor.is_floating_point() or tensor.is_complex():
            return tensor
    return None


@contextmanager
def undisturbed() -> Iterator[None]:
    """No gradients, and every random generator as it was."""
    python = random.getstate()
    numpy = sys.modules.get("numpy")
    state = numpy.random.get_state() if numpy is not None else None
    try:
        # Tensors made in inference mode count no versions, which in-place writes are known by.
        with torch.inference_mode(False), torch.no_grad(), torch.random.fork_rng(devices=[]):
            yield
    finally:
        random.setstate(python)
        if numpy is not None:
            numpy.random.set_state(state)
