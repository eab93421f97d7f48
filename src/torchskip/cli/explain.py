"""``torchskip explain SPEC``: the walk through every step."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from dataclasses import dataclass
from typing import Annotated

import tyro

__all__ = ["Explain"]


@dataclass(frozen=True, slots=True)
class Explain:
    """Walk through every step of a model: its shape, and what it does in plain words."""

    spec: Annotated[str, tyro.conf.Positional]
    """file.py, file.py:Class, package.module:callable, timm/NAME or torchvision/NAME."""

    input: str | None = None
    """The input's shape, such as 1,3,32,32; several inputs separated by spaces.
    Without it, the shape is inferred and said."""

    def run(self) -> int:
        """Print the walk of every model the SPEC leads to; 1 when one of them fails."""
        from rich.console import Console
        from rich.text import Text

        from torchskip.cli.subject import drawn
        from torchskip.explain import walk
        from torchskip.inspection import inspect
        from torchskip.render.walkthrough import to_table

        console = Console(highlight=False)
        found, skipped = drawn(self.spec, self.input)
        failed = False
        for subject in found:
            with redirect_stdout(sys.stderr):  # what a model prints is not our output
                inspection = inspect(subject.model, *subject.example.tensors)
            graph = inspection.graph
            console.print(Text(subject.headline, "bold"), "")
            console.print(to_table(walk(graph, inspection.skips), graph))
            failed |= graph.failure is not None
        for left in skipped:
            console.print(Text(f"not explained: {left.name}: {left.reason}", "dim"))
        return int(failed)
