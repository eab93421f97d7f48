"""Bind the probes to one model and its example."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from math import prod
from typing import Any

from torch import nn

from torchskip.errors import ArgumentError
from torchskip.graph import Graph
from torchskip.lint.evidence import Probes
from torchskip.lint.facts import Draws, Place, Real, Renamed
from torchskip.lint.flow import products
from torchskip.lint.probes import inputs
from torchskip.lint.probes.bodies import bodies
from torchskip.lint.probes.draws import draws, draws_alone
from torchskip.lint.probes.half import half
from torchskip.lint.probes.learn import learning
from torchskip.lint.probes.modules import kept_outside, loose, registered, strays
from torchskip.lint.probes.names import Names
from torchskip.lint.probes.outplace import OutOfPlace
from torchskip.lint.probes.outside import outside
from torchskip.lint.probes.real import difference, influence, reaches_input, real, unstable
from torchskip.lint.report import Ran
from torchskip.skips import find_skips
from torchskip.trace import trace

__all__ = ["gather"]

# A training pass of more products would take minutes on a CPU.
_MOST = 3e10


def gather(
    model: nn.Module, example: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[Graph, Probes, list[Ran]]:
    """Trace the model and return the other runs as functions, with the log of what ran.

    Raises `ArgumentError` when the very first operation refuses the example.
    """
    ran: list[Ran] = []

    def logged(name: str, graph: Graph) -> Graph:
        ran.append(Ran(name, f"{len(graph.nodes)} operations" + _failure(graph)))
        return graph

    graph = logged("evaluation", trace(model, *example, training=False, **kwargs))
    failure = graph.failure
    if failure and not any(node.outputs for node in graph.nodes):
        raise ArgumentError(
            f"{type(model).__name__} does not take the example {_words(example)}: "
            f"{failure.error}: {failure.message.splitlines()[0] if failure.message else ''}"
            + (f" (in {failure.module!r})" if failure.module else "")
        )
    mark = inputs.mark_for(graph) if inputs.batch_of(example) else None

    refused: list[Graph] = []

    def train() -> tuple[Graph, int | None]:
        if mark is not None:
            marked = inputs.resized(example, batch=mark)
            found = trace(model, *marked, training=True, **kwargs)
            if found.failure is None or graph.failure is not None:
                return logged(f"training, batch {mark}", found), mark
            refused.append(found)
        return logged("training", trace(model, *example, training=True, **kwargs)), None

    def sizes(larger: bool) -> Iterator[tuple[tuple[tuple[int, ...], ...], Graph]]:
        for number, given in enumerate(
            [inputs.doubled(example)] if larger else inputs.neighbours(example)
        ):
            if not larger and number == 0 and half_pass(False).failure is None:
                continue  # it ran with this size
            found = trace(model, *given, training=False, **kwargs)
            yield inputs.shapes_of(given), logged(f"size {_words(given)}", found)

    @cache
    def half_pass(alone: bool) -> Graph:
        """The pass in bfloat16, unless alone at the next size too: one pass tries both."""
        given = None if alone else next(inputs.neighbours(example), None)
        if given is None:
            return logged("bfloat16", half(model, example, kwargs)) if alone else half_pass(True)
        return logged(f"bfloat16, size {_words(given)}", half(model, given, kwargs))

    def single() -> Graph | None:
        if (inputs.batch_of(example) or 1) == 1:
            return None
        found = trace(model, *inputs.resized(example, batch=1), training=False, **kwargs)
        return logged("batch 1", found)

    small: list[tuple[Any, ...]] = []

    def small_example() -> tuple[Any, ...]:
        """At most 64 pixels and a batch of at least two, if the model takes that."""
        if not small:
            given = inputs.resized(
                inputs.smaller(example), batch=max(inputs.batch_of(example) or 2, 2)
            )
            same = inputs.shapes_of(given) == inputs.shapes_of(example)
            if not same and trace(model, *given, training=True, **kwargs).failure is not None:
                given = example
            small.append(given)
        return small[0]

    def work_of(given: tuple[Any, ...]) -> float:
        return products(graph) * _pixels(given) / max(_pixels(example), 1)

    def really() -> Real | None:
        work = work_of(small_example())
        if work > _MOST:
            ran.append(
                Ran("forward and backward with numbers", f"left out: {work:.0e} products a pass")
            )
            return None
        found = real(model, small_example(), kwargs)
        outcome = "not possible on meta parameters" if found is None else "finished"
        if found and (found.forward or found.backward):
            outcome = f"stopped: {found.forward or found.backward}"
        ran.append(Ran("forward and backward with numbers", outcome))
        return found

    @cache
    def drawn_by_all(training: bool) -> Mapping[Place, Draws]:
        given = inputs.resized(small_example(), batch=16) if mark is not None else small_example()
        return draws(model, given, kwargs, training) if work_of(given) <= _MOST else {}

    def drawn(place: Place, rank: int, training: bool) -> Draws | None:
        alone = draws_alone(model, place[0], rank, training)
        return alone.get(place) or drawn_by_all(training).get(place)

    def outplace(training: bool) -> Graph | None:
        with OutOfPlace() as mode:
            found = trace(model, *example, training=training, **kwargs)
        title = "out of place in training" if training else "out of place"
        if mode.late:
            return logged(title, found)
        ran.append(Ran(title, "nothing is read after it was overwritten"))
        return None

    def renamed() -> tuple[Renamed, ...]:
        with Names() as mode:
            trace(model, *example, training=False, **kwargs)
        return tuple(dict.fromkeys(mode.found))

    probes = Probes(
        train=train,
        sizes=sizes,
        single=single,
        real=really,
        learning=lambda: learning(model, small_example(), kwargs),
        outplace=outplace,
        renamed=renamed,
        outplace_difference=lambda: difference(model, small_example(), kwargs),
        outside=lambda: outside(model, small_example(), kwargs),
        half=half_pass,
        influence=lambda names: influence(model, small_example(), kwargs, names),
        drawn=drawn,
        unstable=lambda: unstable(model, small_example(), kwargs),
        reaches_input=lambda: reaches_input(model, small_example(), kwargs),
        registered=lambda: registered(model),
        loose=lambda: loose(model),
        strays=lambda: strays(model),
        other_batch=lambda: refused[0] if refused else None,
        kept_outside=lambda: kept_outside(model, small_example(), kwargs),
        bodies=lambda: bodies(model),
        find=find_skips,
    )
    return graph, probes, ran


def _pixels(example: tuple[Any, ...]) -> float:
    return float(sum(prod(shape) for shape in inputs.shapes_of(example)))


def _failure(graph: Graph) -> str:
    if graph.failure is None:
        return ""
    first = graph.failure.message.partition("\n")[0]
    return f", then {graph.failure.error}: {first}"


def _words(example: tuple[Any, ...]) -> str:
    return " ".join(str(shape) for shape in inputs.shapes_of(example))
