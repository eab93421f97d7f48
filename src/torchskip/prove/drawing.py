"""A drawing as inline SVG whose colours follow the page, light or dark."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Callable, Sequence
from statistics import fmean
from typing import Any

from torchskip.prove.records import Run
from torchskip.prove.summary import Group

__all__ = ["Drawing", "ink"]

Rows = Sequence[Sequence[float]]

# Drawn in these colours, then renamed to the page's own.
_COLOURS = {
    "#0b62a1": "--residual",
    "#bb3e01": "--plain",
    "#1b2431": "--ink",
    "#5a6671": "--soft",
    "#d5dbe1": "--line",
}
_RESIDUAL, _PLAIN, _INK, _SOFT, _LINE = _COLOURS
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "torchskip",
    "font.size": 9.5,
    "text.color": _INK,
    "axes.edgecolor": _LINE,
    "axes.labelcolor": _SOFT,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "grid.color": _LINE,
    "grid.linewidth": 0.7,
    "xtick.color": _LINE,
    "ytick.color": _LINE,
    "xtick.labelcolor": _SOFT,
    "ytick.labelcolor": _SOFT,
    "ytick.major.size": 0,
    "ytick.minor.size": 0,
    "lines.solid_capstyle": "round",
}


def ink(network: str) -> str:
    """Return the colour of a network's lines."""
    return {"residual": _RESIDUAL, "plain": _PLAIN}.get(network, _SOFT)


class Drawing:
    """Axes side by side, usually one; lines are named at their ends."""

    def __init__(self, name: str, across: str, panels: int = 1) -> None:
        import matplotlib as mpl
        from matplotlib.figure import Figure
        from matplotlib.ticker import MaxNLocator

        self.name, self.ends = name, list[tuple[float, str, str]]()
        with mpl.rc_context(_STYLE):
            self.figure = Figure(figsize=(5.2, 3.1), layout="constrained")
            self.panels = [
                self.figure.add_subplot(1, panels, number + 1) for number in range(panels)
            ]
            self.axes = self.panels[0]
            for axes in self.panels:
                axes.set_xlabel(across)
                if not across.startswith("distance"):  # the rest are counted
                    axes.xaxis.set_major_locator(MaxNLocator(8 // panels, integer=True))

    def line(
        self,
        name: str,
        network: str,
        xs: Sequence[float],
        ys: Sequence[float],
        *,
        dash: str = "-",
        marker: str = "",
    ) -> None:
        """Draw one line and keep its name for its end; gaps where a value is not finite."""
        colour = ink(network)
        self.axes.plot(xs, ys, dash, color=colour, marker=marker, markersize=4, lw=2)
        if len(xs) == 1:  # its counts would be ticked in fractions
            self.axes.set_xlim(xs[0] - 1, xs[0] + 1)
        finite = [y for y in ys if math.isfinite(y)]
        if finite:
            self.ends.append((finite[-1], name, colour))

    def level(self, network: str, y: float, dash: str = "--") -> None:
        """Draw a horizontal line."""
        self.axes.axhline(y, color=ink(network), ls=dash, lw=1)

    def bars(self, network: str, xs: Sequence[float], ys: Sequence[float]) -> None:
        """Draw upright bars."""
        self.axes.bar(xs, ys, color=ink(network), width=0.7)

    def pictures(self, found: Sequence[tuple[str, Rows, tuple[float, float]]], up: str) -> None:
        """Draw a map of decades in each panel: its name, rows from below, first and last x."""
        import matplotlib as mpl
        from matplotlib.ticker import MaxNLocator

        values = [value for _, rows, _ in found for row in rows for value in row]
        with mpl.rc_context(_STYLE):
            for axes, (name, rows, (left, right)) in zip(self.panels, found, strict=True):
                shown = axes.imshow(
                    rows,
                    aspect="auto",
                    origin="lower",
                    extent=(left, right, 0.5, len(rows) + 0.5),
                    vmin=min(values),
                    vmax=max(values),
                    cmap="viridis",
                )
                axes.set_title(name, fontsize=9.5, color=ink(name), fontweight="bold")
                axes.yaxis.set_major_locator(MaxNLocator(8, integer=True))
                axes.grid(False)
            self.panels[0].set_ylabel(up)
            ticks = MaxNLocator(6, integer=True)
            scale = self.figure.colorbar(shown, ax=self.panels, pad=0.02, ticks=ticks)
            scale.outline.set_visible(False)
            scale.ax.yaxis.set_major_formatter(lambda decade, _: f"$10^{{{decade:.0f}}}$")

    def lines(
        self,
        found: Sequence[Group],
        curve: Callable[[Run], Sequence[float]],
        *,
        first: int = 0,
        marker: str = "",
    ) -> None:
        """Draw the mean curve of each group, its band from the lowest to the highest seed."""
        deepest = max(group.depth for group in found)
        for group in found:
            curves = [curve(run) for run in group.runs]
            points = [
                [values[x] for values in curves if len(values) > x]
                for x in range(max(map(len, curves)))
            ]
            if not points:
                continue
            xs = range(first, first + len(points))
            dash = "-" if group.depth == deepest else "--"
            middle = [fmean(values) for values in points]
            self.line(group.name, group.network, xs, middle, dash=dash, marker=marker)
            if len(curves) > 1:
                low, high = list(map(min, points)), list(map(max, points))
                self.axes.fill_between(
                    xs, low, high, color=ink(group.network), alpha=0.16, linewidth=0
                )

    def to_svg(self) -> str:
        """Return the `<svg>` element, coloured by the page's variables."""
        import matplotlib as mpl

        buffer = io.StringIO()
        with mpl.rc_context(_STYLE):
            self._name_lines()
            self.figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
        return _inline(buffer.getvalue(), self.name)

    def _name_lines(self) -> None:
        """Write each line's name at its end, moved up where two would collide."""
        self.figure.draw_without_rendering()  # settles the limits
        to_axes = self.axes.transData + self.axes.transAxes.inverted()
        lowest = -1.0
        for value, name, colour in sorted(self.ends):
            height = max(float(to_axes.transform((0, value))[1]), lowest)
            lowest = height + 0.08
            self.axes.annotate(
                name,
                (1.015, height),
                xycoords="axes fraction",
                va="center",
                color=colour,
                fontweight="bold",
                annotation_clip=False,
            )


def _inline(svg: str, name: str) -> str:
    """Strip the XML prologue and the fixed size; name ids and colours for the page."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\bid="', f'id="{name}-', svg)
    svg = re.sub(r'(url\(|href=")#', rf"\1#{name}-", svg)
    for colour, variable in _COLOURS.items():
        svg = svg.replace(colour, f"var({variable})")
    return svg
