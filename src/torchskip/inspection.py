"""`inspect`: every skip connection of a model, found, counted and ready to be drawn."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from torchskip.graph import Graph, Kind, SkipPath
from torchskip.skips import find_skips
from torchskip.trace import trace

if TYPE_CHECKING:
    from torch import nn

__all__ = ["Inspection", "inspect"]


@dataclass(frozen=True, slots=True)
class Inspection:
    """A model's graph and its skip connections.

    Printing one draws the tree of modules with every skip named; a notebook draws the arcs.
    """

    graph: Graph
    skips: tuple[SkipPath, ...]

    @property
    def totals(self) -> dict[Kind, int]:
        """How many skips there are of each kind, the most frequent kind first."""
        return dict(Counter(skip.kind for skip in self.skips).most_common())

    def __str__(self) -> str:
        from torchskip.render import to_text

        return to_text(self)

    def _repr_html_(self) -> str:
        # The page's styles and scripts would reach into the notebook; the picture's cannot.
        from torchskip.render import to_svg

        return to_svg(self)

    def to_html(self, title: str = "") -> str:
        """Return one self-contained page: the arc picture and a table of all skips.

        `title` is its heading; where it is empty, the name of the model's class.
        """
        from torchskip.render import to_html

        return to_html(self, title)

    def to_svg(self) -> str:
        """Return the arc picture alone."""
        from torchskip.render import to_svg

        return to_svg(self)

    def to_json(self, indent: int | None = 2) -> str:
        """Return graph, skips and totals as JSON with a schema version."""
        from torchskip.render import to_record

        return json.dumps(to_record(self), indent=indent)


def inspect(
    model: nn.Module, *example: Any, training: bool | None = None, **kwargs: Any
) -> Inspection:
    r"""Run ``model(*example, **kwargs)`` without data and name every skip connection in it.

    A skip connection is a value that goes on along two arms and meets itself again: in a sum
    :math:`y = x + f(x)`, a concatenation :math:`y = [x, f(x)]` or a gate
    :math:`y = x \cdot \sigma(g(x))`. The model comes back as it was. Where its forward raises,
    `Inspection.graph` holds what ran before, `Graph.failure` says why, and a failing join is
    among the skips.

    >>> import torch
    >>> from torch import nn
    >>> class Block(nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.branch = nn.Conv2d(8, 8, 3, padding=1)
    ...     def forward(self, x):
    ...         return x + self.branch(x)
    >>> inspect(nn.Sequential(Block(), Block()), torch.zeros(1, 8, 16, 16)).totals
    {'identity': 2}
    """
    graph = trace(model, *example, training=training, **kwargs)
    return Inspection(graph, find_skips(graph))
