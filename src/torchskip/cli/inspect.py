"""``torchskip inspect SPEC``: every skip connection, named and drawn."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

if TYPE_CHECKING:
    from torchskip.inspection import Inspection

__all__ = ["Inspect"]


@dataclass(frozen=True, slots=True)
class Inspect:
    """Name every skip connection of a model: kind, split, join, arms, shapes."""

    spec: Annotated[str, tyro.conf.Positional]
    """file.py, file.py:Class, 'file.py:Class(3, depth=2)', package.module:callable, timm/NAME
    or torchvision/NAME."""

    input: str | None = None
    """The input's shape, such as 1,3,224,224; several inputs separated by spaces.
    Without it, the shape is inferred and said."""

    format: Literal["text", "json", "html", "svg"] = "text"
    """text: a tree; json: one record a line; html: a page to explore; svg: the picture alone."""

    out: Path | None = None
    """File to write instead of standard output."""

    def run(self) -> int:
        """Print or write the inspection of every model; 1 when one of them fails to run."""
        from torchskip.cli.subject import drawn
        from torchskip.errors import SpecError
        from torchskip.inspection import inspect

        found, skipped = drawn(self.spec, self.input)
        if self.format in {"html", "svg"} and len(found) > 1:
            names = ", ".join(subject.name for subject in found)
            raise SpecError(
                f"{self.spec} leads to several models ({names}) and {self.format} draws one; "
                f"mend: {self.spec}:{found[0].name}"
            )
        failed = False
        for number, subject in enumerate(found):
            with redirect_stdout(sys.stderr):  # what a model prints is not our output
                inspection = inspect(subject.model, *subject.example.tensors)
            failed |= inspection.graph.failure is not None
            if self.format == "text" and self.out is None:
                _print_tree(subject.headline, inspection)
                continue
            if self.format == "text":
                text = f"{subject.headline}\n{inspection}\n"
            elif self.format == "json":
                text = inspection.to_json(indent=None) + "\n"
            elif self.format == "html":
                text = inspection.to_html(subject.name)
            else:
                text = inspection.to_svg()
            self._write(text, append=number > 0)
        for left in skipped:
            print(f"not inspected: {left.name}: {left.reason}", file=sys.stderr)
        return int(failed)

    def _write(self, text: str, append: bool) -> None:
        if self.out is None:
            sys.stdout.write(text)
            return
        with self.out.open("a" if append else "w", encoding="utf-8") as file:
            file.write(text)


def _print_tree(headline: str, inspection: Inspection) -> None:
    from rich.console import Console
    from rich.text import Text

    from torchskip.render import renderable

    console = Console(highlight=False)
    if not console.is_terminal:  # no colours, no padding, and lines as wide as a file's may be
        print(f"{headline}\n{inspection}")
        return
    console.print(Text(headline, "dim"))
    console.print(renderable(inspection))
