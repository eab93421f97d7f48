"""A deep copy of a model, also where a hook computes a weight before every forward."""

import copy
from typing import Any, TypeVar

from torch import Tensor, nn

__all__ = ["duplicate"]

M = TypeVar("M", bound=nn.Module)


def duplicate(model: M) -> M:
    """Return a deep copy of `model`.

    Torch copies no tensor with a history. The older ``weight_norm`` keeps one as an attribute,
    and a hook computes it anew before every forward: its numbers are copied.

    >>> import warnings
    >>> from torch.nn.utils import weight_norm
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore")
    ...     layer = weight_norm(nn.Linear(2, 2))
    >>> duplicate(layer)
    Linear(in_features=2, out_features=2, bias=True)
    """
    memo: dict[int, Any] = {}
    for module in model.modules():
        for value in vars(module).values() if module._forward_pre_hooks else ():
            if isinstance(value, Tensor) and value.grad_fn is not None:
                memo[id(value)] = value.detach().clone()
    return copy.deepcopy(model, memo)
