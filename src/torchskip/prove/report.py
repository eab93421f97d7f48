"""The report: one HTML page that needs nothing else, the raw numbers beside it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from torchskip.prove import plots
from torchskip.prove.files import write
from torchskip.prove.records import Comparison, Run, to_json
from torchskip.prove.summary import Group, contrasts, groups, headline, significant

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["to_html", "to_table", "write_report"]


def to_table(comparison: Comparison) -> Table:
    """Return accuracy, loss and the first layer's gradient of each network, over the seeds."""
    from rich.table import Table

    table = Table(header_style="bold")
    table.add_column("network")
    for heading in ("test accuracy", "train accuracy", "train loss", "first gradient"):
        table.add_column(heading, justify="right")
    for group in groups(comparison):
        style = "blue" if group.network == "residual" else "dark_orange"
        table.add_row(f"[{style}]{group.name}[/]", *_cells(group))
    return table


Portraits = Sequence[tuple[str, str]]
"""A network's name and its arcs, an SVG."""


def to_html(
    comparison: Comparison, numbers: str = "results.json", portraits: Portraits = ()
) -> str:
    """Return the page, with a link to the file `numbers` and the networks' `portraits`."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    found = groups(comparison)
    title, sentence = headline(comparison)
    templates = Environment(
        loader=PackageLoader("torchskip.prove", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return templates.get_template("report.html.j2").render(
        headline=title,
        numbers_behind=sentence,
        contrasts=[
            (name, *(f"{100 * value:+.1f}" for value in (gap.mean, gap.low, gap.high)))
            for name, gap in contrasts(comparison)
            if gap.n > 1
        ],
        comparison=comparison,
        groups=[(group, _cells(group), _spans(group), _status(group)) for group in found],
        figures=_figures(comparison, found),
        portraits=portraits,
        settings=_settings(comparison),
        numbers=numbers,
    )


def write_report(comparison: Comparison, out: Path, portraits: Portraits = ()) -> Path:
    """Write `report.html` and `results.json` into `out`, each whole or not at all.

    Raises:
        TrainingError: `out` cannot be written.

    """
    record = to_json(comparison.to_record())
    write(out / "results.json", record)
    page = out / "report.html"
    write(page, to_html(comparison, portraits=portraits))
    return page


def _cells(group: Group) -> tuple[str, ...]:
    return (
        f"{100 * group.mean('test_accuracy'):.1f} %",
        f"{100 * group.mean('train_accuracy'):.1f} %",
        f"{group.mean('train_loss'):.3f}",
        significant(group.gradient),
    )


def _spans(group: Group) -> tuple[str, ...]:
    """Return the lowest and the highest seed of each cell, nothing where there is one seed."""
    if len(group.runs) < 2:
        return ("",) * 4
    spans = []
    for name in ("test_accuracy", "train_accuracy"):
        low, *_, high = sorted(100 * getattr(run, name) for run in group.runs)
        spans.append(f"{low:.1f} to {high:.1f}")
    losses = sorted(run.train_loss for run in group.runs)
    gradients = sorted(run.gradient for run in group.runs)
    return (
        *spans,
        f"{losses[0]:.3f} to {losses[-1]:.3f}",
        f"{significant(gradients[0])} to {significant(gradients[-1])}",
    )


def _status(group: Group) -> str:
    odd = sorted({run.status for run in group.runs} - {"finished"})
    return ", ".join(odd)


def _figures(comparison: Comparison, found: Sequence[Group]) -> list[tuple[str, str, str]]:
    """Return title, caption and drawing of each figure that there are numbers for."""
    figures = [
        (
            "Training loss",
            "Mean cross-entropy of the passing batches. He et al. 2015 saw it first: a deep plain "
            "network does not even fit its training images.",
            plots.loss_plot(found),
        ),
        (
            "Test accuracy",
            "Share of unseen images classified correctly after each epoch"
            + ("; dotted: always answering the commonest class." if comparison.commonest else "."),
            plots.accuracy_plot(found, comparison.commonest),
        ),
        (
            "Gradient reaching the first layer",
            "2-norm of the loss gradient in the first layer's weights at every step.",
            plots.gradient_plot(found),
        ),
        (
            "Gradient through the depth",
            "The same norm in every layer, median over the training.",
            plots.depth_plot(found),
        ),
    ]
    dissected = [run for run in comparison.runs if run.anatomy is not None]
    if dissected:
        figures += _inside(dissected)
    return [figure for figure in figures if figure[2]]


def _inside(dissected: Sequence[Run]) -> list[tuple[str, str, str]]:
    """Return the figures of the measures, made on the first seed at the greatest depth."""
    both = [(run.network, run.anatomy) for run in dissected if run.anatomy is not None]
    figures = [
        (
            "Gradient over depth and time",
            "The norm in every layer (upwards) at every hundredth of the training.",
            plots.flow_plot(dissected),
        ),
        (
            "Signal before training",
            "Variance of every layer's output on the first batch, with the first weights.",
            plots.signal_plot(both),
        ),
        (
            "Lesions",
            "Test accuracy with one block dropped; dashed: with none (Veit et al. 2016). Blocks of "
            "a plain network that change the shape cannot be dropped, nor are there any where it "
            "had no skips.",
            plots.lesion_plot(both),
        ),
        (
            "A slice through the loss",
            "Training loss along one random, filter-normalised direction (Li et al. 2018).",
            plots.slice_plot(both),
        ),
    ]
    for _, anatomy in both:
        if anatomy.shares:
            figures += [
                (
                    "Gradient by the shortcut",
                    "Part of the gradient that passes each block by its shortcut rather than its "
                    "branch.",
                    plots.share_plot(anatomy),
                ),
                (
                    "Path lengths",
                    "Share of the gradient that comes by paths through so many branches; the line: "
                    "if all paths counted alike (Veit et al. 2016).",
                    plots.length_plot(anatomy),
                ),
                (
                    "Where the stream changes",
                    "Length of what each branch adds, over the length of what its shortcut brings.",
                    plots.change_plot(anatomy),
                ),
            ]
    return figures


def _settings(comparison: Comparison) -> dict[str, str]:
    plan = comparison.to_record()["plan"]
    seeds = sorted({run.seed for run in comparison.runs})
    facts = {"model": comparison.model} if comparison.model else {}
    facts |= {"images": comparison.images, "seeds": ", ".join(map(str, seeds))}
    facts |= {name.replace("_", " "): _in_words(value) for name, value in plan.items()}
    return facts


def _in_words(value: object) -> str:
    if value is None or isinstance(value, bool):
        return {None: "none", True: "yes", False: "no"}[value]
    return str(value)
