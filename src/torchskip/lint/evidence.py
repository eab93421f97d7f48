"""What rules judge: one model's passes, its skips, and what the extra runs showed.

Everything beyond the first pass is found when a rule first asks for it, once, and shared.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from torchskip.graph import Graph, Module, Parameter, SkipPath
from torchskip.lint.facts import Body, Draws, Loose, Place, Real, Renamed, Stray
from torchskip.lint.flow import Flow

__all__ = ["Evidence", "Pass", "Probes", "Trial"]


class Pass:
    """One forward pass: its graph, the skips found in it, and its edges turned around."""

    def __init__(self, graph: Graph, find: Callable[[Graph], tuple[SkipPath, ...]]) -> None:
        self.graph = graph
        self._find = find

    @cached_property
    def flow(self) -> Flow:
        """The graph with its edges turned around."""
        return Flow(self.graph)

    @cached_property
    def skips(self) -> tuple[SkipPath, ...]:
        """The skip connections of this pass."""
        return self._find(self.graph)


@dataclass(frozen=True, slots=True)
class Trial:
    """A pass with other input sizes: `shapes` of the tensors given."""

    shapes: tuple[tuple[int, ...], ...]
    run: Pass


@dataclass(frozen=True, slots=True)
class Probes:
    """The extra runs, each called at most once."""

    train: Callable[[], tuple[Graph, int | None]]
    sizes: Callable[[bool], Iterator[tuple[tuple[tuple[int, ...], ...], Graph]]]
    real: Callable[[], Real | None]
    outplace: Callable[[bool], Graph | None]
    half: Callable[[bool], Graph]
    influence: Callable[[tuple[str, ...]], frozenset[str]]
    bodies: Callable[[], tuple[Body, ...]]
    find: Callable[[Graph], tuple[SkipPath, ...]]
    outplace_difference: Callable[[], float | None] = lambda: None
    drawn: Callable[[Place, int, bool], Draws | None] = lambda place, rank, training: None
    renamed: Callable[[], tuple[Renamed, ...]] = tuple
    outside: Callable[[], frozenset[tuple[str, int]]] = frozenset
    unstable: Callable[[], bool] = lambda: False
    reaches_input: Callable[[], bool] = lambda: False
    kept_outside: Callable[[], bool] = lambda: False
    other_batch: Callable[[], Graph | None] = lambda: None
    single: Callable[[], Graph | None] = lambda: None
    learning: Callable[[], frozenset[str] | None] = lambda: None
    registered: Callable[[], tuple[tuple[str, ...], ...]] = lambda: ()
    loose: Callable[[], tuple[Loose, ...]] = lambda: ()
    strays: Callable[[], tuple[Stray, ...]] = lambda: ()


class Evidence:
    """Everything known about one model; rules are functions of it."""

    def __init__(self, graph: Graph, probes: Probes) -> None:
        self.eval = Pass(graph, probes.find)
        self._probes = probes

    @cached_property
    def _training(self) -> tuple[Graph, int | None]:
        return self._probes.train()

    @cached_property
    def train(self) -> Pass:
        """The pass in training mode, with the marked batch."""
        return Pass(self._training[0], self._probes.find)

    @property
    def mark(self) -> int | None:
        """Batch size of the training pass: no axis of another meaning is a multiple of it."""
        return self._training[1]

    @cached_property
    def other_batch(self) -> Pass | None:
        """The training pass with the marked batch where it failed; else None."""
        self._training  # noqa: B018 - the pass that may have failed
        graph = self._probes.other_batch()
        return None if graph is None else Pass(graph, self._probes.find)

    @cached_property
    def single(self) -> Pass | None:
        """The evaluation pass with a batch of one; None where that is the example's."""
        graph = self._probes.single()
        return None if graph is None else Pass(graph, self._probes.find)

    @property
    def passes(self) -> tuple[Pass, ...]:
        """Evaluation, then training."""
        return (self.eval, self.train)

    def sizes(self, *, doubled: bool = False) -> Iterator[Trial]:
        """Passes with neighbouring input sizes, or the doubled one, in evaluation mode."""
        for shapes, graph in self._probes.sizes(doubled):
            yield Trial(shapes, Pass(graph, self._probes.find))

    @cached_property
    def real(self) -> Real | None:
        """A small forward and backward with numbers; None when it could not be tried."""
        return self._probes.real()

    @cached_property
    def learning(self) -> frozenset[str] | None:
        """Parameters that receive a gradient within some steps of training; None if not tried."""
        return self._probes.learning()

    @cached_property
    def outplace(self) -> Pass | None:
        """The evaluation pass with every in-place operation made out of place.

        None when nothing is read after it was overwritten: the pass would be the same.
        """
        graph = self._probes.outplace(False)
        return None if graph is None else Pass(graph, self._probes.find)

    @cached_property
    def outplace_training(self) -> Pass | None:
        """The same in training mode, with the example's batch."""
        graph = self._probes.outplace(True)
        return None if graph is None else Pass(graph, self._probes.find)

    @cached_property
    def outplace_difference(self) -> float | None:
        """How far the outputs move when nothing is done in place; None if not compared."""
        return self._probes.outplace_difference()

    @cached_property
    def half(self) -> Pass:
        """The evaluation pass in bfloat16."""
        return Pass(self._probes.half(True), self._probes.find)

    @cached_property
    def half_larger(self) -> Pass:
        """The same at the first neighbouring size: one pass that tries two things."""
        return Pass(self._probes.half(False), self._probes.find)

    def influences(self, parameters: tuple[str, ...]) -> frozenset[str]:
        """Those of the parameters whose change moves an output, by running for each of them."""
        return self._probes.influence(parameters)

    def drawn(self, place: Place, rank: int, training: bool) -> Draws | None:
        """The numbers of the mask, of that rank, which a product multiplies with."""
        return self._probes.drawn(place, rank, training)

    @cached_property
    def renamed(self) -> tuple[Renamed, ...]:
        """Joins that read a tensor by an older name than the one it was overwritten by."""
        return self._probes.renamed()

    @cached_property
    def outside(self) -> frozenset[tuple[str, int]]:
        """Files and lines that read a tensor without gradient which another input changes."""
        return self._probes.outside()

    @cached_property
    def unstable(self) -> bool:
        """Whether two evaluation passes on one input, with two random seeds, differ."""
        return self._probes.unstable()

    @cached_property
    def reaches_input(self) -> bool:
        """Whether a gradient other than zero comes back to an input of the model."""
        return self._probes.reaches_input()

    @cached_property
    def kept_outside(self) -> bool:
        """Whether every pass calls the same layers to train from outside the module tree."""
        return self._probes.kept_outside()

    @cached_property
    def registered(self) -> tuple[tuple[str, ...], ...]:
        """Names of the modules that are registered more than once and hold parameters."""
        return self._probes.registered()

    @cached_property
    def loose(self) -> tuple[Loose, ...]:
        """Floating tensors that are neither parameters nor buffers."""
        return self._probes.loose()

    @cached_property
    def strays(self) -> tuple[Stray, ...]:
        """Modules that other modules keep outside the module tree."""
        return self._probes.strays()

    @cached_property
    def bodies(self) -> tuple[Body, ...]:
        """What the forwards' sources say."""
        return self._probes.bodies()

    @cached_property
    def modules(self) -> Mapping[str, Module]:
        """Modules by path."""
        return {module.path: module for module in self.eval.graph.modules}

    @cached_property
    def parameters(self) -> Mapping[str, Parameter]:
        """Parameters and buffers by name, as the evaluation pass read them."""
        return {parameter.name: parameter for parameter in self.eval.graph.parameters}

    def marked(self, size: int) -> bool:
        """Whether an axis of this size, in the training pass, holds the batch."""
        return self.mark is not None and size % self.mark == 0
