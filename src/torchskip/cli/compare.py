"""``torchskip compare``: the same networks with and without skips, trained alike."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

import tyro

from torchskip.prove import Experiment, Plan

__all__ = ["Compare"]


_COMMAS = tyro.constructors.PrimitiveConstructorSpec[tuple[int, ...]](
    nargs=1,
    metavar="N,N,...",
    instance_from_str=lambda given: tuple(int(number) for number in given[0].split(",")),
    is_instance=lambda value: isinstance(value, tuple),
    str_from_instance=lambda depths: [",".join(map(str, depths))],
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Compare(Experiment):
    """Train a network with and without its skips on real images and report what they did.

    Without MODEL the plain and residual networks of He et al. 2015 are trained. With MODEL it is
    that network and its twin: cut, where it has skips; with shortcuts added, where it has none.
    """

    model: Annotated[str | None, tyro.conf.Positional, tyro.conf.arg(metavar="[MODEL]")] = None
    """file.py:Class, package.module:callable, timm/NAME or torchvision/NAME."""

    which: str | None = None
    """Skips of MODEL to cut: kinds (identity, projection, dense, long, ...) or paths of modules,
    separated by commas. Without it those of sums, or where it has none, all but the gates."""

    depths: Annotated[tuple[int, ...], _COMMAS] = (20, 56)
    """Layers of the built-in networks, each 6 n + 2 (He et al. 2015, section 4.2)."""

    plan: Annotated[Plan, tyro.conf.arg(name="")] = field(default_factory=lambda: Plan(epochs=3))

    def run(self) -> int:
        """Train, write the report, print the table and the findings; 130 when interrupted."""
        from rich.console import Console

        from torchskip.prove import compare
        from torchskip.prove.report import to_table
        from torchskip.prove.summary import headline

        console = Console(highlight=False)
        try:
            comparison = compare(
                self,
                model=self.model,
                which=self.which,
                console=console,
            )
        except KeyboardInterrupt as stopped:
            console.print(f"\n{stopped}" if stopped.args else "\nstopped", markup=False)
            return 130
        console.print(to_table(comparison))
        for sentence in headline(comparison):
            console.print(sentence, markup=False)
        console.print(f"report  {self.out / 'report.html'}", markup=False)
        return 0
