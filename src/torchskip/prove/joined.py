"""A trained network in the network that has its joins: itself, or its residual twin."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from torchskip.errors import SurgeryError
from torchskip.inspection import inspect
from torchskip.measure.layers import undisturbed
from torchskip.prove.twins import share
from torchskip.surgery import SUMS, AddedSkip, Which, meeting
from torchskip.surgery.choose import choose, skips_of

__all__ = ["Joined", "joins_of", "left_out", "to_cut"]

MOST = 60
"""Joins that are dropped in turn; of a network with more none is, for each costs a test."""


@dataclass(frozen=True, slots=True, eq=False)
class Joined:
    """A network, the skips that are meant, and whether the trained network has their shortcuts."""

    network: nn.Module
    which: Which
    shortcuts: bool

    @classmethod
    def of(
        cls,
        pair: Mapping[str, nn.Module],
        name: str,
        trained: nn.Module,
        which: Which | None,
        x: Tensor,
    ) -> Joined | None:
        """Return where the joins of `pair[name]` are, now that it is `trained`; `x` are images.

        None where nothing says: there is no residual twin, it is not this one without shortcuts,
        or they were added to a plain network, whose own blocks nobody knows.
        """
        residual = pair.get("residual")
        if residual is None:
            return None
        whole = trained
        if name != "residual":
            if any(isinstance(module, AddedSkip) for module in residual.modules()):
                return None
            whole = copy.deepcopy(residual).to(x.device)
            share(trained, whole)
        meant = which or to_cut(whole, x)
        joined = cls(whole, meant, name == "residual")
        return joined if meant and (whole is trained or joined.without_is(trained, x)) else None

    @torch.no_grad()
    def without_is(self, plain: nn.Module, x: Tensor) -> bool:
        """Whether the network without its shortcuts answers as `plain` does."""

        def cut(_: str, shortcut: Tensor, branch: Tensor) -> tuple[Tensor, Tensor]:
            return torch.zeros_like(shortcut), branch

        try:
            met = meeting(self.network, cut, x, which=self.which, partly=True)
            with undisturbed(self.network), undisturbed(plain), met:
                return torch.allclose(self.network.eval()(x), plain.eval()(x), atol=1e-5)
        except SurgeryError:
            return False


def to_cut(model: nn.Module, x: Tensor) -> tuple[str, ...]:
    """Return the kinds of skips that make `model` residual: of sums, or else all but gates."""
    has = inspect(model, x, training=False).totals
    sums = tuple(kind for kind in has if kind in SUMS)
    return sums or tuple(kind for kind in has if kind != "gate")


def joins_of(model: nn.Module, x: Tensor, which: Which) -> tuple[str, ...]:
    """Return the names of the joins of two arms, in order; empty where there are none."""
    try:
        with meeting(model, lambda _, *arms: arms, x, which=which, partly=True) as joins:
            return tuple(joins)
    except SurgeryError:
        return ()


def left_out(model: nn.Module, shape: tuple[int, int, int], which: Which | None) -> tuple[str, ...]:
    """Return in words which measures of a residual `model` there will not be."""
    x = torch.zeros(2, *shape)
    which = which or to_cut(model, x)
    graph = inspect(model, x, training=False).graph
    meant, joins = len(choose(graph, skips_of(graph), which)), len(joins_of(model, x, which))
    notes = []
    if joins < meant:
        notes.append(
            f"{meant - joins} of {meant} skips are no meeting of two arms and left out of the "
            "measures: lesions, gradient by the shortcut, path lengths, changes of the stream."
        )
    if joins > MOST:
        notes.append(f"The network has more than {MOST} skips; lesions are left out.")
    return tuple(notes)
