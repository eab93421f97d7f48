"""Which of two functions that compute the same is faster here."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

__all__ = ["slower"]

_ROUNDS, _SECONDS = 3, 0.5


def slower(
    one: Callable[..., object],
    other: Callable[..., object],
    inputs: Sequence[Tensor],
    clock: Callable[[], float] = time.perf_counter,
) -> bool:
    """Whether `one` takes longer than `other`: the shortest of up to three calls of each, in turns.

    No further round begins after half a second.

    >>> import time
    >>> slower(lambda x: time.sleep(0.02), lambda x: time.sleep(0.001), [torch.ones(1)])
    True

    """
    best = [float("inf"), float("inf")]
    start = clock()
    with torch.no_grad():
        for _ in range(_ROUNDS):
            for index, function in enumerate((one, other)):
                before = clock()
                function(*inputs)
                best[index] = min(best[index], clock() - before)
            if clock() - start > _SECONDS:
                break
    return best[0] > best[1]
