"""Modules whose joins run with an arm taken out, by standing between Python and torch.

A function mode works above autograd: what it returns is what the forward pass goes on with, so
gradients are those of the network that really runs. It is entered by the module whose forward
holds the join, so the parts of a model are cut also when they are called by themselves or run
again by checkpointing.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache, partial
from itertools import zip_longest
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from torchskip.errors import SurgeryError
from torchskip.surgery.place import Spot, operands, place, replaced

__all__ = ["Cut", "Rewiring", "clock_of", "rewire"]

_SLOT = "_torchskip_rewiring"
_SUMS = frozenset(("add", "add_", "__add__", "__radd__", "__iadd__"))


@dataclass(frozen=True, slots=True)
class Cut:
    """What to take out of one torch call: the tensors at some positions count as `neutral`.

    `visits` has the positions for each time at this spot in one call of the module; where they
    are the same `every` time, they are for any number of times. `calls` are the calls of the
    module that are meant, None for all. `required` says that a pass which does not come by is
    wrong; `text` is the source.
    """

    function: str
    spot: Spot
    visits: tuple[tuple[int, ...], ...]
    neutral: float
    text: str
    required: bool = True
    calls: frozenset[int] | None = None

    @property
    def every(self) -> tuple[int, ...] | None:
        """The positions at every visit, if they are always the same."""
        return self.visits[0] if len(set(self.visits)) == 1 else None

    def at(self, visit: int) -> tuple[int, ...]:
        """Return the positions to take out at that visit; none where it goes uncut."""
        if self.every is not None:
            return self.every
        return self.visits[visit] if visit < len(self.visits) else ()

    def fits(self, visits: int) -> bool:
        """Whether a call that came by so many times is as it was when the cut was made."""
        if not visits:
            return not self.required
        return self.every is not None or visits == len(self.visits)


@dataclass(slots=True)
class Clock:
    """Counts the calls of modules within one pass of the whole model."""

    counts: Counter[str] = field(default_factory=Counter)

    def tick(self, path: str) -> int:
        """Return the number of this call, from 0."""
        number = self.counts[path]
        self.counts[path] += 1
        return number


@dataclass(frozen=True, slots=True)
class Rewiring:
    """The cuts of one module. With a `clock`, they depend on the module's call, of `calls`."""

    path: str
    cuts: tuple[Cut, ...]
    clock: Clock | None = field(default=None, compare=False)
    calls: int = 0
    root: bool = False

    def run(
        self, call: Callable[..., Any], module: nn.Module, args: tuple[Any, ...], kwargs: Any
    ) -> Any:
        """Call the module with its joins cut."""
        cuts = self.cuts
        if self.root and self.clock is not None:
            self.clock.counts.clear()
        if self.clock is not None and cuts:
            number = self.clock.tick(self.path)
            if number >= self.calls:
                raise SurgeryError(
                    f"'{self.path}' runs for the {number + 1}. time in one pass; it ran "
                    f"{self.calls} times when it was cut, and not every time alike\n"
                    "  mend: cut all of its calls, or none; call the whole model"
                )
            cuts = tuple(c for c in cuts if c.calls is None or number in c.calls)
        if not cuts:
            return call(*args, **kwargs)
        with _Mode(module, cuts) as mode:
            result = call(*args, **kwargs)
        mode.settle(self.path)
        return result


class _Mode(TorchFunctionMode):
    """Takes operands out of the calls that one running module makes itself."""

    def __init__(self, module: nn.Module, cuts: tuple[Cut, ...]) -> None:
        super().__init__()
        self._module = module
        self._cuts = {(cut.function, cut.spot): cut for cut in cuts}
        self._functions = {cut.function for cut in cuts}
        self._met: Counter[tuple[str, Spot]] = Counter()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "")
        if name not in self._functions:
            return func(*args, **kwargs)
        at = place()
        if at is None or at.module is not self._module or (name, at.spot) not in self._cuts:
            return func(*args, **kwargs)
        cut = self._cuts[name, at.spot]
        visit = self._met[name, at.spot]
        self._met[name, at.spot] += 1
        positions = cut.at(visit)
        if not positions:
            return func(*args, **kwargs)
        return take_out(func, name, args, kwargs, positions, cut.neutral)

    def settle(self, path: str) -> None:
        """Refuse a pass that went another way than the one that the cuts were found on."""
        for key, cut in self._cuts.items():
            met, seen = self._met[key], len(cut.visits)
            if cut.fits(met):
                continue
            where = f"'{path}'" if path else "the model"
            times = f"{met} time{'s' * (met != 1)}"
            raise SurgeryError(
                f"the forward of {where} takes another way than on the example it was cut on\n"
                f"  {cut.text} ran {times} now, {seen} then\n"
                "  mend: cut it on an example of this kind; where it returns early at random "
                "(stochastic depth), set that probability to 0"
            )


