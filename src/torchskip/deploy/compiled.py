"""The compiled functions of one plan, each for the sizes that it was compiled for."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, fx

from torchskip.deploy.plan import Plan
from torchskip.deploy.race import slower
from torchskip.deploy.script import Function, Unscripted, script

__all__ = ["Compiled"]

# More sizes than these are run operator by operator: a compiled function holds packed weights.
_LIMIT = 8
# With so many operators outside oneDNN's groups a compiled function need not be compared.
_FEW = 2
_Key = tuple[object, ...]


class Compiled:
    """Runs a plan: compiled where its sizes came before, else operator by operator.

    Args:
        plan: what to run.
        code: the module of the same plan.
        tolerance: how far compiled results may be from those of the operators one by one.
        met: sizes to compile for when they come again.

    """

    def __init__(
        self, plan: Plan, code: fx.GraphModule, tolerance: float, met: Sequence[_Key] = ()
    ) -> None:
        self.plan, self.code, self.tolerance = plan, code, tolerance
        self._met = set(met)
        self._functions: dict[_Key, Function] = {}

    @property
    def met(self) -> tuple[_Key, ...]:
        """The sizes that came."""
        return (*self._met, *self._functions)

    def __call__(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        """Run it."""
        key = _key(tensors)
        function = self._functions.get(key)
        if function is None:
            if key in self._met and len(self._functions) < _LIMIT:
                self.prepare(tensors)
                function = self._functions[key]
            else:
                if len(self._met) < _LIMIT:
                    self._met.add(key)
                function = self.code
        return function(*tensors)

    def prepare(self, tensors: Sequence[Tensor]) -> str:
        """Compile for the sizes of `tensors`, if that can be done; say what came of it."""
        shapes = " ".join(str(tuple(t.shape)) for t in tensors)
        self._functions[_key(tensors)] = self.code
        try:
            made = script(self.plan, self.code, tensors, self.tolerance)
        except Unscripted as reason:
            return f"at {shapes} operator by operator: {reason}"
        parts = f"one function with {made.groups} parts compiled by oneDNN"
        # Between a group and what is none values may change their layout, and volumes anywhere.
        doubtful = made.others > _FEW or any(t.dim() == 5 for t in tensors)
        if doubtful and slower(made.function, self.code, tensors):
            return f"at {shapes} operator by operator: faster than {parts}"
        self._functions[_key(tensors)] = made.function
        return f"at {shapes} as {parts}"


def _key(tensors: Sequence[Tensor]) -> _Key:
    # What is compiled for two threads runs on two.
    return (torch.get_num_threads(), *(t.shape for t in tensors))
