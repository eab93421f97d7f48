"""Where the positions of a value look, exactly, from the geometry of the operations before it.

Every axis of a value carries an affine map: position `i` of it looks at position ``S*i + C``
of the split value. A convolution or pooling of kernel k, stride s, padding p and dilation d
composes to ``S*s`` and ``C + S*((k - 1)*d/2 - p)``; a transposed one inverts this. What mixes
positions otherwise (attention, windows) has no map.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from torchskip.graph import Node
from torchskip.skips.flow import Flow
from torchskip.skips.ops import words

__all__ = ["Affine", "State", "fresh", "through"]

_ELSEWHERE = words("roll flip sort gather index index_select take scatter permute im2col col2im")
_NEAREST = words(
    """_unsafe_index upsample_nearest1d upsample_nearest2d upsample_nearest3d
    _upsample_nearest_exact1d _upsample_nearest_exact2d _upsample_nearest_exact3d"""
)

_Step = tuple[Fraction, Fraction]  # scale and start
_STAY = Fraction(1), Fraction(0)


@dataclass(frozen=True, slots=True)
class Affine:
    """Position `i` of an axis looks at ``scale * i + start`` of the split value's `axis`."""

    axis: int
    scale: Fraction
    start: Fraction

    def then(self, scale: Fraction, start: Fraction) -> Affine:
        """Return the map of a value whose position `i` looks at ``scale*i + start`` of this."""
        if scale == 1 and start == 0:
            return self
        return Affine(self.axis, self.scale * scale, self.start + self.scale * start)


# An axis is a run of (size, map): a view may fold several into one and part them again.
Axis = list[tuple[int, Affine | None]]
State = list[Axis]


def fresh(shape: tuple[int, ...]) -> State:
    """Return the axes of a value that look at themselves."""
    return [[(size, Affine(axis, *_STAY))] for axis, size in enumerate(shape)]


def through(flow: Flow, node: Node, before: int, after: int, state: State) -> State:
    """Return the axes of `after`, which `node` makes of `before`, whose axes are `state`."""
    old, new = flow.graph.values[before].shape, flow.graph.values[after].shape
    name, kind = flow.names[node.index], flow.roles[node.index]
    if kind == "layer" and "conv" in name:
        return _convolution(node, before, new, state)
    if kind == "pool" and "conv" in name:
        return _convolution(node, before, new, state)
    if kind == "pool":
        return _pool(node, name, old, new, state)
    if name.startswith(("upsample", "_upsample")) or name in _NEAREST:
        return _resize(node, name, old, new, state)
    if name in ("pixel_shuffle", "pixel_unshuffle"):
        return _shuffle(old, new, state)
    if kind == "layer":
        return _product(flow, node, new, state)
    if name in ("permute", "transpose", "t"):
        return _permute(node, name, state)
    if name in ("view", "_unsafe_view", "reshape", "_reshape_alias", "unsqueeze", "squeeze"):
        return _fold(state, new)
    if name in ("slice", "split", "split_with_sizes", "chunk"):
        return _slice(flow, node, name, after, state)
    if "pad" in name:
        return _pad(node, new, state)
    if name == "cat":
        axis = node.argument("dim", 0)
        return [
            run if isinstance(axis, int) and i != axis % len(new) else [(new[i], None)]
            for i, run in enumerate(state)
        ]
    if len(old) == len(new) and name not in _ELSEWHERE and kind in ("glue", "norm"):
        return [
            run if size in (m, 1) or m == 1 else [(size, None)]
            for run, m, size in zip(state, old, new, strict=True)
        ]
    return _unknown(new)


def _unknown(shape: tuple[int, ...]) -> State:
    return [[(size, None)] for size in shape]


def _spatial(shape: tuple[int, ...], state: State, steps: list[_Step | None]) -> State:
    """Compose the trailing axes with `steps`; the channels are new."""
    result = _unknown(shape)
    result[0] = state[0]
    for i, step in enumerate(steps, start=len(shape) - len(steps)):
        run = state[i]
        affine = run[0][1] if len(run) == 1 else None
        if step is not None and affine is not None:
            result[i] = [(shape[i], affine.then(*step))]
    return result


def _ints(value: object, count: int) -> list[int]:
    """Return an argument given per axis or once for all."""
    items = value if isinstance(value, tuple) else (value,)
    numbers = [v for v in items if isinstance(v, int)]
    return numbers * count if len(numbers) == 1 else numbers


def _window(k: int, s: int, p: int, d: int) -> _Step:
    twice = (k - 1) * d - 2 * p
    return (Fraction(s), Fraction(twice, 2)) if twice or s != 1 else _STAY


def _convolution(node: Node, before: int, new: tuple[int, ...], state: State) -> State:
    weight = next((c.shape for c in node.constants if c.argument == "weight"), None)
    if weight is None or node.inputs[:1] != (before,) or len(state) != len(new):
        return _unknown(new)
    count = len(new) - 2
    kernel = list(weight[2:])
    stride, padding, dilation = (
        _ints(node.argument(a, b), count)
        for a, b in (("stride", 1), ("padding", 0), ("dilation", 1))
    )
    if not len(kernel) == len(stride) == len(padding) == len(dilation) == count:
        return _unknown(new)
    steps: list[_Step | None] = []
    for k, s, p, d in zip(kernel, stride, padding, dilation, strict=True):
        scale, start = _window(k, s, p, d)
        inverse = node.argument("transposed", False) is True
        steps.append((1 / scale, -start / scale) if inverse else (scale, start))
    return _spatial(new, state, steps)


