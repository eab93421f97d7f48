"""Judge whether a join is a skip connection, and of which kind.

The rules follow docs/kinds.md. Depth counts layers; a bare pooling, resize or padding counts
as one layer, an identity as none. The shortcut is the shallower arm; it bypasses the branch
when it is an identity, or when the branch is at least twice as deep.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import combinations

from torchskip.graph import Kind
from torchskip.skips.flow import Flow
from torchskip.skips.gating import squash
from torchskip.skips.joins import Join
from torchskip.skips.neighbours import conditions, logits, reaches
from torchskip.skips.parts import chained, channel_axes, disjoint, within
from torchskip.skips.ways import Route

__all__ = ["Found", "judge"]

_PAIRS = 48  # arms beyond which pairs are not searched: no network joins so many in one place
_PROJECTION = 2
_DEEP = 6  # layers of a branch that only climbs, to be an encoder and decoder (UNETR, DPT)
_BLOCK = 8  # layers of one residual block around an attention


@dataclass(frozen=True, slots=True)
class Found:
    """A join that is a skip: its split, kind and the way along every arm."""

    join: Join
    split: int
    kind: Kind
    arms: tuple[int, ...]
    routes: tuple[Route, ...]
    shortcuts: frozenset[int]  # positions in `arms`
    notes: tuple[str, ...] = ()
    tentative: bool = False  # a skip only if its surroundings say so


def judge(flow: Flow, join: Join) -> Found | None:
    """Return the skip that `join` closes, None where it closes none."""
    if len(join.arms) < 2:
        return None
    if join.family == "gate":
        return _gate(flow, join)
    found = _concat(flow, join) if join.family == "concat" else _sum(flow, join)
    if found is not None and join.highway:
        found = replace(found, kind="gate")
    return found


# ---- gates


def _gate(flow: Flow, join: Join) -> Found | None:
    """A product with a sigmoid or softmax whose arm holds a layer: squeeze-and-excitation.

    The scaled arm is the split value itself, unless the gate is smaller than it (one weight per
    channel or position): a gated linear unit halves one value and its gate is of equal shape.
    """
    main, control = join.arms
    split = flow.split([main], full=[control])
    if split is None:
        return None
    (route,) = flow.routes(split, [main])
    (gate,) = flow.routes(split, [control], full=True)
    if gate.layers + gate.pools + gate.reductions == 0:
        return None
    shapes = flow.graph.values
    roots, _ = squash(flow, control) or (frozenset(), False)
    sizes = [_count(shapes[v].shape) for n in roots for v in flow.graph.nodes[n].outputs[:1]]
    narrow = min(sizes, default=0) < _count(shapes[main].shape)  # before it is resized
    if route.layers + route.products and not (narrow and gate.layers):
        return None
    if disjoint(flow, split, main, control):
        return None
    return Found(join, split, "gate", join.arms, (route, gate), frozenset((0,)))


# ---- sums


def _sum(flow: Flow, join: Join) -> Found | None:
    split = flow.split(join.arms)
    if split is None:
        return None
    routes = flow.routes(split, join.arms)
    order = sorted(range(len(routes)), key=lambda i: _shallow(routes[i]))
    short, branch = routes[order[0]], routes[order[-1]]
    pair = join.arms[order[0]], join.arms[order[-1]]
    if branch.layers == 0 and (branch.pools == 0 or join.merge == "sub"):
        return None  # arithmetic inside one layer: an activation, a norm, `pool(x) - x`
    if disjoint(flow, split, *pair) or conditions(flow, join, pair[0], short):
        return None
    if logits(flow, join, routes):
        return None
    long = _long(flow, branch, short, len(routes))
    if long and not short.depth and len(routes) == 2 and _attends(flow, branch):
        long = branch.layers > _BLOCK  # attention at lower resolution inside one residual block
    if short.depth:
        if not _bypasses(short, branch, long) or _attends(flow, short):
            return None
        if len({routes[i].layers for i in order[1:]}) > 1 and not long:
            return None  # parallel branches (RepVGG's convolutions, heads of a pyramid)
        if not reaches(flow, join, split):
            return None  # two queries of a gate (additive attention)
    kind: Kind = "long" if long else "projection" if short.depth else "identity"
    shortcuts = frozenset(i for i in order if routes[i].depth == short.depth)
    if len(shortcuts) == len(routes):
        shortcuts = frozenset(order[:1])
    return Found(join, split, kind, join.arms, tuple(routes), shortcuts, _notes(flow, short))


# ---- concatenations


def _concat(flow: Flow, join: Join) -> Found | None:
    if join.axis != 0 and join.axis not in channel_axes(flow, join.node):
        return None  # tokens beside tokens, positions beside positions
    found = _bare(flow, join) or _bare_pair(flow, join) or _projected(flow, join)
    if found is None or join.axis != 0 or len(_shape(flow, join)) < 3:
        return found
    return replace(found, notes=(*found.notes, "concatenates along the batch axis"))


def _bare(flow: Flow, join: Join) -> Found | None:
    """One arm is the common split value itself, or a part of it."""
    split = flow.split(join.arms)
    if split is None:
        return None
    routes = flow.routes(split, join.arms)
    shorts = [i for i, r in enumerate(routes) if r.depth == 0]
    deep = [arm for arm, r in zip(join.arms, routes, strict=True) if r.layers + r.pools]
    if not shorts or all(chained(flow, split, arm) for arm in deep):
        return None  # nothing bare; each arm has channels of its own (cascaded group attention)
    return _concat_found(flow, join, split, routes, shorts)


def _bare_pair(flow: Flow, join: Join) -> Found | None:
    """One arm is the value that another comes from, though not all do (deep aggregation)."""
    best: tuple[int, int] | None = None
    for one, other in combinations(join.arms[:_PAIRS], 2):
        split = flow.split((one, other))
        if split is None or (best is not None and split >= best[0]):
            continue
        routes = flow.routes(split, (one, other))
        depths = sorted((r.depth, r.layers) for r in routes)
        if depths[0][0] == 0 and depths[1][1] > 0 and not chained(flow, one, other):
            best = split, one
    if best is None:
        return None
    split = best[0]
    arms = tuple(v for v in join.arms if flow.between(split, v))
    routes = flow.routes(split, arms)
    shorts = [i for i, r in enumerate(routes) if r.depth == 0]
    return _concat_found(flow, replace(join, arms=arms), split, routes, shorts)


def _projected(flow: Flow, join: Join) -> Found | None:
    """The shallowest arm holds a layer or a pooling."""
    split = flow.split(join.arms)
    if split is None:
        return None
    routes = flow.routes(split, join.arms)
    order = sorted(range(len(routes)), key=lambda i: _shallow(routes[i]))
    short, branch = routes[order[0]], routes[order[-1]]
    long = _long(flow, branch, short, len(routes))
    if long:
        if 2 * short.depth > branch.layers:
            return None
        return _concat_found(flow, join, split, routes, order[:1])
    apart = disjoint(flow, split, join.arms[order[0]], join.arms[order[-1]])
    if branch.layers == 0 or short.depth == 0:
        return None
    if short.layers + short.products == 0:  # a pooling, padding or resize alone
        if not apart and (_ways(flow, join, split) > 2 or branch.layers < 2):
            return None  # one convolution beside a pooling: two ways to downsample (Inception)
        return _concat_found(flow, join, split, routes, order[:1])
    if short.depth > 1 or short.climbs or branch.layers < 3 or _ways(flow, join, split) > 2:
        return None  # parallel branches (Inception, ASPP, heads of a pyramid's levels)
    found = _concat_found(flow, join, split, routes, order[:1])
    return replace(found, tentative=True) if found is not None else None


def _ways(flow: Flow, join: Join, split: int) -> int:
    """Count the operations that read the split value on the way to the join."""
    return sum(
        split in flow.signals[n]
        and any(flow.signal[a] >> v & 1 for v in flow.graph.nodes[n].outputs for a in join.arms)
        for n in flow.consumers[split]
    )


def _concat_found(
    flow: Flow, join: Join, split: int, routes: list[Route], shorts: list[int]
) -> Found | None:
    others = [i for i in range(len(routes)) if i not in shorts]
    if not others:
        return None
    branch = max((routes[i] for i in others), key=_shallow)
    short = routes[shorts[0]]
    apart = any(
        _apart(flow, join, split, join.arms[s], join.arms[o]) for s in shorts for o in others
    )
    kind: Kind
    if _long(flow, branch, short, len(routes)):
        kind = "long"
    elif short.depth and not short.layers + short.products:
        kind = "pool-concat"
    elif apart:
        kind = "split-concat"
    else:
        kind = "concat"
    return Found(join, split, kind, join.arms, tuple(routes), frozenset(shorts))


def _apart(flow: Flow, join: Join, split: int, short: int, other: int) -> bool:
    """Whether the bare arm's channels are not among those that the other arm works on."""
    if disjoint(flow, split, short, other):
        return True
    assigned = join.kept == short and join.axis is not None
    return assigned and within(flow, split, other, join.axis or 0, join.written)


