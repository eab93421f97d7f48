"""``torchskip demo``: the tutorial, walked through, and the evidence on real images."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

__all__ = ["Demo"]


@dataclass(frozen=True, slots=True)
class Demo:
    """Run the tutorial's block, walk through it, explain its crash, train with and without."""

    data: str = "fashion-mnist"
    """Images to train on: fashion-mnist (embedded) or a directory with train/CLASS/* in it."""

    out: Path = Path("torchskip-demo")
    """Directory of the HTML report and the raw numbers."""

    seed: int = 172
    """Seed of the networks and of the order of the images (the tutorial's)."""

    def run(self) -> int:
        """Print the four parts of the demo and write the report."""
        import torch
        from rich.console import Console
        from rich.text import Text

        from torchskip.data import load
        from torchskip.errors import MergeShapeError
        from torchskip.explain import walk
        from torchskip.inspection import inspect
        from torchskip.models.tutorial import SkipConnection
        from torchskip.prove import run_demo
        from torchskip.prove.report import to_table as results
        from torchskip.prove.summary import headline
        from torchskip.render.walkthrough import to_table

        console = Console(highlight=False)
        images = load(self.data)  # a wrong directory is said before anything else runs

        model = SkipConnection()
        example = torch.rand(1, 3, 32, 32)
        print("Input shape: ", example.shape)
        print("Output shape: ", model(example).shape)

        console.rule("Every step of it", align="left")
        inspection = inspect(model, example)
        console.print(to_table(walk(inspection.graph, inspection.skips), inspection.graph))

        console.rule("The wiring as it was published", align="left")
        published = SkipConnection(strict=True)
        try:
            published(example)
        except MergeShapeError as error:
            console.print(Text(f"MergeShapeError: {error}", "red"))
        wiring = inspect(published, example)
        console.print(to_table(walk(wiring.graph, wiring.skips), wiring.graph))

        console.rule("With and without skips, on real images", align="left")
        comparison = run_demo(images, out=self.out, seed=self.seed, console=console)
        console.print(results(comparison))
        for sentence in headline(comparison):
            console.print(sentence)
        console.print(Text(f"report  {self.out / 'report.html'}"))
        return 0
