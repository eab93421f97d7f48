"""Gates that blocks build and never call: squeeze-and-excitation and its kin."""

from __future__ import annotations

import re
from collections.abc import Iterator

from torchskip.lint.evidence import Evidence
from torchskip.lint.idle import called_modules, holding, running, weights_of
from torchskip.lint.regions import below

__all__ = ["idle_gates"]

_SQUASHES = re.compile(r"sigmoid", re.I)
_NAMED = re.compile(
    r"^(se|eca|cbam|bam|scse|ca|sa)(_?(block|layer|module|unit))?\d*$|squeeze|excit"
    r"|(spatial|channel)_?(att|gate)",
    re.I,
)


def idle_gates(evidence: Evidence) -> Iterator[tuple[str, str, int]]:
    """Each gate that no pass calls, the block that should, and the channels it would scale.

    A gate is known by its sigmoid, or by its name; it gives as many channels as it takes, and the
    block makes maps of these channels. One known by both may be of any weights (0 channels are
    told): a spatial gate gives one channel, and a convolution along the channels knows no number.
    """
    called, runs = called_modules(evidence), running(evidence)
    for path in holding(evidence):
        block, _, word = path.rpartition(".")
        if path in runs or block not in called or path not in evidence.modules:
            continue
        kinds = [m.type for p, m in evidence.modules.items() if below(p, path)]
        names = word, evidence.modules[path].type
        signs = any(map(_SQUASHES.search, kinds)), any(map(_NAMED.search, names))
        weights, widths = weights_of(evidence, path), _widths(evidence, block)
        if not any(signs) or not weights or not widths:
            continue
        if weights[0][1] == weights[-1][0] in widths:
            yield path, block, weights[-1][0]
        elif all(signs) and (weights[0][1] in widths or max(weights[0][:2]) < 3):
            yield path, block, 0


def _widths(evidence: Evidence, block: str) -> set[int]:
    """Channels of the maps that a block makes."""
    flow = evidence.eval.flow
    shapes = (
        flow.value(v).shape
        for node in flow.graph.nodes
        if below(node.module, block)
        for v in node.outputs
    )
    return {shape[1] for shape in shapes if len(shape) > 2}