# ---- shared


def _shallow(route: Route) -> tuple[int, int, int]:
    return route.depth, route.layers, len(route.nodes)


def _bypasses(short: Route, branch: Route, long: bool) -> bool:
    """Whether the shortcut's layers are few beside the branch's.

    A projection is one convolution, or two where it is taken apart (depthwise and pointwise).
    Products count with the layers, unless the branch has twice as many of them too (SPADE's
    normalisations on both arms).
    """
    if short.layers + short.products == 0:
        return branch.layers > 0
    twice = 2 * short.depth <= branch.layers
    both = 0 < 2 * short.layers <= branch.layers and 2 * short.products <= branch.products
    return (twice or both) and (long or short.depth <= _PROJECTION)


def _long(flow: Flow, branch: Route, short: Route, arms: int) -> bool:
    """Whether the branch is an encoder and decoder: down and up, or through deep tokens.

    Where the shortcut holds a layer and climbs, the arms are heads of several levels.
    """
    if branch.depth == 0:
        return False
    if branch.bends and not (short.layers and short.climbs):
        return True
    before = flow.graph.values[branch.values[0]].shape
    after = flow.graph.values[branch.values[-1]].shape
    deep = branch.layers >= max(_DEEP, 3 * short.depth)
    return arms == 2 and branch.climbs and deep and len(before) != len(after)


def _attends(flow: Flow, route: Route) -> bool:
    """Whether a route goes through a product of signals: attention is no bypass."""
    return any(
        flow.roles[n] == "layer"
        and (len(flow.signals[n]) > 1 or "scaled_dot_product" in flow.names[n])
        for n in route.nodes
    )


def _notes(flow: Flow, short: Route) -> tuple[str, ...]:
    kinds = [flow.roles[n] for n in short.nodes]
    if short.depth == 0 and "norm" in kinds:
        return ("the shortcut is normalised",)
    return ()


def _shape(flow: Flow, join: Join) -> tuple[int, ...]:
    return flow.graph.values[flow.graph.nodes[join.node].inputs[0]].shape


def _count(shape: tuple[int, ...]) -> int:
    count = 1
    for n in shape:
        count *= n
    return count
