"""Modules that never run while a twin beside them runs twice."""

from __future__ import annotations

from torchskip.lint.evidence import Evidence

__all__ = ["stand_ins"]


def stand_ins(evidence: Evidence) -> dict[str, str]:
    """For each module with parameters that never runs, the twin that runs in its place too.

    A twin is a module of the same parent, of the same kind and size, called more often than the
    parent is.
    """
    modules = evidence.modules
    weights: dict[str, list[tuple[str, tuple[int, ...]]]] = {}
    for parameter in evidence.eval.graph.parameters:
        path = parameter.name.rpartition(".")[0]
        while path:
            weights.setdefault(path, []).append(
                (parameter.name.removeprefix(path), parameter.shape)
            )
            path = path.rpartition(".")[0]
    read = {p.name for run in evidence.passes for p in run.graph.parameters if p.readers}
    runs = {m.path for run in evidence.passes for m in run.graph.modules if m.calls}
    found: dict[str, str] = {}
    for path, own in weights.items():
        parent = path.rpartition(".")[0]
        if path in runs or parent not in runs or path not in modules:
            continue
        if any(path + name in read for name, _ in own):
            continue
        for other, module in modules.items():
            beside = other.rpartition(".")[0] == parent and weights.get(other) == own
            same = beside and module.type == modules[path].type
            if same and module.calls > modules[parent].calls:
                found[path] = other
                break
    return found
