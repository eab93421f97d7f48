"""A bar for every training, with its loss and accuracy."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from statistics import fmean
from typing import TYPE_CHECKING

from torchskip.prove.train import Training

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

__all__ = ["Bars", "bars"]


class Bars:
    """The bars of all trainings so far, by name."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._tasks: dict[str, int] = {}

    def show(self, name: str, training: Training) -> None:
        """Bring the bar of a training up to date; the first time, add it."""
        if name not in self._tasks:
            task = self._progress.add_task(name, total=training.total, loss="", accuracy="")
            self._tasks[name] = task
        recent, tested = training.steps[-20:], training.epochs[-1:]
        self._progress.update(
            self._progress.task_ids[self._tasks[name]],
            completed=len(training.steps),
            loss=f"loss {fmean(step.loss for step in recent):.2f}" if recent else "",
            accuracy=f"test {100 * tested[0].test_accuracy:.1f} %" if tested else "",
        )


@contextmanager
def bars(console: Console | None) -> Iterator[Bars]:
    """Draw bars on `console`; without one, none."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[loss]}"),
        TextColumn("{task.fields[accuracy]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, disable=console is None) as progress:
        yield Bars(progress)
