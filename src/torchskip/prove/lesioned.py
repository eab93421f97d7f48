"""Lesions of a network that surgery made or cut: one block dropped at a time, by surgery again."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import Tensor, nn

from torchskip.errors import ArgumentError, SurgeryError
from torchskip.graph import SkipPath
from torchskip.inspection import inspect
from torchskip.nn import Skip
from torchskip.prove.given import to_cut
from torchskip.prove.twins import share
from torchskip.surgery import AddedSkip, without_branches, without_skips
from torchskip.surgery.choose import choose

__all__ = ["Lesioned"]

_MOST = 60  # blocks: each costs a surgery and a test


@dataclass(frozen=True, slots=True, eq=False)
class Lesioned:
    """One network of a pair, and where its blocks can be dropped."""

    network: str
    residual: nn.Module
    which: tuple[str, ...] | None

    @classmethod
    def of(
        cls, pair: Mapping[str, nn.Module], network: str, which: tuple[str, ...] | None
    ) -> Lesioned:
        """Return the lesions of `pair[network]`."""
        return cls(network, pair["residual"], which)

    @property
    def added(self) -> bool:
        """Whether the shortcuts were added, and the plain network is the user's own."""
        return any(isinstance(module, AddedSkip) for module in self.residual.modules())

    def left_out(self, x: Tensor) -> tuple[str, ...]:
        """Return in words which measures there will not be."""
        notes = []
        if not self.has_arms(x):
            notes.append(
                "Gradient by the shortcut, path lengths and the change of the stream are measured "
                "at the arms of torchskip.nn.Skip. Not every skip of this network is one, so they "
                "are left out."
            )
        if len(self._chosen(self.residual, x[:2])) > _MOST:
            notes.append(f"The network has more than {_MOST} skips; lesions are left out.")
        return tuple(notes)

    def has_arms(self, x: Tensor) -> bool:
        """Whether every skip of it is a `Skip`, at whose arms can be measured."""
        if self.network != "residual" or self.added:
            return False
        found = sum(isinstance(module, Skip) for module in self.residual.modules())
        return found > 0 and found == len(inspect(self.residual, x[:2], training=False).skips)

    def lesions(
        self, trained: nn.Module, x: Tensor, evaluate: Callable[[nn.Module], float]
    ) -> tuple[float, ...]:
        """Return `evaluate` with each block dropped: its result replaced by its shortcut's.

        The plain twin of a network that had skips loses the same blocks; nan where only a
        projection, which it does not have, could stand in. Of a network that had none nothing
        says what its blocks are: empty.
        """
        plain = self.network == "plain"
        if plain and self.added:
            return ()
        whole = trained
        if plain:  # the same weights in the network that still has its shortcuts
            whole = copy.deepcopy(self.residual)
            share(trained, whole)
        example = x[:2]
        chosen = self._chosen(whole, example)
        if len(chosen) > _MOST:
            return ()
        found = list[float]()
        for skip in chosen:
            if plain and skip.kind == "projection":
                found.append(math.nan)
                continue
            try:
                found.append(evaluate(self._without(whole, example, skip, chosen).eval()))
            except (SurgeryError, ArgumentError):
                found.append(math.nan)
        return tuple(found)

    def _chosen(self, whole: nn.Module, example: Tensor) -> tuple[SkipPath, ...]:
        which = self.which or to_cut(whole, example)
        seen = inspect(whole, example, training=False)
        return choose(seen.graph, seen.skips, which) if which else ()

    def _without(
        self, whole: nn.Module, example: Tensor, skip: SkipPath, chosen: tuple[SkipPath, ...]
    ) -> nn.Module:
        lesioned = without_branches(whole, example, which=skip)
        if self.network == "plain" and len(chosen) > 1:
            others = self.which or to_cut(lesioned, example)
            lesioned = without_skips(lesioned, example, which=others)
        return lesioned