def _pool(node: Node, name: str, old: tuple[int, ...], new: tuple[int, ...], state: State) -> State:
    count = int(name[name.index("pool") + 4]) if name[-1] != "l" else len(new) - 2
    if len(old) != len(new) or len(new) < count + 1:
        return _unknown(new)
    steps: list[_Step | None] = []
    if "adaptive" in name:
        for a, b in zip(old[-count:], new[-count:], strict=True):
            steps.append(_window(a // b, a // b, 0, 1) if b and a % b == 0 else None)
        return _kept_channels(new, state, steps)
    kernel = _ints(node.argument("kernel_size"), count)
    stride = _ints(node.argument("stride"), count) or kernel
    padding = _ints(node.argument("padding", 0), count)
    dilation = _ints(node.argument("dilation", 1), count)
    if not len(kernel) == len(stride) == len(padding) == len(dilation) == count:
        return _unknown(new)
    windows = zip(kernel, stride, padding, dilation, strict=True)
    return _kept_channels(new, state, [_window(*w) for w in windows])


def _kept_channels(new: tuple[int, ...], state: State, steps: list[_Step | None]) -> State:
    result = _spatial(new, state, steps)
    for i in range(len(new) - len(steps)):
        result[i] = state[i]
    return result


def _resize(
    node: Node, name: str, old: tuple[int, ...], new: tuple[int, ...], state: State
) -> State:
    if len(old) != len(new):
        return _unknown(new)
    corners = node.argument("align_corners", False) is True
    steps: list[_Step | None] = []
    for a, b in zip(old[2:], new[2:], strict=True):
        if a == b:
            steps.append(_STAY)
        elif corners:
            steps.append((Fraction(a - 1, b - 1), Fraction(0)) if b > 1 else None)
        elif name in _NEAREST and b < a:  # picks one position: which one, the rounding says
            steps.append(None)
        else:
            scale = Fraction(a, b)
            steps.append((scale, scale / 2 - Fraction(1, 2)))
    return _kept_channels(new, state, steps)


def _shuffle(old: tuple[int, ...], new: tuple[int, ...], state: State) -> State:
    steps: list[_Step | None] = []
    for a, b in zip(old[-2:], new[-2:], strict=True):
        scale = Fraction(a, b) if b else Fraction(1)
        steps.append((scale, scale / 2 - Fraction(1, 2)))
    return _spatial(new, state, steps)


def _product(flow: Flow, node: Node, new: tuple[int, ...], state: State) -> State:
    """A linear layer makes the last axis new; a product of two signals mixes positions."""
    if len(flow.signals[node.index]) != 1 or len(state) != len(new):
        return _unknown(new)
    if node.places and node.places[0] not in ("self", "mat1", "input", "batch1"):
        return _unknown(new)
    return [*state[:-1], [(new[-1], None)]]


def _permute(node: Node, name: str, state: State) -> State:
    rank = len(state)
    order = list(range(rank))
    if name == "permute":
        dims = node.argument("dims")
        order = [d % rank for d in dims if isinstance(d, int)] if isinstance(dims, tuple) else []
    else:
        one, two = (0, 1) if name == "t" else (node.argument("dim0"), node.argument("dim1"))
        if isinstance(one, int) and isinstance(two, int) and rank > 1:
            order[one], order[two] = order[two], order[one]
    return [state[i] for i in order]


def _fold(state: State, new: tuple[int, ...]) -> State:
    """Deal the runs of axes out to a new shape; what would have to be cut has no map."""
    atoms = [atom for run in state for atom in run if atom[0] != 1]
    result: State = []
    for size in new:
        run: Axis = []
        have = 1
        while have < size and atoms:
            run.append(atoms.pop(0))
            have *= run[-1][0]
        if have > size and have % size == 0:  # an axis is cut: its parts are not followed
            atoms.insert(0, (have // size, None))
            run = [(size, None)]
        result.append(run or [(size, None)])
    return result


def _slice(flow: Flow, node: Node, name: str, after: int, state: State) -> State:
    shape = flow.graph.values[after].shape
    given = node.argument("dim", 0)
    if not isinstance(given, int):
        return _unknown(shape)
    axis = given % len(shape)
    run, step, start = state[axis], 1, 0
    affine = run[0][1] if len(run) == 1 else None
    if name == "slice":
        by, first = node.argument("step", 1), node.argument("start", 0)
        step = by if isinstance(by, int) else 1
        start = first if isinstance(first, int) else 0
        start += sum(size for size, _ in run) if start < 0 else 0
    else:
        parts = [flow.graph.values[v].shape[axis] for v in node.outputs]
        start = sum(parts[: node.outputs.index(after)])
    result = list(state)
    moved = affine.then(Fraction(step), Fraction(start)) if affine is not None else None
    result[axis] = [(shape[axis], moved)]
    return result


def _pad(node: Node, new: tuple[int, ...], state: State) -> State:
    pads = node.argument("pad", node.argument("padding"))
    if not isinstance(pads, tuple) or len(state) != len(new):
        return _unknown(new)
    result = list(state)
    for i, left in enumerate(pads[::2]):
        axis = len(new) - 1 - i
        run = state[axis]
        affine = run[0][1] if len(run) == 1 else None
        if isinstance(left, int) and affine is not None:
            result[axis] = [(new[axis], affine.then(Fraction(1), Fraction(-left)))]
    return result
