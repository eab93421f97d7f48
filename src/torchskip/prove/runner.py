"""`compare`: every depth, every seed, with and without skips, on one plan."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from torchskip import data
from torchskip.data import Images
from torchskip.errors import ArgumentError, TrainingError
from torchskip.prove.anatomy import dissect, first_signals
from torchskip.prove.batches import Batches, own_randomness
from torchskip.prove.environment import command_line, environment
from torchskip.prove.experiment import Experiment
from torchskip.prove.fabric import make_fabric
from torchskip.prove.given import Factory, GivenTwins, construct, name_of
from torchskip.prove.interrupt import Interrupt, deferred
from torchskip.prove.joined import Joined, left_out
from torchskip.prove.portraits import portraits
from torchskip.prove.progress import Bars, bars
from torchskip.prove.records import Comparison, Run, to_json
from torchskip.prove.report import write_report
from torchskip.prove.shrink import shrink
from torchskip.prove.store import RunStore
from torchskip.prove.suit import suit
from torchskip.prove.train import Training
from torchskip.prove.twins import CifarTwins, Twins
from torchskip.spec import SpecFactory

if TYPE_CHECKING:
    from lightning_fabric import Fabric
    from rich.console import Console

__all__ = ["compare"]


def compare(
    experiment: Experiment | None = None,
    *,
    model: Factory | str | None = None,
    which: str | Sequence[str] | None = None,
    images: Images | None = None,
    twins: Twins | None = None,
    console: Console | None = None,
) -> Comparison:
    """Train all networks of `experiment` and write the report.

    For each depth and seed the twins begin with the same weights where they share them and see
    the same batches, altered alike. `experiment.out` receives `report.html`, `results.json` and,
    for each run, its curves (CSV), record (JSON) and weights (safetensors).

    Args:
        experiment: what to compare, and how; without it, what the command does by itself.
        model: a network to compare instead: a function without arguments that makes it, or a
            SPEC as on the command line (``"timm/resnet26t"``, ``"file.py:Name"``). One with
            skips is compared with itself without them, one without any with itself with some
            (:mod:`torchskip.surgery`). With several devices a function must be picklable.
        which: the skips of `model` to cut, as kinds and module paths, a sequence or separated by
            commas; without it, those of sums, or where it has none, all but the gates.
        images: images to use instead of `experiment.data`.
        twins: makes the networks of a depth and a seed, instead of those of He et al. 2015.
            With several devices it must be picklable.
        console: where to draw progress bars.

    Raises:
        DataError: the images cannot be loaded.
        TrainingError: `out` holds other results, a file cannot be written, a model does not
            take the images or answer with class scores.
        SpecError: a SPEC leads to no network, or to several.
        SurgeryError: no twin can be made of `model`.
        KeyboardInterrupt: Ctrl-C or termination; the state is saved first.

    """
    if experiment is None:
        experiment = Experiment()
    if not isinstance(experiment, Experiment):
        raise ArgumentError(
            f"the experiment is of type {type(experiment).__name__}\n"
            "  mend: compare(Experiment(...), model=...); a network is given as `model`"
        )
    make = SpecFactory(model) if isinstance(model, str) else model
    cut = _named(which)
    if images is None:
        images = data.load(
            experiment.data,
            size=experiment.size,
            train_per_class=experiment.train_per_class,
            test_per_class=experiment.test_per_class,
            on_error=experiment.on_error,
            console=console,
        )
    notes = images.oddities()
    depths, first = experiment.depths, experiment.first_seed
    if make is None:
        images = shrink(images, experiment.side or 16)
        twins = twins or CifarTwins(images.shape[0], len(images.classes), experiment.width)
        for depth in depths:
            pair = twins(depth, first)  # an impossible depth is refused before any training
    else:
        if twins is not None:
            raise ArgumentError("model and twins are both given\n  mend: one of the two")
        _check_own(experiment)
        depths = (0,)
        with own_randomness():
            images, suited = suit(images, construct(make, first), experiment.side)
        twins = given = GivenTwins(make, images.shape, cut)
        pair = given(0, first)
        notes = (
            *given.tell(pair, first),
            *notes,
            *suited,
            *left_out(pair["residual"], images.shape, cut),
        )
    for note in notes:
        if console is not None:
            console.print(note, markup=False)
    drawn = portraits(pair, images.shape)
    fabric = make_fabric(
        experiment.plan,
        accelerator=experiment.accelerator,
        devices=experiment.devices,
        nodes=experiment.nodes,
    )
    alone = experiment.devices * experiment.nodes == 1
    with TemporaryDirectory() as directory:
        handed = Path(directory, "runs.json")
        fabric.launch(
            partial(
                _train_all,
                experiment=experiment,
                images=images,
                twins=twins,
                depths=depths,
                console=console if alone else None,  # it cannot be sent to another process
                show=console is not None,
                handed=handed,
            )
        )
        runs = tuple(map(Run.from_record, json.loads(handed.read_text("utf-8"))))
    comparison = Comparison(
        runs=runs,
        plan=experiment.plan,
        images=images.describe(),
        test_images=len(images.test),
        commonest=images.commonest,
        command=command_line(),
        environment=environment(fabric.device if alone else "cpu"),
        model=name_of(make) if make is not None else "",
        notes=notes,
    )
    if fabric.is_global_zero:
        write_report(comparison, experiment.out, drawn)
    return comparison


def _train_all(
    fabric: Fabric,
    experiment: Experiment,
    images: Images,
    twins: Twins,
    depths: tuple[int, ...],
    console: Console | None,
    show: bool,
    handed: Path,
) -> None:
    """Run in every process, write and show in the first; hand the runs on as JSON in a file.

    Fabric would return them through a pipe that it reads when the processes have ended, and they
    do not end while the pipe, of 64 KiB, is full.
    """
    if fabric.is_global_zero and not experiment.resume:
        _check_empty(experiment)
    if show and console is None and fabric.is_global_zero:
        from rich.console import Console

        console = Console()
    shared: dict[str, Any] = {
        "plan": asdict(experiment.plan),
        "images": _digest(images),
        "devices": fabric.world_size,
    }
    if isinstance(twins, GivenTwins):
        shared |= {"model": name_of(twins.factory), "which": twins.which}
    which = twins.which if isinstance(twins, GivenTwins) else None
    runs = []
    with own_randomness(), deferred() as interrupt, bars(console) as drawn:
        for seed in range(experiment.first_seed, experiment.first_seed + experiment.seeds):
            batches = Batches(
                images,
                experiment.plan.batch,
                seed=seed,
                augment=experiment.plan.augment,
                device=fabric.device,
                rank=fabric.global_rank,
                world=fabric.world_size,
            )
            for depth in depths:
                pair = twins(depth, seed)
                for network, model in pair.items():
                    name = f"{network}-{depth}-seed-{seed}" if depth else f"{network}-seed-{seed}"
                    facts = {"network": network, "depth": depth, "seed": seed, **shared}
                    facts["weights"] = _shapes(model)
                    store = RunStore(experiment.out / name, facts)
                    run = fabric.broadcast(store.finished() if fabric.is_global_zero else None)
                    if run is None:
                        training = Training(
                            fabric, model, batches, experiment.plan, classes=len(images.classes)
                        )
                        variances = first_signals(training)
                        _train(experiment, training, store, drawn, interrupt, name)
                        run = training.run(network, depth)
                        if fabric.is_global_zero:
                            if depth == max(depths) and seed == experiment.first_seed:
                                x, _ = batches.sample("test", 2)
                                joined = Joined.of(pair, network, training.network, which, x)
                                run = replace(run, anatomy=dissect(training, joined, variances))
                            store.finish(training, run)
                    runs.append(run)
    if fabric.world_size > 1:  # a process that exits inside the group can hang the others
        fabric.barrier()
        torch.distributed.destroy_process_group()
    if fabric.local_rank == 0:
        handed.write_text(to_json([asdict(run) for run in runs]), "utf-8")


def _train(
    experiment: Experiment,
    training: Training,
    store: RunStore,
    drawn: Bars,
    interrupt: Interrupt,
    name: str,
) -> None:
    """Take a training to its end, from its last checkpoint if there is one."""
    fabric = training.fabric
    state = fabric.broadcast(store.checkpoints.load() if fabric.is_global_zero else None)
    if state is not None:
        training.restore(state)
    drawn.show(name, training)
    while training.status is None and training.advance():
        drawn.show(name, training)
        done = len(training.steps)
        asked = torch.tensor(float(interrupt.asked), device=fabric.device)
        stop = bool(fabric.all_reduce(asked, reduce_op="sum"))
        if stop or done % experiment.checkpoint_every == 0 or done % len(training.batches) == 0:
            state = training.state()
            if fabric.is_global_zero:
                store.save(training, state)
        if stop:
            raise KeyboardInterrupt(
                f"{name} was stopped and saved at step {done} of {training.total}; "
                "go on with resume=True (--resume)"
            )
    drawn.show(name, training)


def _named(which: str | Sequence[str] | None) -> tuple[str, ...] | None:
    if which is None:
        return None
    return tuple(which.split(",")) if isinstance(which, str) else tuple(which)


def _check_own(experiment: Experiment) -> None:
    """Refuse what the user's own network decides."""
    for option in fields(experiment):
        given = getattr(experiment, option.name)
        if option.name in ("depths", "width") and given != option.default:
            raise TrainingError(
                f"{option.name}={given} is for the built-in networks, and a model is given\n"
                f"  mend: leave out {option.name}"
            )


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
