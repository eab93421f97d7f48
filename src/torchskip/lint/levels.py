"""Which level of an encoder each join of its decoder reads, by spatial size."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from math import prod

from torchskip.graph import Arm, Node, SkipPath
from torchskip.lint.evidence import Pass
from torchskip.lint.ops import is_layer, name
from torchskip.skips.ops import role

__all__ = ["Level", "crossed_levels", "foreign_levels", "queued_levels", "repeated_levels"]


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
    for skip in (*_decoders(run), *_laterals(run)):
        way = run.flow.nodes_between(skip.split, _arm(skip, "shortcut").values[-1])
        if len(_size(run, skip.split)) != len(_joined(run, skip)):
            continue  # tokens, whose level their axes do not tell: MaskFormer
        if _size(run, skip.split) != _joined(run, skip) and not any(map(_mixes, way)):
            own = _own(run, skip, _joined(run, skip))
            found += [] if own is None else [Level(skip, own)]
    sizes = {_joined(run, level.skip) for level in found}
    readers: dict[int, set[int]] = {}
    for skip in run.skips:
        if skip.live and skip.kind in {"long", "concat", "dense", "projection"}:
            readers.setdefault(skip.split, set()).add(skip.join)
    return tuple(f for f in found if len(sizes) > 1 or len(readers[f.skip.split]) > 1)


def repeated_levels(run: Pass) -> tuple[Level, ...]:
    """Joins that read the level of the join before, behind an upsampling that enlarges nothing.

    `own` is a level of the encoder which no join reads, the next finer one if it is that.
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
        here = _size(run, skip.split)
        levels = dict.fromkeys(map(partial(_size, run), _layered(run, skip))) if idle else {}
        finer = [size for size in reversed(levels) if size > here]
        coarser = [size for size in levels if size < here][:-1]  # the last is where it turns
        unread = (_own(run, skip, size) for size in (*finer, *coarser))
        own = next((v for v in unread if v is not None), None)
        found += [] if own is None else [Level(skip, own)]
    return tuple(found)


def crossed_levels(run: Pass) -> tuple[SkipPath, ...]:
    """Two joins in the wrong order: the map grows past a level, and shrinks again to meet it.

    Only where each level is read once, and it is a resize that shrinks the map.
    """
    skips = sorted(_decoders(run), key=lambda skip: skip.join)
    if len({skip.split for skip in skips}) < len(skips):
        return ()
    for before, after in pairwise(skips):
        total = run.graph.nodes[before.join].outputs[0]
        coarse, fine = _size(run, after.split), _size(run, before.split)
        crossed = before.split < after.split and prod(coarse) < prod(fine)
        kept = _joined(run, before) == fine and _joined(run, after) == coarse
        if (
            crossed
            and kept
            and any(
                _resizes(n) and prod(_size(run, n.outputs[0])) < prod(_size(run, n.inputs[0]))
                for n in run.flow.nodes_between(total, _arm(after, "branch").values[-1])
            )
        ):
            return before, after
    return ()


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


def _laterals(run: Pass) -> list[SkipPath]:
    """Sums of a decoder's map and an encoder's feature that is projected and enlarged to it."""
    return [
        s
        for s in run.skips
        if s.live
        and (s.kind, s.merge, len(s.arms)) == ("projection", "add", 2)
        and all(_enlarges(run, s.split, arm) for arm in s.arms)
    ]


def _enlarges(run: Pass, split: int, arm: Arm) -> bool:
    """Whether a resize on the arm enlarges its map."""
    return any(
        _resizes(n) and prod(_size(run, n.outputs[0])) > prod(_size(run, n.inputs[0]))
        for n in run.flow.nodes_between(split, arm.values[-1])
    )


def _arm(skip: SkipPath, role: str) -> Arm:
    return next(arm for arm in skip.arms if arm.role == role)


def _size(run: Pass, value: int) -> tuple[int, ...]:
    return run.flow.value(value).shape[2:]


def _joined(run: Pass, skip: SkipPath) -> tuple[int, ...]:
    return _size(run, run.graph.nodes[skip.join].outputs[0])


def _mixes(node: Node) -> bool:
    """Whether a layer on the way looks at more than one pixel: a lateral convolution does not."""
    weights = [c.shape for c in node.constants if len(c.shape) > 2]
    return is_layer(node) and not (weights and set(weights[0][2:]) == {1})


def _resizes(node: Node) -> bool:
    """Whether the operation resizes; to the nearest neighbour, that is indexing on meta tensors."""
    kind = role(node) == "resize" or name(node) == "_unsafe_index"
    return kind and bool(node.inputs and node.outputs)


def _encoder(run: Pass, skip: SkipPath) -> list[int]:
    """Values from the input down to the smallest one around which the skip leads."""
    low = min(_arm(skip, "branch").values, key=lambda v: prod(_size(run, v)))
    starts = [v for v in run.graph.inputs if run.flow.depends(low, v)]
    return [value for _, value in run.flow.longest(starts[0], low)] if starts else []


def _layered(run: Pass, skip: SkipPath) -> list[int]:
    """The encoder's values from the first one on that a layer made."""
    values = _encoder(run, skip)
    made = [_made(run, v) for v in values]
    return values[made.index(True) :] if any(made) else []


def _made(run: Pass, value: int) -> bool:
    maker = run.flow.producer(value)
    return maker is not None and is_layer(maker)


def _own(run: Pass, skip: SkipPath, size: tuple[int, ...]) -> int | None:
    """The encoder's last value of a size; None where there is none, or a join reads that level."""
    batch = run.flow.value(run.graph.nodes[skip.join].outputs[0]).shape[:1]
    values = (v for v in _encoder(run, skip) if run.flow.value(v).shape[:1] == batch)
    level = [v for v in values if _size(run, v) == size]
    read = any(s.split in level and _joined(run, s) == size for s in run.skips if s.live)
    return None if read or not level else level[-1]
