"""Draw what was found: text, SVG, HTML and JSON, each a pure function of frozen values.

Each rendering, and what it needs (rich, jinja2), is imported when it is called.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Group

    from torchskip.inspection import Inspection

__all__ = ["renderable", "to_html", "to_record", "to_svg", "to_text"]


def to_text(inspection: Inspection, width: int = 100) -> str:
    """Return the tree of modules with every skip named, as plain text of `width` columns."""
    from torchskip.render import text

    return text.to_text(inspection, width)


def renderable(inspection: Inspection) -> Group:
    """Return the same tree for `rich.console.Console.print`, which knows width and colours."""
    from torchskip.render import text

    return text.renderable(inspection)


def to_svg(inspection: Inspection) -> str:
    """Return the arc picture as one static SVG that stands alone, in light and dark."""
    from torchskip.render import svg

    return svg.to_svg(inspection)


def to_html(inspection: Inspection, title: str = "") -> str:
    """Return one self-contained page: the picture to explore, and the table of skips."""
    from torchskip.render import html

    return html.to_html(inspection, title)


def to_record(inspection: Inspection) -> dict[str, Any]:
    """Return the JSON record of graph, skips and totals, as its schema describes it."""
    from torchskip.render import records

    return records.to_record(inspection)
