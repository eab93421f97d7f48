"""Modules some of whose torch calls are changed, by standing between Python and torch.

A function mode works above autograd: what it returns is what the forward pass goes on with, so
gradients are those of the network that really runs. It is entered by the module whose forward
holds the join, so the parts of a model are changed also when they are called by themselves or run
again by checkpointing.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache, partial
from itertools import zip_longest
from typing import Any, Protocol

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from torchskip.errors import SurgeryError
from torchskip.surgery.place import Spot, place

__all__ = ["Change", "Rewiring", "Step", "clock_of", "restored", "rewire"]

_SLOT = "_torchskip_rewiring"


class Step(Protocol):
    """What becomes of one torch call. Equal steps do the same."""

    def __call__(self, func: Any, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Return the call's result."""

    def joined(self, other: Any) -> Step:
        """Return the step that does both."""


@dataclass(frozen=True, slots=True)
class Change:
    """What to do at one torch call in a module's forward.

    `visits` has the step for each time at this spot in one call of the module, None where it
    goes on as it is; where they are the same `every` time, they are for any number of times.
    `calls` are the calls of the module that are meant, None for all. `required` says that a
    pass which does not come by is wrong; `text` is the source.
    """

    function: str
    spot: Spot
    visits: tuple[Step | None, ...]
    text: str
    required: bool = True
    calls: frozenset[int] | None = None

    @property
    def every(self) -> Step | None:
        """The step at every visit, if it is always the same."""
        return self.visits[0] if len(set(self.visits)) == 1 else None

    def at(self, visit: int) -> Step | None:
        """Return the step at that visit."""
        if self.every is not None:
            return self.every
        return self.visits[visit] if visit < len(self.visits) else None

    def fits(self, visits: int) -> bool:
        """Whether a call that came by so many times is as it was when the change was made."""
        if not visits:
            return not self.required
        return self.every is not None or visits == len(self.visits)

    def joined(self, other: Change) -> Change:
        """Return the change that does both, at one spot."""
        pairs = zip_longest(self.visits, other.visits)
        visits = tuple(a.joined(b) if a and b else a or b for a, b in pairs)
        return replace(other, visits=visits, required=self.required or other.required)


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
    """The changes of one module. With a `clock`, they depend on the module's call, of `calls`."""

    path: str
    changes: tuple[Change, ...]
    clock: Clock | None = field(default=None, compare=False)
    calls: int = 0
    root: bool = False

    def run(
        self, call: Callable[..., Any], module: nn.Module, args: tuple[Any, ...], kwargs: Any
    ) -> Any:
        """Call the module with its joins cut."""
        changes = self.changes
        if self.root and self.clock is not None:
            self.clock.counts.clear()
        if self.clock is not None and changes:
            number = self.clock.tick(self.path)
            if number >= self.calls:
                raise SurgeryError(
                    f"'{self.path}' runs for the {number + 1}. time in one pass; it ran "
                    f"{self.calls} times when it was cut, and not every time alike\n"
                    "  mend: cut all of its calls, or none; call the whole model"
                )
            changes = tuple(c for c in changes if c.calls is None or number in c.calls)
        if not changes:
            return call(*args, **kwargs)
        with _Mode(module, changes) as mode:
            result = call(*args, **kwargs)
        mode.settle(self.path)
        return result


class _Mode(TorchFunctionMode):
    """Changes the calls that one running module makes itself."""

    def __init__(self, module: nn.Module, changes: tuple[Change, ...]) -> None:
        super().__init__()
        self._module = module
        self._changes: dict[tuple[str, Spot], Change] = {}
        for change in changes:
            key = change.function, change.spot
            known = self._changes.get(key)
            self._changes[key] = change if known is None else known.joined(change)
        self._functions = {change.function for change in changes}
        self._met: Counter[tuple[str, Spot]] = Counter()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "")
        if name not in self._functions:
            return func(*args, **kwargs)
        at = place()
        change = self._changes.get((name, at.spot)) if at is not None else None
        if at is None or change is None or at.module is not self._module:
            return func(*args, **kwargs)
        visit = self._met[name, at.spot]
        self._met[name, at.spot] += 1
        step = change.at(visit)
        return func(*args, **kwargs) if step is None else step(func, name, args, kwargs)

    def settle(self, path: str) -> None:
        """Refuse a pass that went another way than the one that the cuts were found on."""
        for key, change in self._changes.items():
            met, seen = self._met[key], len(change.visits)
            if change.fits(met):
                continue
            where = f"'{path}'" if path else "the model"
            times = f"{met} time{'s' * (met != 1)}"
            raise SurgeryError(
                f"the forward of {where} takes another way than on the example it was cut on\n"
                f"  {change.text} ran {times} now, {seen} then\n"
                "  mend: cut it on an example of this kind; where it returns early at random "
                "(stochastic depth), set that probability to 0"
            )


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
        if base.__reduce__ is object.__reduce__:
            return _revive, (base,), self.__getstate__()
        plain = object.__new__(base)  # a class that knows how to be pickled (torch.fx)
        plain.__dict__.update(self.__dict__)
        return _again, (plain, plain.__dict__.pop(_SLOT, None))

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


def _again(plain: nn.Module, rewiring: Rewiring | None) -> nn.Module:
    if rewiring is not None:
        rewire(plain, rewiring)
    return plain


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
    return replace(
        b,
        changes=(*a.changes, *b.changes),
        clock=b.clock or a.clock,
        calls=max(a.calls, b.calls),
        root=a.root or b.root,
    )


@contextmanager
def restored(model: nn.Module) -> Iterator[None]:
    """Take every rewiring off `model` that is put on while inside."""
    before = [(m, type(m), m.__dict__.get(_SLOT)) for m in model.modules()]
    try:
        yield
    finally:
        for module, kind, rewiring in before:
            if type(module) is not kind:
                module.__class__ = kind
            if rewiring is None:
                module.__dict__.pop(_SLOT, None)
            else:
                module.__dict__[_SLOT] = rewiring


def clock_of(model: nn.Module) -> Clock:
    """Return the clock that `model` resets in each of its passes, a new one if it has none."""
    rewiring: Rewiring | None = model.__dict__.get(_SLOT)
    return (rewiring and rewiring.clock) or Clock()
