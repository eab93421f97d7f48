"""A shortcut that is added to a finished network, and what carries its value there."""

from __future__ import annotations

import threading
from typing import Any

from torch import Tensor, nn

from torchskip.errors import SurgeryError
from torchskip.nn.merge import add
from torchskip.nn.scale import ReZero

__all__ = ["AddedSkip", "Arrive", "Leave", "Wire"]


class AddedSkip(nn.Module):
    """``y = f(x) + alpha s(x)``, ``alpha = 0`` at first, so that nothing changes before training.

    Bachlechner et al. 2020, *ReZero is All You Need*, eq. 1, with the shortcut scaled in place of
    the branch.

    Shapes:
        ``x (N, C_in, *n), f(x) (N, C_out, *m) -> (N, C_out, *m)``.

    Raises:
        MergeShapeError: when the arms' shapes differ.

    """

    def __init__(self, shortcut: nn.Module, around: tuple[str, str], gate: ReZero) -> None:
        super().__init__()
        self.shortcut = shortcut
        self.gate = gate
        self.around = around

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Add the gated shortcut of `x` to the branch's result `y`."""
        return add(self.gate(self.shortcut(x)), y)

    def extra_repr(self) -> str:
        """Show the modules whose input it takes and whose output it joins."""
        return f"around={self.around[0]} ... {self.around[1]}"


class Wire:
    """Holds a value between leaving and arriving, for each thread."""

    def __init__(self) -> None:
        self._held: dict[int, Tensor] = {}

    def put(self, value: Tensor) -> None:
        """Keep `value`."""
        self._held[threading.get_ident()] = value

    def take(self) -> Tensor | None:
        """Give the value up."""
        return self._held.pop(threading.get_ident(), None)

    def __reduce__(self) -> Any:  # a copy of a model begins without values
        return Wire, ()


class Leave:
    """Forward pre-hook of the first module: keeps what goes in."""

    def __init__(self, wire: Wire, copy: bool) -> None:
        self.wire = wire
        self.copy = copy  # something overwrites it

    def __call__(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Keep the first tensor."""
        given = next(t for t in (*args, *kwargs.values()) if isinstance(t, Tensor))
        self.wire.put(given.clone() if self.copy else given)


class Arrive:
    """Forward hook of the last module: adds the shortcut to what comes out."""

    def __init__(self, wire: Wire, name: str) -> None:
        self.wire = wire
        self.name = name

    def __call__(self, module: nn.Module, args: Any, output: Tensor) -> Tensor:
        """Return the sum."""
        skip: Any = module.get_submodule(self.name)
        x = self.wire.take()
        if x is None:
            first, last = skip.around
            raise SurgeryError(
                f"'{last}' runs without '{first}' before it, where its shortcut leaves\n"
                "  mend: run the model as a whole, without checkpoints between the two"
            )
        result: Tensor = skip(x, output)
        return result
