"""`compare`: every depth, every seed, with and without skips, on one plan."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import fields
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from torchskip import data
from torchskip.data import Images
from torchskip.errors import ArgumentError, TorchskipError, TrainingError
from torchskip.prove.batches import one_thread, own_randomness
from torchskip.prove.environment import command_line, environment
from torchskip.prove.experiment import Experiment
from torchskip.prove.fabric import make_fabric
from torchskip.prove.given import Factory, GivenTwins, construct, name_of
from torchskip.prove.interrupt import passed_on
from torchskip.prove.joined import left_out
from torchskip.prove.portraits import portraits
from torchskip.prove.records import Comparison
from torchskip.prove.report import write_report
from torchskip.prove.shrink import shrink
from torchskip.prove.suit import suit
from torchskip.prove.twins import CifarTwins, Twins
from torchskip.prove.work import Work, outcome
from torchskip.spec import SpecFactory

if TYPE_CHECKING:
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
    with (
        TemporaryDirectory() as directory,
        one_thread() if make is None else nullcontext(),  # these networks are small
    ):
        handed = Path(directory, "outcome.json")
        shown = console if alone else None
        work = Work(experiment, images, twins, depths, shown, console is not None, handed)
        try:
            with nullcontext() if alone else passed_on():
                fabric.launch(work)
        except TorchskipError:
            raise
        except Exception:
            if handed.exists():  # another process says why in words of its own
                outcome(handed)
            raise
        runs = outcome(handed)
        where = environment(fabric.device if alone else "cpu")
    comparison = Comparison(
        runs=runs,
        plan=experiment.plan,
        images=images.describe(),
        test_images=len(images.test),
        commonest=images.commonest,
        command=command_line(),
        environment=where,
        model=name_of(make) if make is not None else "",
        notes=notes,
    )
    if fabric.is_global_zero:
        write_report(comparison, experiment.out, drawn)
    return comparison


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
