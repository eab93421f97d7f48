"""From calls that one pass was seen to make, to modules that change them in every pass."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from torch import nn

from torchskip.errors import SurgeryError
from torchskip.graph import Node
from torchskip.surgery.rewire import Change, Rewiring, Step, clock_of, rewire
from torchskip.surgery.witness import Site, Witnessed, describe

__all__ = ["Wanted", "install"]

Wanted = tuple[Site, Step, Node]
"""A call, what shall become of it, and the node it is about."""


def install(
    model: nn.Module, seen: Witnessed, wanted: Iterable[Wanted], required: bool = True
) -> None:
    """Rewire the modules of `model` in whose forward the wanted calls are made.

    Raises:
        SurgeryError: one of them is not registered, or TorchScript.

    """
    ran = {m.path: m.calls for m in seen.graph.modules}
    by_module: dict[str, dict[Any, dict[int, dict[int, Step]]]] = defaultdict(dict)
    about: dict[str, dict[Any, Node]] = defaultdict(dict)
    for site, step, node in wanted:
        key = site.function, site.spot
        visits = by_module[site.module].setdefault(key, {}).setdefault(site.call, {})
        known = visits.get(site.visit)
        visits[site.visit] = step if known is None else known.joined(step)
        about[site.module][key] = node
    clock = clock_of(model)
    for path, spots in by_module.items():
        total = max(ran.get(path, 0), 1)
        changes, alike = [], True
        for (function, spot), calls in spots.items():
            groups: dict[tuple[Step | None, ...], list[int]] = defaultdict(list)
            for call, visits in calls.items():
                times = seen.visits[path, call, function, spot]
                groups[tuple(visits.get(i) for i in range(times))].append(call)
            for pattern, numbers in groups.items():
                every = len(numbers) == total
                alike = alike and every
                text = describe(about[path][function, spot]).split(" in '")[0]
                meant = None if every else frozenset(numbers)
                changes.append(Change(function, spot, pattern, text, required, meant))
        module = _submodule(model, path, next(iter(about[path].values())))
        rewire(module, Rewiring(path, tuple(changes), None if alike else clock, total))
        if not alike:
            rewire(model, Rewiring("", (), clock, root=True))


def _submodule(model: nn.Module, path: str, node: Node) -> nn.Module:
    try:
        return model.get_submodule(path)
    except AttributeError as error:
        raise SurgeryError(
            f"{describe(node)} cannot be cut: its module is not registered in the model\n"
            "  mend: make it an attribute in __init__ (an nn.ModuleList for lists of modules)"
        ) from error
