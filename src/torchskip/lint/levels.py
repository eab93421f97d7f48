"""Which level of an encoder each join of its decoder reads, by spatial size."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from math import prod

from torchskip.graph import Arm, Node, SkipPath
from torchskip.lint.evidence import Pass
from torchskip.lint.ops import is_layer, name
from torchskip.skips.ops import role

__all__ = ["Level", "foreign_levels", "queued_levels", "repeated_levels"]


@dataclass(frozen=True, slots=True)
class Level:
    """A decoder's join whose shortcut is not the encoder's `own` value of that size."""

    skip: SkipPath
    own: int


def foreign_levels(run: Pass) -> tuple[Level, ...]:
    """Joins that read a feature of another level, resized, while none reads their own.

    One such join may be a design. It is a slip where there are several of several sizes, or
    where the feature is read at its own level as well.
    """
    found: list[Level] = []
    for skip in _decoders(run):
        way = run.flow.nodes_between(skip.split, _arm(skip, "shortcut").values[-1])
        if _size(run, skip.split) != _joined(run, skip) and not any(map(is_layer, way)):
            own = _own(run, skip, _joined(run, skip))
            found += [] if own is None else [Level(skip, own)]
    sizes = {_joined(run, level.skip) for level in found}
    readers: dict[int, set[int]] = {}
    for skip in run.skips:
        if skip.live and skip.kind in {"long", "concat", "dense"}:
            readers.setdefault(skip.split, set()).add(skip.join)
    return tuple(f for f in found if len(sizes) > 1 or len(readers[f.skip.split]) > 1)


def repeated_levels(run: Pass) -> tuple[Level, ...]:
    """Joins that read the level of the join before, behind an upsampling that enlarges nothing.

    `own` is the encoder's next finer level, which no join reads.
    """
    found: list[Level] = []
    last: dict[int, SkipPath] = {}
    for skip in _decoders(run):
        before, last[skip.split] = last.get(skip.split), skip
        if before is None or _size(run, skip.split) != _joined(run, skip):
            continue
        total = run.graph.nodes[before.join].outputs[0]
        idle = any(
            _resizes(node) and _size(run, node.inputs[0]) == _size(run, node.outputs[0])
            for node in run.flow.nodes_between(total, _arm(skip, "branch").values[-1])
        )
        finer = [v for v in _encoder(run, skip) if _size(run, v) > _size(run, skip.split)]
        own = _own(run, skip, _size(run, finer[-1])) if idle and finer else None
        found += [] if own is None else [Level(skip, own)]
    return tuple(found)


def queued_levels(run: Pass) -> tuple[SkipPath, ...]:
    """The skips of one way down and one way up whose largest feature is joined first."""
    skips = sorted(_decoders(run), key=lambda skip: skip.join)
    if len(skips) < 2 or len({skip.split for skip in skips}) < len(skips):
        return ()
    if skips[-1].split > run.graph.nodes[skips[0].join].outputs[0]:
        return ()  # the way down has not ended
    sizes = [_size(run, skip.split) for skip in skips]
    falls = all(prod(a) > prod(b) for a, b in pairwise(sizes))
    return tuple(skips) if falls and all(a.split < b.split for a, b in pairwise(skips)) else ()


def _decoders(run: Pass) -> list[SkipPath]:
    """Skips around a way down and up again."""
    return [s for s in run.skips if s.live and s.kind == "long" and s.merge in {"add", "cat"}]


def _arm(skip: SkipPath, role: str) -> Arm:
    return next(arm for arm in skip.arms if arm.role == role)


def _size(run: Pass, value: int) -> tuple[int, ...]:
    return run.flow.value(value).shape[2:]


def _joined(run: Pass, skip: SkipPath) -> tuple[int, ...]:
    return _size(run, run.graph.nodes[skip.join].outputs[0])


def _resizes(node: Node) -> bool:
    """Whether the operation resizes; to the nearest neighbour, that is indexing on meta tensors."""
    kind = role(node) == "resize" or name(node) == "_unsafe_index"
    return kind and bool(node.inputs and node.outputs)


def _encoder(run: Pass, skip: SkipPath) -> list[int]:
    """Values from the input down to the smallest one around which the skip leads."""
    low = min(_arm(skip, "branch").values, key=lambda v: prod(_size(run, v)))
    starts = [v for v in run.graph.inputs if run.flow.depends(low, v)]
    return [value for _, value in run.flow.longest(starts[0], low)] if starts else []


def _own(run: Pass, skip: SkipPath, size: tuple[int, ...]) -> int | None:
    """The encoder's last value of a size; None where there is none, or a join reads that level."""
    level = [v for v in _encoder(run, skip) if _size(run, v) == size]
    read = any(s.split in level and _joined(run, s) == size for s in run.skips if s.live)
    return None if read or not level else level[-1]
