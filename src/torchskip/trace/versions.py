"""The version that autograd counts for a tensor, set back."""

from __future__ import annotations

from typing import cast

import torch

__all__ = ["set_version"]


def set_version(tensor: torch.Tensor, version: int) -> None:
    """Let autograd take the tensor for one that was written ``version`` times."""
    set_counter = torch._C._autograd._unsafe_set_version_counter
    try:
        set_counter((tensor,), (version,))
    except TypeError:  # PyTorch 2.6 takes one tensor
        set_counter(cast("tuple[torch.Tensor, ...]", tensor), cast("tuple[int, ...]", version))
