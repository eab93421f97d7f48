"""What every process of a comparison does: all trainings, one after the other."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from torchskip.data import Images
from torchskip.errors import TorchskipError, TrainingError
from torchskip.prove.anatomy import dissect, first_signals
from torchskip.prove.batches import Batches, own_randomness
from torchskip.prove.experiment import Experiment
from torchskip.prove.given import GivenTwins, name_of
from torchskip.prove.interrupt import Interrupt, deferred
from torchskip.prove.joined import Joined
from torchskip.prove.progress import Bars, bars
from torchskip.prove.records import Run, to_json
from torchskip.prove.store import RunStore
from torchskip.prove.train import Training
from torchskip.prove.twins import Twins

if TYPE_CHECKING:
    from lightning_fabric import Fabric
    from rich.console import Console

__all__ = ["Work", "outcome"]


class _Stopped(KeyboardInterrupt):
    """All processes have agreed to stop, and the state is saved."""


@dataclass(frozen=True, slots=True, eq=False)
class Work:
    """Trains everything in each process; the first one writes, and shows if `show`.

    Without a `console` the first process makes its own: one cannot be sent to another process.
    What became of it is left in the file `handed` (see `outcome`). Fabric would return it
    through a pipe that it reads when the processes have ended, and they do not end while the
    pipe, of 64 KiB, is full.
    """

    experiment: Experiment
    images: Images
    twins: Twins
    depths: tuple[int, ...]
    console: Console | None
    show: bool
    handed: Path

    def __call__(self, fabric: Fabric) -> None:
        """Train, and leave word of it."""
        told: dict[str, Any]
        try:
            told = {"runs": [asdict(run) for run in self._runs(fabric)]}
        except _Stopped as stopped:
            told = {"stopped": str(stopped)}
        except TorchskipError as error:
            self.handed.write_text(json.dumps({"refused": str(error)}), "utf-8")
            raise
        if fabric.world_size > 1:  # a process that exits inside the group can hang the others
            fabric.barrier()
            torch.distributed.destroy_process_group()
        if fabric.local_rank == 0:
            self.handed.write_text(to_json(told), "utf-8")

    def _runs(self, fabric: Fabric) -> list[Run]:
        first = fabric.is_global_zero
        if first and not self.experiment.resume:
            _check_empty(self.experiment)
        console = self.console
        if self.show and console is None and first:
            from rich.console import Console

            console = Console()
        with own_randomness(), deferred() as interrupt, bars(console) as drawn:
            return [
                _One(self, fabric, batches, pair, network, depth).run(interrupt, drawn)
                for batches in self._batches(fabric)
                for depth in self.depths
                for pair in [self.twins(depth, batches.seed)]
                for network in pair
            ]

    def _batches(self, fabric: Fabric) -> Iterator[Batches]:
        for number in range(self.experiment.seeds):
            yield Batches(
                self.images,
                self.experiment.plan.batch,
                seed=self.experiment.first_seed + number,
                augment=self.experiment.plan.augment,
                device=fabric.device,
                rank=fabric.global_rank,
                world=fabric.world_size,
            )

    def facts(self, fabric: Fabric) -> dict[str, Any]:
        """Return what all trainings have in common, by which a resumed one is known."""
        facts = {
            "plan": asdict(self.experiment.plan),
            "images": _digest(self.images),
            "devices": fabric.world_size,
        }
        if isinstance(self.twins, GivenTwins):
            facts |= {"model": name_of(self.twins.factory), "which": self.twins.which}
        return facts


@dataclass(frozen=True, slots=True, eq=False)
class _One:
    """One network of one pair."""

    work: Work
    fabric: Fabric
    batches: Batches
    pair: Mapping[str, nn.Module]
    network: str
    depth: int

    @property
    def name(self) -> str:
        seed = f"seed-{self.batches.seed}"
        return f"{self.network}-{self.depth}-{seed}" if self.depth else f"{self.network}-{seed}"

    def run(self, interrupt: Interrupt, drawn: Bars) -> Run:
        """Return the record of the training, which is made unless it has been."""
        experiment, fabric, model = self.work.experiment, self.fabric, self.pair[self.network]
        facts = {"network": self.network, "depth": self.depth, "seed": self.batches.seed}
        facts |= self.work.facts(fabric) | {"weights": _shapes(model)}
        store = RunStore(experiment.out / self.name, facts)
        done: Run | None = fabric.broadcast(store.finished() if fabric.is_global_zero else None)
        if done is not None:
            return done
        classes = len(self.work.images.classes)
        training = Training(fabric, model, self.batches, experiment.plan, classes=classes)
        variances = first_signals(training)
        self._train(training, store, interrupt, drawn)
        run = training.run(self.network, self.depth)
        if fabric.is_global_zero:
            if self.depth == max(self.work.depths) and self.batches.seed == experiment.first_seed:
                run = replace(run, anatomy=dissect(training, self._joined(training), variances))
            store.finish(training, run)
        return run

    def _joined(self, training: Training) -> Joined | None:
        twins, (x, _) = self.work.twins, self.batches.sample("test", 2)
        which = twins.which if isinstance(twins, GivenTwins) else None
        return Joined.of(self.pair, self.network, training.network, which, x)

    def _train(
        self, training: Training, store: RunStore, interrupt: Interrupt, drawn: Bars
    ) -> None:
        """Take a training to its end, from its last checkpoint if there is one."""
        fabric, every = self.fabric, self.work.experiment.checkpoint_every
        state = fabric.broadcast(store.checkpoints.load() if fabric.is_global_zero else None)
        if state is not None:
            training.restore(state)
        drawn.show(self.name, training)
        while training.status is None and training.advance():
            drawn.show(self.name, training)
            done = len(training.steps)
            asked = torch.tensor(float(interrupt.asked), device=fabric.device)
            stop = bool(fabric.all_reduce(asked, reduce_op="sum"))
            if stop or done % every == 0 or done % len(training.batches) == 0:
                state = training.state()
                if fabric.is_global_zero:
                    store.save(training, state)
            if stop:
                raise _Stopped(
                    f"{self.name} was stopped and saved at step {done} of {training.total}; "
                    "go on with resume=True (--resume)"
                )
        drawn.show(self.name, training)


def outcome(handed: Path) -> tuple[Run, ...]:
    """Return the runs that the processes have left.

    Raises:
        KeyboardInterrupt: they were stopped.
        TrainingError: one of them refused to go on.

    """
    told = json.loads(handed.read_text("utf-8"))
    if "stopped" in told:
        raise KeyboardInterrupt(told["stopped"])
    if "refused" in told:
        raise TrainingError(told["refused"])
    return tuple(map(Run.from_record, told["runs"]))


def _check_empty(experiment: Experiment) -> None:
    if any(experiment.out.glob("*-seed-*")):
        raise TrainingError(
            f"{experiment.out} holds the runs of an earlier comparison\n"
            "  mend: resume=True (--resume) goes on with them; or choose another directory (--out)"
        )


def _digest(images: Images) -> str:
    digest = hashlib.sha256()
    for tensor in (images.train, images.train_labels, images.test, images.test_labels):
        digest.update(repr(tuple(tensor.shape)).encode())
        digest.update(tensor.contiguous().numpy().data)
    return digest.hexdigest()[:16]


def _shapes(model: nn.Module) -> str:
    shapes: Mapping[str, Any] = {name: tuple(t.shape) for name, t in model.state_dict().items()}
    return hashlib.sha256(repr(shapes).encode()).hexdigest()[:16]
