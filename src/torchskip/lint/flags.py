"""Flags of modules that promise a shortcut: ``use_residual=True``."""

from __future__ import annotations

from collections.abc import Iterator

from torchskip.graph import Module
from torchskip.lint.evidence import Pass
from torchskip.lint.regions import below
from torchskip.lint.vocabulary import promises

__all__ = ["ignored", "passed_over"]


def passed_over(run: Pass) -> Iterator[tuple[Module, str, tuple[Module, ...]]]:
    """Flags that are set in a module and off in every block below, none of which has a skip.

    A module that adds its input in its own forward does what its flag says.
    """
    skips = [run.graph.nodes[s.join].module for s in run.skips if s.live]
    adding = {run.graph.nodes[s.join].module for s in run.skips if s.live and s.kind == "identity"}
    for module in run.graph.modules:
        for flag in _set(module) if module.path not in adding else ():
            lower = _lower(run, module)
            off = tuple(
                m
                for m in lower
                if m.calls and any(v is False and promises(k) for k, v in m.attributes)
            )
            joined = any(below(path, m.path) for path in skips for m in off)
            if off and not joined and not any(map(_set, lower)):
                yield module, flag, off


def ignored(run: Pass) -> Iterator[tuple[Module, str]]:
    """Flags that are set in a module and unknown below it."""
    for module in run.graph.modules:
        flags = _set(module) if module.calls else []
        if flags and not any(promises(k) for m in _lower(run, module) for k, _ in m.attributes):
            yield module, flags[0]


def _set(module: Module) -> list[str]:
    return [k for k, v in module.attributes if v is True and promises(k)]


def _lower(run: Pass, module: Module) -> list[Module]:
    return [m for m in run.graph.modules if m.path != module.path and below(m.path, module.path)]
