"""Values that a forward saves under a shortcut's name and does not add."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from torchskip.lint.evidence import Evidence
from torchskip.lint.facts import Body
from torchskip.lint.regions import Region, bridged, keeps_shape
from torchskip.lint.vocabulary import saved

__all__ = ["forgotten"]


def forgotten(
    evidence: Evidence, known: Mapping[str, Region]
) -> Iterator[tuple[Body, str, int, str]]:
    """Body, name and line of each such value; and what would have to be there for it to be read.

    The last is empty where nothing reads the value at all.
    """
    for body in evidence.bodies:
        module = evidence.modules.get(body.module)
        if module is None or not module.calls:
            continue
        for word, line in body.unread:
            if saved(word):
                yield body, word, line, ""
        region = known.get(body.module)
        if region is None or not region.layers or not keeps_shape(region, evidence.eval):
            continue
        if bridged(region, evidence.eval):
            continue
        ran = {n.source.line for n in region.nodes if n.source and n.source.file == body.file}
        for value in body.optional:
            if saved(value.word) and ran.isdisjoint(value.reads):
                yield body, value.word, value.line, value.needs
