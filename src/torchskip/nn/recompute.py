"""Less memory in training: a branch's activations are computed again when backward needs them."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

__all__ = ["recompute", "untouched_buffers"]


def recompute(branch: nn.Module, x: Tensor) -> Tensor:
    """Return ``branch(x)``, keeping ``x`` alone for backward instead of every activation.

    Chen, Xu, Zhang & Guestrin 2016, *Training Deep Nets with Sublinear Memory Cost*, section 3.
    The branch runs twice in training: with the same random numbers, and without a second update
    of its buffers, so that the running mean of a batch normalisation is that of one pass.

    >>> branch = nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU())
    >>> x = torch.rand(2, 4, 8, 8, requires_grad=True)
    >>> recompute(branch, x).sum().backward()
    >>> int(branch[1].num_batches_tracked)
    1
    """
    if not torch.is_grad_enabled():
        y: Tensor = branch(x)
        return y
    if torch.compiler.is_compiling():
        return checkpoint(branch, x, use_reentrant=False)  # type: ignore[no-any-return]

    def contexts() -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
        return nullcontext(), untouched_buffers(branch)

    return checkpoint(branch, x, use_reentrant=False, context_fn=contexts)  # type: ignore[no-any-return]


@contextmanager
def untouched_buffers(*modules: nn.Module) -> Iterator[None]:
    """Let the modules work on copies of their buffers meanwhile."""
    tables = [m._buffers for module in modules for m in module.modules() if m._buffers]
    kept = [dict(table) for table in tables]
    try:
        for table in tables:
            for name, buffer in table.items():
                table[name] = None if buffer is None else buffer.clone()
        yield
    finally:
        for table, before in zip(tables, kept, strict=True):
            table.update(before)
