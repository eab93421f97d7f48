"""The demo's evidence: a deep network with and without skips, side by side, in about a minute."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F

from torchskip.compare.batches import Batches, own_randomness
from torchskip.compare.environment import command_line, environment
from torchskip.compare.fabric import make_fabric
from torchskip.compare.plan import Plan
from torchskip.compare.records import Comparison
from torchskip.compare.report import write_report
from torchskip.compare.train import Training
from torchskip.compare.twins import Twins, cifar_twins
from torchskip.data import Images

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["run_demo"]

_SIDE, _TRAIN, _TEST = 16, 6000, 1000  # at most: pixels, images


def run_demo(
    images: Images,
    *,
    out: Path | str = "torchskip-demo",
    depth: int = 56,
    width: int = 8,
    seed: int = 172,
    epochs: int = 3,
    console: Console | None = None,
    twins: Twins | None = None,
) -> Comparison:
    """Train the plain and the residual network of He et al. 2015, section 4.2, on `images`.

    Both begin with the same weights and see the same batches. At most 6,000 training images, of
    at most 16x16 pixels (reduced by whole factors), are used. `out` receives `report.html` and
    `results.json`; `console` shows the progress.

    Raises:
        TrainingError: a number makes no sense, `out` cannot be written, or the extra `train` is
            missing.

    """
    images = _small(images)
    plan = Plan(epochs=epochs)
    twins = twins or cifar_twins(images.shape[0], len(images.classes), width)
    fabric = make_fabric(plan, accelerator="cpu")
    batches = Batches(images, plan.batch, seed=seed, augment=plan.augment)
    with own_randomness():
        trainings = {
            name: Training(fabric, model, batches, plan, classes=len(images.classes))
            for name, model in twins(depth, seed).items()
        }
        _side_by_side(trainings, depth, console)
        runs = tuple(training.run(name, depth) for name, training in trainings.items())
    comparison = Comparison(
        runs=runs,
        plan=plan,
        images=f"{images.source}, {len(images.train):,} to train and {len(images.test):,} to test, "
        + "x".join(map(str, images.shape)),
        command=command_line(),
        environment=environment(),
    )
    write_report(comparison, len(images.test), Path(out))
    return comparison


def _side_by_side(trainings: dict[str, Training], depth: int, console: Console | None) -> None:
    """Advance all trainings in turn, a step each, so that their bars race."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[loss]}"),
        TextColumn("{task.fields[accuracy]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, disable=console is None) as progress:
        bars = {
            name: progress.add_task(f"{name}-{depth}", total=training.total, loss="", accuracy="")
            for name, training in trainings.items()
        }
        going = dict(trainings)
        while going:
            for name, training in list(going.items()):
                if not training.advance():
                    del going[name]
                loss, accuracy = _numbers(training)
                done = len(training.steps)
                progress.update(bars[name], completed=done, loss=loss, accuracy=accuracy)


def _numbers(training: Training) -> tuple[str, str]:
    recent, tested = training.steps[-20:], training.epochs[-1:]
    loss = f"loss {fmean(step.loss for step in recent):.2f}" if recent else ""
    return loss, f"test {100 * tested[0].test_accuracy:.1f} %" if tested else ""


def _small(images: Images) -> Images:
    """Take the first images of each class, and average whole blocks of pixels."""
    train, train_labels = _some(images.train, images.train_labels, _TRAIN // len(images.classes))
    test, test_labels = _some(images.test, images.test_labels, _TEST // len(images.classes))
    return replace(
        images, train=train, train_labels=train_labels, test=test, test_labels=test_labels
    )


def _some(x: Tensor, y: Tensor, each: int) -> tuple[Tensor, Tensor]:
    classes = range(int(y.max()) + 1)
    chosen = torch.cat([(y == label).nonzero()[: max(1, each), 0] for label in classes])
    block = math.ceil(max(x.shape[2:]) / _SIDE)
    averaged = F.avg_pool2d(x[chosen].float(), block)
    return averaged.round().to(torch.uint8), y[chosen]
