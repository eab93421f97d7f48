"""The demo's evidence: a deep network with and without skips, side by side, in about a minute."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from torchskip.data import Images
from torchskip.prove.batches import Batches, one_thread, own_randomness
from torchskip.prove.environment import command_line, environment
from torchskip.prove.fabric import make_fabric
from torchskip.prove.plan import Plan
from torchskip.prove.progress import bars
from torchskip.prove.records import Comparison
from torchskip.prove.report import write_report
from torchskip.prove.shrink import shrink
from torchskip.prove.train import Training
from torchskip.prove.twins import CifarTwins, Twins

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["run_demo"]


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
    classes = len(images.classes)
    images = shrink(images, 16, max(1, 6000 // classes), max(1, 1000 // classes))
    plan = Plan(epochs=epochs)
    twins = twins or CifarTwins(images.shape[0], classes, width)
    fabric = make_fabric(plan, accelerator="cpu")
    batches = Batches(images, plan.batch, seed=seed, augment=plan.augment)
    with own_randomness(), one_thread(), bars(console) as drawn:
        trainings = {
            name: Training(fabric, model, batches, plan, classes=classes)
            for name, model in twins(depth, seed).items()
        }
        going = dict(trainings)
        while going:  # a step each in turn, so that the bars race
            for name, training in list(going.items()):
                if not training.advance():
                    del going[name]
                drawn.show(f"{name}-{depth}", training)
        runs = tuple(training.run(name, depth) for name, training in trainings.items())
    comparison = Comparison(
        runs=runs,
        plan=plan,
        images=images.describe(),
        test_images=len(images.test),
        commonest=images.commonest,
        command=command_line(),
        environment=environment(),
    )
    write_report(comparison, Path(out))
    return comparison
