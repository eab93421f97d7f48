"""What holds parameters and what runs: the modules of a model by the passes that called them."""

from __future__ import annotations

from collections.abc import Iterator

from torchskip.lint.evidence import Evidence

__all__ = ["called_modules", "holding", "read_names", "running", "weights_of"]


def _above(path: str) -> Iterator[str]:
    """The path and every path above it."""
    while path:
        yield path
        path = path.rpartition(".")[0]


def called_modules(evidence: Evidence) -> set[str]:
    """Modules that a pass calls."""
    return {m.path for run in evidence.passes for m in run.graph.modules if m.calls}


def read_names(evidence: Evidence) -> set[str]:
    """Names of the parameters and buffers that a pass reads."""
    return {p.name for run in evidence.passes for p in run.graph.parameters if p.readers}


def running(evidence: Evidence) -> set[str]:
    """Modules that run, or of which a part runs or is read."""
    return {p for path in called_modules(evidence) | read_names(evidence) for p in _above(path)}


def holding(evidence: Evidence) -> dict[str, None]:
    """Modules with parameters of their own or below them, in order."""
    names = [p.name for p in evidence.eval.graph.parameters if not p.buffer]
    return dict.fromkeys(p for n in names for p in _above(n.rpartition(".")[0]))


def weights_of(evidence: Evidence, path: str) -> list[tuple[int, ...]]:
    """Shapes of a module's weights, without biases."""
    return [
        p.shape
        for p in evidence.eval.graph.parameters
        if p.name.startswith(path + ".") and not p.buffer and len(p.shape) > 1
    ]
