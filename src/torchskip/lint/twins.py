"""Modules that never run while a twin beside them runs twice."""

from __future__ import annotations

from torchskip.lint.evidence import Evidence

__all__ = ["stand_ins"]


def stand_ins(evidence: Evidence) -> dict[str, str]:
    """For each module with parameters that never runs, the twin that runs in its place too.

    A twin is a module of the same parent, of the same kind and size, called more often than the
    parent is. A module of another kind, which keeps the same width, is one where it is called
    just twice: a block's second half that calls its first half's layer.
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
            if other.rpartition(".")[0] != parent or module.calls <= modules[parent].calls:
                continue
            same = weights.get(other) == own and module.type == modules[path].type
            twice = module.calls == 2 * modules[parent].calls
            if same or (twice and _width(own) and _width(own) == _width(weights.get(other, []))):
                found[path] = other
                break
    return found


def _width(weights: list[tuple[str, tuple[int, ...]]]) -> int | None:
    """Channels that a module takes and gives; None where it changes them or mixes none."""
    mixing = [shape for _, shape in weights if len(shape) > 1]
    kept = bool(mixing) and mixing[0][1] == mixing[-1][0]
    return mixing[-1][0] if kept else None
