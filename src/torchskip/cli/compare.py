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
    """Train plain and residual twins on real images and report what the skips did."""

    depths: Annotated[tuple[int, ...], _COMMAS] = (20, 56)
    """Layers of the networks, each 6 n + 2 (He et al. 2015, section 4.2)."""

    plan: Annotated[Plan, tyro.conf.arg(name="")] = field(default_factory=lambda: Plan(epochs=3))

    def run(self) -> int:
        """Train, write the report, print the table and the findings; 130 when interrupted."""
        from rich.console import Console

        from torchskip.prove import compare
        from torchskip.prove.report import to_table
        from torchskip.prove.summary import headline

        console = Console(highlight=False)
        try:
            comparison = compare(self, console=console)
        except KeyboardInterrupt as stopped:
            console.print(f"\n{stopped}" if stopped.args else "\nstopped", markup=False)
            return 130
        console.print(to_table(comparison))
        for sentence in headline(comparison):
            console.print(sentence, markup=False)
        console.print(f"report  {self.out / 'report.html'}", markup=False)
        return 0
