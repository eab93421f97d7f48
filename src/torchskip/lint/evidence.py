"""What rules judge: everything known about one model, each fact found when a rule asks for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from torch import nn

from torchskip.errors import ArgumentError
from torchskip.graph import Graph, Module, Parameter
from torchskip.lint.facts import Body, Loose, Opened, Renamed, Shapes, Stray
from torchskip.lint.numbers import Numbers
from torchskip.lint.passes import Pass
from torchskip.lint.probes import inputs, modules
from torchskip.lint.probes.bodies import bodies
from torchskip.lint.probes.floats import Floats
from torchskip.lint.probes.half import half
from torchskip.lint.probes.mentions import unnamed
from torchskip.lint.probes.names import Names
from torchskip.lint.probes.opened import opened
from torchskip.lint.probes.outplace import OutOfPlace, guarded
from torchskip.lint.probes.watch import Watch
from torchskip.lint.promises.block import Blocks, blocks
from torchskip.lint.report import Ran
from torchskip.trace import trace
from torchskip.trace.record import Recorder
from torchskip.trace.standin import Rung
from torchskip.trace.tracer import witnessed

__all__ = ["Evidence", "Pass"]


@dataclass(frozen=True, slots=True)
class _Training:
    """The training pass on inputs of these shapes.

    `late` says that something reads a value which an operation in place had overwritten. `mark`
    is the batch where that marks the batch, `refused` the pass with such a batch where it failed.
    """

    run: Pass
    shapes: Shapes
    late: bool
    mark: int | None = None
    refused: Pass | None = None


class Evidence:
    """Everything known about one model on one example; rules are functions of it.

    The evaluation pass runs at once, everything else when it is first asked for, and once. `ran`
    says what the model was run for, `numbers` what it does with numbers.

    Raises `ArgumentError` when the very first operation refuses the example.
    """

    def __init__(self, model: nn.Module, example: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self._model = model
        self._example = example
        self._kwargs = kwargs
        self._shapes = inputs.shapes_of(example)
        self.ran: list[Ran] = []
        self._names = Names()
        self._rungs: dict[bool, Rung] = {False: "meta", True: "meta"}
        self.eval = self._pass("evaluation", self._shapes, witness=self._watched)
        failure = self.eval.graph.failure
        if failure and not any(node.outputs for node in self.eval.graph.nodes):
            raise ArgumentError(
                f"{type(model).__name__} does not take the example "
                f"{_words(self._shapes)}: {failure.error}: "
                f"{failure.message.splitlines()[0] if failure.message else ''}"
                + (f" (in {failure.module!r})" if failure.module else "")
            )
        self.numbers = Numbers(model, example, kwargs, self.eval, self.ran)

    def _watched(self, recorder: Recorder) -> Watch:
        self._floats = Floats(recorder.values.origin)
        return Watch(self._names, self._floats)

    def _pass(
        self,
        name: str,
        shapes: Shapes,
        training: bool = False,
        witness: Callable[[Recorder], AbstractContextManager[Any]] = nullcontext,
    ) -> Pass:
        given = inputs.shaped(self._example, shapes)
        # A model that reads values reads them in every pass of its mode.
        start = self._rungs[training]
        graph = witnessed(self._model, given, self._kwargs, witness, training, start)
        self._rungs[training] = graph.device
        return self._logged(name, graph)

    def _logged(self, name: str, graph: Graph) -> Pass:
        outcome = f"{len(graph.nodes)} operations"
        if graph.failure is not None:
            first = graph.failure.message.partition("\n")[0]
            outcome += f", then {graph.failure.error}: {first}"
        self.ran.append(Ran(name, outcome))
        return Pass(graph)

    # ---- training

    @cached_property
    def _training(self) -> _Training:
        shapes = self._shapes
        if not inputs.batch_of(shapes):
            return self._trained("training", shapes)
        mark = inputs.mark_for(self.eval.graph)
        marked = self._trained(f"training, batch {mark}", inputs.with_batch(shapes, mark))
        if marked.run.graph.failure is None or self.eval.graph.failure is not None:
            return replace(marked, mark=mark)
        return replace(self._trained("training", shapes), refused=marked.run)

    def _trained(self, name: str, shapes: Shapes) -> _Training:
        mode = OutOfPlace(guarded(self._model, self.eval))
        run = self._pass(name, shapes, True, lambda recorder: mode)
        if mode.late:
            run = self._pass(f"{name}, in place", shapes, training=True)
        return _Training(run, shapes, mode.late)

    @property
    def train(self) -> Pass:
        """The pass in training mode, with the marked batch.

        Its operations are in place where the model's are only if that makes a difference: if
        something reads a value after it was overwritten. `train_in_place` always keeps them.
        """
        return self._training.run

    @cached_property
    def train_in_place(self) -> Pass:
        """The pass in training mode with every operation as it is written."""
        if self._training.late:
            return self.train
        return self._pass("training, in place", self._training.shapes, training=True)

    @property
    def mark(self) -> int | None:
        """Batch size of the training pass: no axis of another meaning is a multiple of it."""
        return self._training.mark

    def marked(self, size: int) -> bool:
        """Whether an axis of this size, in the training pass, holds the batch."""
        return self.mark is not None and size % self.mark == 0

    @property
    def other_batch(self) -> Pass | None:
        """The training pass with the marked batch where it failed; else None."""
        return self._training.refused

    @property
    def passes(self) -> tuple[Pass, ...]:
        """Evaluation, then training."""
        return (self.eval, self.train)

    # ---- out of place

    @cached_property
    def outplace(self) -> Pass | None:
        """The evaluation pass with every in-place operation made out of place.

        None when nothing is read after it was overwritten: the pass would be the same.
        """
        if not self._training.late and self.eval.places <= self.train.places:
            return None  # what runs in evaluation ran in training too
        return self._out_of_place("out of place", training=False)

    @cached_property
    def outplace_training(self) -> Pass | None:
        """The same in training mode, with the example's batch."""
        if not self._training.late:
            return None
        return self._out_of_place("out of place in training", training=True)

    def _out_of_place(self, name: str, training: bool) -> Pass | None:
        mode = OutOfPlace(guarded(self._model, self.eval))
        run = self._pass(name, self._shapes, training, lambda recorder: mode)
        return run if mode.late else None

    @property
    def renamed(self) -> tuple[Renamed, ...]:
        """Joins that read a tensor by an older name than the one it was overwritten by."""
        return tuple(dict.fromkeys(self._names.found))

    # ---- other inputs

    @property
    def single(self) -> Shapes | None:
        """Shapes of the example with a batch of one; None where that is the example."""
        shapes = inputs.with_batch(self._shapes, 1)
        return shapes if shapes != self._shapes else None

    @cached_property
    def alone(self) -> Pass:
        """The evaluation pass with a batch of one."""
        shapes = inputs.with_batch(self._shapes, 1)
        return self._pass(f"size {_words(shapes)}", shapes)

    @property
    def neighbours(self) -> tuple[Shapes, ...]:
        """Shapes of the example with neighbouring spatial sizes."""
        return tuple(inputs.neighbours(self._shapes))

    @property
    def apart(self) -> Shapes:
        """Shapes of the example with odd spatial sizes that are unequal at every level."""
        return inputs.apart(self._shapes)

    @property
    def doubled(self) -> Shapes:
        """Shapes of the example with every spatial size twice as large."""
        return inputs.doubled(self._shapes)

    def at(self, shapes: Shapes) -> Pass:
        """An evaluation pass on an example of these shapes, to see whether its arms meet.

        It runs where the first pass ran, and there alone: no other device makes arms meet.
        """
        given, device = inputs.shaped(self._example, shapes), self.eval.graph.device
        graph = trace(self._model, *given, training=False, device=device, **self._kwargs)
        return self._logged(f"size {_words(shapes)}", graph)

    @property
    def makes_floats(self) -> bool:
        """Whether some floating dtype of the evaluation pass may not be the model's or the input's.

        Else a model in bfloat16 computes in bfloat16 from end to end.
        """
        return self._floats.asked or self.eval.graph.device != "meta"

    @cached_property
    def half(self) -> Pass:
        """The evaluation pass in bfloat16."""
        return self._logged(
            "bfloat16", half(self._model, self._example, self._kwargs, self._rungs[False])
        )

    # ---- modules and their sources

    @cached_property
    def registered(self) -> tuple[tuple[str, ...], ...]:
        """Names of the modules that are registered more than once and hold parameters."""
        return modules.registered(self._model)

    @cached_property
    def loose(self) -> tuple[Loose, ...]:
        """Floating tensors that are neither parameters nor buffers."""
        return modules.loose(self._model)

    @cached_property
    def strays(self) -> tuple[Stray, ...]:
        """Modules that other modules keep outside the module tree."""
        return modules.strays(self._model)

    @cached_property
    def bodies(self) -> tuple[Body, ...]:
        """What the forwards' sources say."""
        return bodies(self._model)

    @cached_property
    def opened(self) -> tuple[Opened, ...]:
        """Attributes that hold the layers of a residual block without the block."""
        return opened(self._model)

    @cached_property
    def blocks(self) -> Blocks:
        """What each module promises and does, by path."""
        return blocks(self.passes, self.bodies)

    @cached_property
    def unnamed(self) -> frozenset[str]:
        """Parts that never run and that no code names but the constructors that make them."""
        return unnamed(self._model, [p.path for b in self.blocks.values() for p in b.idle])

    @cached_property
    def modules(self) -> Mapping[str, Module]:
        """Modules by path."""
        return {module.path: module for module in self.eval.graph.modules}

    @cached_property
    def parameters(self) -> Mapping[str, Parameter]:
        """Parameters and buffers by name, as the evaluation pass read them."""
        return {parameter.name: parameter for parameter in self.eval.graph.parameters}


def _words(shapes: Shapes) -> str:
    return " ".join(map(str, shapes))