def take_out(
    func: Any,
    name: str,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    positions: tuple[int, ...],
    neutral: float,
) -> Any:
    tensors = operands(args, kwargs)
    rest = [t for i, t in enumerate(tensors) if i not in positions]
    inplace = name.endswith("_") and not name.endswith("__")
    if name in _SUMS and not kwargs and len(tensors) == 2 and len(rest) == 1:
        shape = torch.broadcast_shapes(*(t.shape for t in tensors))  # type: ignore[no-untyped-call]
        if rest[0].shape == shape and not (inplace and 0 in positions):
            # The branch alone. A copy, because the sum would have been memory of its own.
            return rest[0] if inplace else rest[0].clone()
    if inplace and 0 in positions:
        tensors[0].fill_(neutral)
        positions = tuple(i for i in positions if i != 0)

    def swap(i: int, tensor: Tensor) -> Tensor:
        if i not in positions:
            return tensor
        return tensor.new_full((), neutral).expand(tensor.shape)

    args, kwargs = replaced(args, kwargs, swap)
    return func(*args, **kwargs)


@cache
def _rewired(base: type[nn.Module]) -> type[nn.Module]:
    """Return the subclass of `base` whose calls run through the module's rewiring."""

    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        rewiring = self.__dict__.get(_SLOT)
        if rewiring is None:
            return base.__call__(self, *args, **kwargs)
        run = rewiring.run
        if torch.compiler.is_dynamo_compiling():  # what is compiled ahead has no frames to read
            run = torch.compiler.disable(run)  # type: ignore[no-untyped-call]
        return run(partial(base.__call__, self), self, args, kwargs)

    def reduce(self: Any, protocol: Any) -> Any:
        return _revive, (base,), self.__getstate__()

    def deepcopy(self: Any, memo: dict[int, Any]) -> Any:
        # Not the base's own, which would make one of its own class (torch.fx).
        other: Any = _revive(base)
        memo[id(self)] = other
        other.__setstate__(copy.deepcopy(self.__getstate__(), memo))
        return other

    def get_name(self: Any) -> str:
        return f"{base.__name__}[rewired]"

    names = {
        "__module__": base.__module__,
        "__qualname__": base.__qualname__,
        "__doc__": base.__doc__,
        "__call__": call,
        "__reduce_ex__": reduce,
        "__deepcopy__": deepcopy,
        "_get_name": get_name,
        "_rewired_from": base,
    }
    return type(base.__name__, (base,), names)


def _revive(base: type[nn.Module]) -> nn.Module:
    kind = _rewired(base)  # type: ignore[arg-type]
    return object.__new__(kind)  # torch.fx's own __new__ makes yet another class


def rewire(module: nn.Module, rewiring: Rewiring) -> None:
    """Give `module` a subclass of its class that runs through `rewiring`; in place.

    Raises:
        SurgeryError: the module's class cannot be derived from (TorchScript).

    """
    if "_rewired_from" not in vars(type(module)):
        try:
            module.__class__ = _rewired(type(module))  # type: ignore[arg-type]
        except TypeError as error:
            raise SurgeryError(
                f"'{rewiring.path}' ({type(module).__name__}) cannot be rewired: {error}\n"
                "  mend: give the Python module, not its TorchScript"
            ) from error
    before: Rewiring | None = module.__dict__.get(_SLOT)
    module.__dict__[_SLOT] = rewiring if before is None else _both(before, rewiring)


def _both(a: Rewiring, b: Rewiring) -> Rewiring:
    """Return the rewiring that does what both do."""
    cuts = {(c.function, c.spot, c.calls): c for c in a.cuts}
    for cut in b.cuts:
        known = cuts.get((cut.function, cut.spot, cut.calls))
        if known is not None:
            pairs = zip_longest(known.visits, cut.visits, fillvalue=())
            visits = tuple(tuple(sorted({*one, *other})) for one, other in pairs)
            cut = replace(cut, visits=visits, required=cut.required or known.required)
        cuts[cut.function, cut.spot, cut.calls] = cut
    return replace(
        b,
        cuts=tuple(cuts.values()),
        clock=b.clock or a.clock,
        calls=max(a.calls, b.calls),
        root=a.root or b.root,
    )


def clock_of(model: nn.Module) -> Clock:
    """Return the clock that `model` resets in each of its passes, a new one if it has none."""
    rewiring: Rewiring | None = model.__dict__.get(_SLOT)
    return (rewiring and rewiring.clock) or Clock()
