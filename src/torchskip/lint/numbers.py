"""What a model does with numbers: on a small input, forward and backward, when a rule asks."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from math import prod
from typing import Any

from torch import nn

from torchskip.lint.facts import Draws, Line, Place, Real
from torchskip.lint.flow import products
from torchskip.lint.passes import Pass
from torchskip.lint.probes import inputs, real
from torchskip.lint.probes.draws import draws, draws_alone, hands_on
from torchskip.lint.probes.learn import learning
from torchskip.lint.probes.modules import kept_outside, largest
from torchskip.lint.probes.outplace import guarded
from torchskip.lint.probes.outside import outside
from torchskip.lint.probes.stepped import stepped
from torchskip.lint.report import Ran
from torchskip.trace import trace

__all__ = ["Numbers"]

# A training pass of more products would take minutes on a CPU.
_MOST = 3e10


class Numbers:
    """A model on copies of its parameters, with small random inputs."""

    def __init__(
        self,
        model: nn.Module,
        example: tuple[Any, ...],
        kwargs: dict[str, Any],
        run: Pass,
        ran: list[Ran],
    ) -> None:
        self._model = model
        self._example = example
        self._kwargs = kwargs
        self._run = run
        self._ran = ran
        self._influences: dict[tuple[str, ...], bool] = {}

    @cached_property
    def _small(self) -> tuple[tuple[Any, ...], Real | None]:
        """At most 64 pixels and a batch of at least two, if the model takes that, and its pass."""
        shapes = inputs.shapes_of(self._example)
        small = inputs.smaller(shapes)
        given = inputs.shaped(self._example, small)
        found = self._really(given)
        if small == shapes:
            return given, found
        if found is None:
            refuses = trace(self._model, *given, training=True, **self._kwargs).failure
            return (self._example if refuses else given), None
        if found.forward:
            return self._example, self._really(self._example)
        return given, found

    def _really(self, given: tuple[Any, ...]) -> Real | None:
        name = "forward and backward with numbers"
        if not self._fits(given):
            self._ran.append(Ran(name, f"left out: {self._work(given):.0e} products a pass"))
            return None
        found = real.real(self._model, given, self._kwargs, self._sums)
        outcome = "not possible on meta parameters" if found is None else "finished"
        if found and (found.forward or found.backward):
            outcome = f"stopped: {found.forward or found.backward}"
        self._ran.append(Ran(name, outcome))
        return found

    @property
    def _sums(self) -> frozenset[str]:
        """Modules that add a branch to their own input, or its projection: the stream's values."""
        kinds = {"identity", "projection"}
        sums = (s.join for s in self._run.skips if s.merge == "add" and s.kind in kinds)
        return frozenset(self._run.graph.nodes[join].module for join in sums)

    def _work(self, given: tuple[Any, ...]) -> float:
        return products(self._run.graph) * _pixels(given) / max(_pixels(self._example), 1)

    def _fits(self, given: tuple[Any, ...]) -> bool:
        return self._work(given) <= _MOST

    @property
    def real(self) -> Real | None:
        """A small forward and backward in training mode; None when it could not be tried."""
        return self._small[1]

    @cached_property
    def learning(self) -> frozenset[str] | None:
        """Parameters that receive a gradient within some steps of training; None if not tried.

        It may not know of parameters whose gradient in the first pass was not zero.
        """
        kinds = self.real.gradients.items() if self.real else ()
        wondered = frozenset(n for n, kind in kinds if kind == "zero")
        return learning(self._model, self._small[0], self._kwargs, wondered)

    @cached_property
    def reaches_input(self) -> bool:
        """Whether a gradient other than zero comes back to an input of the model."""
        return real.reaches_input(self._model, self._small[0], self._kwargs)

    def largest(self, parameter: str) -> float | None:
        """The largest magnitude of a parameter as the model is given; None on meta."""
        return largest(self._model, parameter)

    def influences(self, parameters: tuple[str, ...]) -> bool:
        """Whether a change of the parameters moves an output."""
        if parameters not in self._influences:
            self._influences[parameters] = real.influence(
                self._model, self._small[0], self._kwargs, parameters
            )
        return self._influences[parameters]

    @cached_property
    def outplace_difference(self) -> float | None:
        """How far the outputs move when nothing is done in place; None if not compared."""
        modules = guarded(self._model, self._run)
        return real.difference(self._model, self._small[0], self._kwargs, modules)

    @cached_property
    def unstable(self) -> bool:
        """Whether two evaluation passes on one input, with two random seeds, differ."""
        return real.unstable(self._model, self._small[0], self._kwargs)

    @cached_property
    def kept_outside(self) -> bool:
        """Whether every pass calls the same layers to train from outside the module tree."""
        return kept_outside(self._model, self._small[0], self._kwargs)

    @cached_property
    def outside(self) -> frozenset[Line]:
        """Files and lines that read a tensor without gradient which another input changes."""
        if not self._fits(self._small[0]):
            return frozenset()
        return outside(self._model, self._small[0], self._kwargs)

    @cached_property
    def stepped(self) -> frozenset[Line]:
        """Files and lines of training that call a function in steps under autograd's eyes."""
        if not self._fits(self._small[0]):
            return frozenset()
        return stepped(self._model, self._small[0], self._kwargs)

    def drawn(self, place: Place, rank: int, training: bool) -> Draws | None:
        """The numbers of the mask, of that rank, which a product multiplies with."""
        alone = draws_alone(self._model, place[0], rank, training).get(place)
        return alone or (self._draws_training if training else self._draws).get(place)

    def hands_on(self, path: str) -> bool:
        """Whether a module that holds nothing returns its input in training, whatever it draws."""
        return hands_on(self._model, path)

    @cached_property
    def _draws(self) -> Mapping[Place, Draws]:
        return self._drawn_by_all(training=False)

    @cached_property
    def _draws_training(self) -> Mapping[Place, Draws]:
        return self._drawn_by_all(training=True)

    def _drawn_by_all(self, training: bool) -> Mapping[Place, Draws]:
        shapes = inputs.with_batch(inputs.shapes_of(self._small[0]), 16)
        given = inputs.shaped(self._example, shapes)
        return draws(self._model, given, self._kwargs, training) if self._fits(given) else {}


def _pixels(example: tuple[Any, ...]) -> float:
    return float(sum(prod(shape) for shape in inputs.shapes_of(example)))
