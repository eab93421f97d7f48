"""The curves of a comparison as inline SVG whose colours follow the page, light or dark."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Sequence
from statistics import fmean, median
from typing import Any

from torchskip.compare.records import Run
from torchskip.compare.summary import Group

__all__ = ["accuracy_plot", "depth_plot", "gradient_plot", "loss_plot"]

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


def loss_plot(found: Sequence[Group]) -> str:
    """Training loss over the steps, smoothed."""
    drawing = _Drawing("loss", "step")
    drawing.lines(found, lambda run: _running([step.loss for step in run.steps], fmean))
    drawing.axes.set_ylim(bottom=0)
    return drawing.to_svg()


def accuracy_plot(found: Sequence[Group]) -> str:
    """Accuracy on the test images after each epoch, in percent."""
    from matplotlib.ticker import MaxNLocator

    drawing = _Drawing("accuracy", "epoch")
    drawing.axes.set_ylim(0, 100)
    drawing.axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))
    drawing.axes.yaxis.set_major_formatter("{x:.0f} %")
    drawing.lines(
        found, lambda run: [100 * epoch.test_accuracy for epoch in run.epochs], first=1, marker="o"
    )
    return drawing.to_svg()


def gradient_plot(found: Sequence[Group]) -> str:
    """Norm of the gradient that reaches the first layer, over the steps, logarithmic."""
    drawing = _Drawing("gradient", "step")
    drawing.axes.set_yscale("log")
    # Of numbers over many decades a mean would show only the largest.
    drawing.lines(found, lambda run: _running([step.gradient for step in run.steps], median))
    return drawing.to_svg()


def depth_plot(found: Sequence[Group]) -> str:
    """Median norm of the gradient in every layer, first to last, logarithmic."""
    drawing = _Drawing("depth", "layer, from the image to the classifier")
    drawing.axes.set_yscale("log")
    drawing.lines(found, _by_layer, first=1)
    return drawing.to_svg()


class _Drawing:
    """One pair of axes; lines are named at their ends."""

    def __init__(self, name: str, across: str) -> None:
        import matplotlib as mpl
        from matplotlib.figure import Figure

        self.name, self.ends = name, list[tuple[float, str, str]]()
        with mpl.rc_context(_STYLE):
            self.figure = Figure(figsize=(5.2, 3.1), layout="constrained")
            self.axes = self.figure.add_subplot()
            self.axes.set_xlabel(across)

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
            colour = _RESIDUAL if group.network == "residual" else _PLAIN
            dash = "-" if group.depth == deepest else "--"
            middle = [fmean(values) for values in points]
            self.axes.plot(xs, middle, dash, color=colour, marker=marker, lw=2)
            if len(curves) > 1:
                low, high = map(min, points), map(max, points)
                self.axes.fill_between(
                    xs, list(low), list(high), color=colour, alpha=0.16, linewidth=0
                )
            self.ends.append((middle[-1], group.name, colour))

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


def _running(
    values: Sequence[float], middle: Callable[[Sequence[float]], float], share: float = 0.03
) -> list[float]:
    """Return the `middle` of the last `share` of the values, at each."""
    width = max(1, round(share * len(values)))
    return [middle(values[max(0, end - width) : end]) for end in range(1, len(values) + 1)]


def _by_layer(run: Run) -> list[float]:
    pictures = [step.layers for step in run.steps if step.layers]
    return [median(norms) for norms in zip(*pictures, strict=True)]


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
