"""What is recorded as one node: recurrent and attention layers, fused attention."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import nn

from torchskip.trace.locate import here
from torchskip.trace.record import Recorder
from torchskip.trace.schema import plain
from torchskip.trace.tape import Draft
from torchskip.trace.tree import leaves

__all__ = ["opaque"]

# They decompose into hundreds of operations or hide their arms in one kernel.
_LAYERS = (nn.RNNBase, nn.RNNCellBase, nn.MultiheadAttention)
_ATTENTION: dict[str, object] = {
    "query": None,
    "key": None,
    "value": None,
    "attn_mask": None,
    "dropout_p": 0.0,
    "is_causal": False,
    "scale": None,
    "enable_gqa": False,
}


@contextmanager
def opaque(recorder: Recorder) -> Iterator[None]:
    """Follow the modules' calls while inside, with one node for each opaque one."""
    owner = threading.get_ident()

    def elsewhere() -> bool:
        return bool(recorder.paused) or threading.get_ident() != owner

    def layer(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if not isinstance(module, _LAYERS) or recorder.paused or not _is_torchs(module):
            return module._call_impl(*args, **kwargs)  # type: ignore[no-untyped-call]
        draft = Draft(f"module.{type(module).__name__}", [], recorder.calls.stack[-1], here())
        code = type(module).forward.__code__
        given = dict(zip(code.co_varnames[1 : code.co_argcount], args, strict=False)) | kwargs
        return recorder.as_one(
            draft,
            list(leaves(given)),
            list(module.named_parameters()),
            lambda: module._call_impl(*args, **kwargs),  # type: ignore[no-untyped-call]
        )

    fused = nn.functional.scaled_dot_product_attention

    def attention(*args: Any, **kwargs: Any) -> Any:
        if elsewhere():
            return fused(*args, **kwargs)
        given = dict(zip(_ATTENTION, args, strict=False)) | kwargs
        op = "aten.scaled_dot_product_attention.default"
        draft = Draft(op, [], recorder.calls.stack[-1], here())
        draft.arguments = tuple(
            (name, plain(given.get(name, default)))
            for name, default in _ATTENTION.items()
            if not isinstance(given.get(name), torch.Tensor)
        )
        return recorder.as_one(draft, list(leaves(given)), [], lambda: fused(*args, **kwargs))

    with ExitStack() as stack:
        stack.enter_context(recorder.calls.following(layer))
        nn.functional.scaled_dot_product_attention = attention
        stack.callback(setattr, nn.functional, "scaled_dot_product_attention", fused)
        if recorder.rung == "meta":
            for name, states in (("lstm", 2), ("gru", 1), ("rnn_tanh", 1), ("rnn_relu", 1)):
                kernel = getattr(torch._VF, name)
                setattr(torch._VF, name, _recurrent(kernel, states, owner))
                stack.callback(delattr, torch._VF, name)
        yield


def _is_torchs(module: nn.Module) -> bool:
    return type(module).forward.__module__.startswith("torch.")


def _recurrent(kernel: Callable[..., Any], states: int, owner: int) -> Callable[..., Any]:
    """Return a recurrent kernel that knows its results' shapes without a step per time."""

    def run(*args: Any) -> Any:
        if threading.get_ident() != owner or len(args) != 9 or isinstance(args[3], (list, tuple)):
            return kernel(*args)  # packed sequences
        x, hidden, weights, _, _, _, _, bidirectional, batch_first = args
        memory = tuple(hidden) if states == 2 else (hidden,)
        if not all(t.is_meta for t in (x, *memory, *weights)):
            return kernel(*args)
        return _Steps.apply(  # type: ignore[no-untyped-call]
            x, bidirectional, batch_first, states, *memory, *weights
        )

    return run


class _Steps(torch.autograd.Function):
    """The results of a recurrent layer by shape alone, tied to its inputs for autograd."""

    @staticmethod
    def forward(
        ctx: Any, x: torch.Tensor, bidirectional: bool, batch_first: bool, states: int, *rest: Any
    ) -> tuple[torch.Tensor, ...]:
        memory = rest[:states]
        width = memory[0].shape[-1] * (2 if bidirectional else 1)
        if batch_first and x.dim() == 3:
            out = x.new_empty((x.shape[1], x.shape[0], width)).transpose(0, 1)
        else:
            out = x.new_empty((*x.shape[:-1], width))
        return out, *(m.new_empty(m.shape) for m in memory)
