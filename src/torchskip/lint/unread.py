"""Parameters that a block keeps itself, for its shortcut or its branch, and never reads."""

from __future__ import annotations

import re
from collections.abc import Iterator

from torchskip.graph import Parameter
from torchskip.lint.evidence import Evidence
from torchskip.lint.idle import called_modules, read_names
from torchskip.lint.ops import ADDS, name
from torchskip.lint.vocabulary import bypass

__all__ = ["unread_scales", "unread_weights"]

_SCALE = re.compile(r"((layer|res|skip|branch)_?)?(scale|gamma|alpha|gain)(_?\d)?", re.I)


def unread_scales(evidence: Evidence) -> Iterator[tuple[Parameter, str]]:
    """Scales of a branch, with the block that adds without them."""
    called, read = called_modules(evidence), read_names(evidence)
    joined = {n.module for n in evidence.eval.graph.nodes if name(n) in ADDS}
    for parameter in evidence.eval.graph.parameters:
        block, _, word = parameter.name.rpartition(".")
        if parameter.buffer or parameter.name in read or not _SCALE.fullmatch(word):
            continue
        if block in called & joined:
            yield parameter, block


def unread_weights(evidence: Evidence) -> dict[str, list[str]]:
    """Names of a shortcut's weights by the block that keeps them, where it reads none of them."""
    called, read = called_modules(evidence), read_names(evidence)
    weights: dict[str, list[str]] = {}
    for parameter in evidence.eval.graph.parameters:
        block, _, word = parameter.name.rpartition(".")
        named = bypass(word) and not _SCALE.fullmatch(word)
        if named and not parameter.buffer and block in called:
            weights.setdefault(block, []).append(parameter.name)
    return {
        block: [n.rpartition(".")[2] for n in names]
        for block, names in weights.items()
        if read.isdisjoint(names)
    }
