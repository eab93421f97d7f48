"""The figures of a comparison, each an inline SVG."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from statistics import fmean, median

from torchskip.prove.anatomy import Anatomy
from torchskip.prove.drawing import Drawing
from torchskip.prove.records import Run
from torchskip.prove.summary import Group

__all__ = [
    "accuracy_plot",
    "change_plot",
    "depth_plot",
    "flow_plot",
    "gradient_plot",
    "length_plot",
    "lesion_plot",
    "loss_plot",
    "share_plot",
    "signal_plot",
    "slice_plot",
]


def loss_plot(found: Sequence[Group]) -> str:
    """Training loss over the steps, smoothed."""
    drawing = Drawing("loss", "step")
    drawing.lines(found, lambda run: _running([step.loss for step in run.steps], fmean))
    drawing.axes.set_ylim(bottom=0)
    return drawing.to_svg()


def accuracy_plot(found: Sequence[Group], commonest: float) -> str:
    """Accuracy on the test images after each epoch, in percent; dotted: the commonest class."""
    drawing = Drawing("accuracy", "epoch")
    drawing.axes.set_ylim(0, 100)
    drawing.axes.yaxis.set_major_formatter("{x:.0f} %")
    drawing.lines(
        found, lambda run: [100 * epoch.test_accuracy for epoch in run.epochs], first=1, marker="o"
    )
    if commonest:
        drawing.level("", 100 * commonest, dash=":")
    return drawing.to_svg()


def gradient_plot(found: Sequence[Group]) -> str:
    """Norm of the gradient that reaches the first layer, over the steps, logarithmic."""
    drawing = Drawing("gradient", "step")
    drawing.axes.set_yscale("log")
    # Of numbers over many decades a mean would show only the largest.
    drawing.lines(found, lambda run: _running([step.gradient for step in run.steps], median))
    return drawing.to_svg()


def depth_plot(found: Sequence[Group]) -> str:
    """Median norm of the gradient in every layer, first to last, logarithmic."""
    drawing = Drawing("depth", "layer, from the image to the classifier")
    drawing.axes.set_yscale("log")
    drawing.lines(found, _by_layer, first=1)
    return drawing.to_svg()


def lesion_plot(found: Sequence[tuple[str, Anatomy]]) -> str:
    """Test accuracy with one block dropped, block by block; dashed: with none dropped."""
    if not any(math.isfinite(value) for _, anatomy in found for value in anatomy.lesions):
        return ""
    drawing = Drawing("lesion", "block that is dropped")
    drawing.axes.yaxis.set_major_formatter("{x:.0f} %")
    for network, anatomy in found:
        blocks = range(1, len(anatomy.lesions) + 1)
        values = [100 * value for value in anatomy.lesions]
        if not values:
            continue
        drawing.line(network, network, blocks, values, marker="o")
        drawing.level(network, 100 * anatomy.intact)
    drawing.axes.set_ylim(0, 100)
    return drawing.to_svg()


def slice_plot(found: Sequence[tuple[str, Anatomy]]) -> str:
    """Training loss along one random direction of filter-normalised length, logarithmic."""
    drawing = Drawing("slice", "distance from the trained weights, in their own lengths")
    drawing.axes.set_yscale("log")
    for network, anatomy in found:
        drawing.line(network, network, anatomy.slice_at, anatomy.slice_losses)
    return drawing.to_svg()


def signal_plot(found: Sequence[tuple[str, Anatomy]]) -> str:
    """Variance of every layer's output before training, logarithmic."""
    drawing = Drawing("signal", "layer, from the image to the classifier")
    drawing.axes.set_yscale("log")
    for network, anatomy in found:
        layers = range(1, len(anatomy.variances) + 1)
        drawing.line(network, network, layers, anatomy.variances)
    return drawing.to_svg()


def share_plot(anatomy: Anatomy) -> str:
    """Part of the gradient that passes each block by its shortcut, in percent."""
    drawing = Drawing("share", "block")
    drawing.axes.yaxis.set_major_formatter("{x:.0f} %")
    values = [100 * value for value in anatomy.shares]
    drawing.bars("residual", range(1, len(values) + 1), values)
    drawing.axes.set_ylim(0, 100)
    return drawing.to_svg()


def change_plot(anatomy: Anatomy) -> str:
    """Size of what each branch adds, against what is there."""
    drawing = Drawing("change", "block")
    drawing.bars("residual", range(1, len(anatomy.changes) + 1), anatomy.changes)
    return drawing.to_svg()


def length_plot(anatomy: Anatomy) -> str:
    """Weight of the paths through so many branches; grey: how many paths there are."""
    drawing = Drawing("length", "branches on the path")
    count = len(anatomy.lengths)
    paths = [100 * math.comb(count - 1, k) / 2 ** (count - 1) for k in range(count)]
    drawing.axes.yaxis.set_major_formatter("{x:.0f} %")
    drawing.bars("residual", range(count), [100 * weight for weight in anatomy.lengths])
    drawing.line("all paths", "", range(count), paths)
    return drawing.to_svg()


def flow_plot(runs: Sequence[Run]) -> str:
    """Gradient norm over depth (upwards) and time (to the right), one picture a network."""
    found = []
    for run in runs:
        steps = [step for step in run.steps if step.layers]
        if len(steps) < 2:
            return ""
        decades = [[math.log10(max(norm, 1e-12)) for norm in step.layers] for step in steps]
        rows = list(zip(*decades, strict=True))
        found.append((run.network, rows, (steps[0].step, steps[-1].step)))
    drawing = Drawing("flow", "step", panels=len(runs))
    drawing.pictures(found, up="layer")
    return drawing.to_svg()


def _running(
    values: Sequence[float], middle: Callable[[Sequence[float]], float], share: float = 0.03
) -> list[float]:
    """Return the `middle` of the last `share` of the values, at each."""
    width = max(1, round(share * len(values)))
    return [middle(values[max(0, end - width) : end]) for end in range(1, len(values) + 1)]


def _by_layer(run: Run) -> list[float]:
    pictures = [step.layers for step in run.steps if step.layers]
    return [median(norms) for norms in zip(*pictures, strict=True)]
