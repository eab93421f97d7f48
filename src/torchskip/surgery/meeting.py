"""`meeting`: look at, and change, both arms of the skips of any model while it runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from torch import nn

from torchskip.errors import SurgeryError
from torchskip.graph import SkipPath
from torchskip.skips.flow import Flow
from torchskip.surgery.choose import SUMS, Which, choose, skips_of
from torchskip.surgery.cuts import entries
from torchskip.surgery.install import Wanted, install
from torchskip.surgery.rewire import restored
from torchskip.surgery.steps import Meet, Visit
from torchskip.surgery.twin import refuse_others
from torchskip.surgery.witness import Site, Witnessed, describe, watch

__all__ = ["meeting"]


@contextmanager
def meeting(
    model: nn.Module,
    visit: Visit,
    *example: Any,
    which: Which = SUMS,
    partly: bool = False,
    **kwargs: Any,
) -> Iterator[dict[str, SkipPath]]:
    """Let ``visit(name, shortcut, branch)`` replace both arms where they meet, in `model` itself.

    The skips are given on entry, by name: the path of the module in which the arms meet,
    numbered where it has several. The arms are what the join reads. On leaving, the model is as
    it was. `which` and the errors are those of :func:`torchskip.surgery.without_skips`; there is
    one more: SurgeryError of a join with more than two arms, or with `partly`, which leaves such
    joins out, where all of them are.

    >>> import torch
    >>> from torchskip.nn import Skip
    >>> net, x = Skip(torch.nn.Conv2d(4, 4, 3, padding=1)), torch.ones(1, 4, 8, 8)
    >>> with meeting(net, lambda name, shortcut, branch: (shortcut, 0 * branch), x):
    ...     torch.equal(net(x), x)
    True
    """
    refuse_others(model)
    seen = watch(model, example, kwargs, training=False)
    flow, places, refused = Flow(seen.graph), list[_Place](), list[SurgeryError]()
    for skip in choose(seen.graph, skips_of(seen.graph), which):
        try:
            places.append(_place(seen, flow, skip))
        except SurgeryError as error:
            if not partly:
                raise
            refused.append(error)
    if not places:
        raise refused[0]
    several, met = Counter(place.site.module for place in places), Counter[str]()
    wanted, joins = list[Wanted](), dict[str, SkipPath]()
    for place in sorted(places, key=lambda place: place.skip.join):
        path = place.site.module
        name = f"{path}[{met[path]}]" if several[path] > 1 else path
        met[path] += 1
        joins[name] = place.skip
        step = Meet(name, place.shortcut, place.branch, visit)
        wanted.append((place.site, step, seen.graph.nodes[place.skip.join]))
    with restored(model):
        install(model, seen, wanted)
        yield joins


@dataclass(frozen=True, slots=True)
class _Place:
    """The call in which the arms of `skip` meet, and the positions of both among its tensors."""

    skip: SkipPath
    site: Site
    shortcut: int
    branch: int


def _place(seen: Witnessed, flow: Flow, skip: SkipPath) -> _Place:
    found = []
    for role in ("shortcut", "branch"):
        for edge in entries(flow, skip, role):
            asked, positions = seen.operand(seen.graph.nodes[edge.node], edge.value)
            found.append((asked.site, positions[0]))
    if len(found) != 2 or found[0][0] != found[1][0]:
        raise SurgeryError(
            f"{describe(seen.graph.nodes[skip.join])} is no meeting of two arms in one call\n"
            "  mend: leave it out with which=..."
        )
    return _Place(skip, found[0][0], found[0][1], found[1][1])
