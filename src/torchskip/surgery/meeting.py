"""`meeting`: look at, and change, both arms of the skips of any model while it runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn

from torchskip.errors import SurgeryError
from torchskip.skips.flow import Flow
from torchskip.surgery.choose import Which, choose, skips_of
from torchskip.surgery.cuts import entries
from torchskip.surgery.install import Wanted, install
from torchskip.surgery.rewire import restored
from torchskip.surgery.steps import Meet, Visit
from torchskip.surgery.twin import refuse_others
from torchskip.surgery.witness import describe, watch

__all__ = ["meeting"]


@contextmanager
def meeting(
    model: nn.Module,
    visit: Visit,
    *example: Any,
    which: Which = ("identity", "projection"),
    **kwargs: Any,
) -> Iterator[tuple[str, ...]]:
    """Let ``visit(name, shortcut, branch)`` replace both arms where they meet, in `model` itself.

    The names are given on entry: the path of the module in which the arms meet, numbered where
    it has several. The arms are what the join reads. On leaving, the model is as it was. `which`
    and the errors are those of :func:`torchskip.surgery.without_skips`; of a join with more than
    two arms there is one more: SurgeryError.

    >>> import torch
    >>> from torchskip.nn import Skip
    >>> net, x = Skip(torch.nn.Conv2d(4, 4, 3, padding=1)), torch.ones(1, 4, 8, 8)
    >>> with meeting(net, lambda name, shortcut, branch: (shortcut, 0 * branch), x):
    ...     torch.equal(net(x), x)
    True
    """
    refuse_others(model)
    seen = watch(model, example, kwargs, training=False)
    graph = seen.graph
    flow, sites = Flow(graph), []
    for skip in choose(graph, skips_of(graph), which):
        found = []
        for role in ("shortcut", "branch"):
            for edge in entries(flow, skip, role):
                asked, positions = seen.operand(graph.nodes[edge.node], edge.value)
                found.append((asked.site, positions[0]))
        node = graph.nodes[skip.join]
        if len(found) != 2 or found[0][0] != found[1][0]:
            raise SurgeryError(
                f"{describe(node)} is no meeting of two arms in one call\n"
                "  mend: leave it out with which=..."
            )
        sites.append((found[0][0], found[0][1], found[1][1], node))
    several, met = Counter(site.module for site, *_ in sites), Counter[str]()
    wanted = list[Wanted]()
    names = []
    for site, shortcut, branch, node in sites:
        path = site.module
        names.append(f"{path}[{met[path]}]" if several[path] > 1 else path)
        met[path] += 1
        wanted.append((site, Meet(names[-1], shortcut, branch, visit), node))
    with restored(model):
        install(model, seen, wanted)
        yield tuple(names)
