"""Modules called a stochastic depth that drop nothing: they never run, or hand their input on."""

from __future__ import annotations

from collections.abc import Iterator

from torchskip.graph import Module, Source
from torchskip.lint.drops import DROP_PATH, chance
from torchskip.lint.evidence import Evidence

__all__ = ["undrawn"]


def undrawn(evidence: Evidence) -> Iterator[tuple[Module, str, Source | None, str]]:
    """Each such module of a probability above zero, why it drops nothing, where, and a mend."""
    if any(run.graph.failure is not None for run in evidence.passes):
        return
    runs = {m.path for run in evidence.passes for m in run.graph.modules if m.calls}
    blocks = {evidence.eval.graph.nodes[s.join].module for s in evidence.eval.skips if s.live}
    works = {node.module for node in evidence.train.graph.nodes}
    for path, module in evidence.modules.items():
        above, _, own = path.rpartition(".")
        if path in works or above not in runs & blocks or not module.leaf:
            continue
        if not chance(module) or not DROP_PATH.search(module.type):
            continue
        if path not in runs:
            other = _instead(evidence, module)
            why = f"{other!r} runs in its place" if other else "the branch is never dropped"
            whose = "its" if other else "the"
            mend = f"call it on {whose} branch, before the join: `self.{own}(branch)`"
            yield module, f"never runs: {why}", evidence.modules[above].source, mend
        elif evidence.numbers.hands_on(path):
            why = "hands its input on in training too: the branch is never dropped"
            yield module, why, module.source, "pass the mode on: `training=self.training`"


def _instead(evidence: Evidence, module: Module) -> str | None:
    """The module beside it, of its type, that training calls more often than their parent."""
    above = module.path.rpartition(".")[0]
    trained = {m.path: m for m in evidence.train.graph.modules}
    return next(
        (
            m.path
            for m in trained.values()
            if (m.path.rpartition(".")[0], m.type) == (above, module.type)
            and m.calls > trained[above].calls
        ),
        None,
    )
