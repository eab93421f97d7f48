"""Follow the spatial axes of a value through the operators of one forward pass.

A dispatch mode sees every operator that a branch runs, whatever Python code called it, and
composes the geometry of the few that move pixels. Everything runs on meta tensors: no arithmetic.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

from torchskip.nn.geometry import Geometry
from torchskip.nn.moves import MOVES, Axis, Dims, Lost, slice_of

__all__ = ["Follower"]


@dataclass(frozen=True, slots=True)
class Track:
    """What is known of one tensor."""

    dims: Dims
    memory: tuple[tuple[int, Axis], ...]  # sizes and axes when all of them were last visible


class Follower(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Records, per tensor of a forward pass, where on the input's grid its pixels lie.

    Tensors that are not on the meta device are converted when they meet the pass, so a branch
    may hold constants that it never registered as buffers.
    """

    def __init__(self, x: Tensor, spatial: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._alive: list[Tensor] = []  # an id is unique only while its tensor lives
        self._tracks: dict[int, Track] = {}
        self._windows: dict[int, tuple[Tensor, dict[int, int]]] = {}  # slices of blank tensors
        self._painted: dict[int, int] = {}  # pixels copied into a blank tensor
        self._lost_at = ""
        lead = x.dim() - spatial
        axes: tuple[Axis, ...] = tuple((axis, Geometry()) for axis in range(spatial))
        memory = tuple((int(n), axis) for n, axis in zip(x.shape[lead:], axes, strict=True))
        self._note(x, Track((None,) * lead + axes, memory))

    def of(self, y: Tensor, spatial: int) -> tuple[Geometry | Lost, ...]:
        """Geometry of the last ``spatial`` dimensions of ``y``."""
        track = self._tracks.get(id(y))
        dims = list(track.dims)[len(track.dims) - spatial :] if track else [None] * spatial
        found: list[Geometry | Lost] = []
        for axis, dim in enumerate(dims):
            if dim is None:
                at = f": {self._lost_at} lost them" if self._lost_at else ""
                found.append(Lost(f"no path of pixels leads from input to output{at}"))
            elif dim[0] != axis:
                found.append(Lost("the branch exchanges the spatial axes"))
            else:
                found.append(dim[1])
        return tuple(found)

    def __torch_dispatch__(
        self,
        func: Any,
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        args, kwargs = tree_map(_to_meta, (args, kwargs or {}))
        names = [argument.name for argument in func._schema.arguments]
        call = dict(zip(names, args, strict=False)) | (kwargs or {})
        if call.get("transposed") and call["weight"].shape[0] != call["input"].shape[1]:
            # The one check of channels that torch 2.6 to 2.13 leaves out on meta tensors.
            raise RuntimeError(f"transposed convolution of {call['weight'].shape[0]} channels")
        name = func._schema.name.removeprefix("aten::")
        normalises = name == "native_batch_norm"
        out = _batch_norm(call) if normalises else func(*args, **(kwargs or {}))
        inputs = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        self._alive.extend(inputs)
        source = inputs[0] if inputs else None
        track = self._tracks.get(id(source))
        if name == "copy_" and track is None and len(inputs) == 2:
            self._paint(*inputs)
        move = MOVES.get(name)
        for result in tree_leaves(out):
            if not isinstance(result, Tensor):
                continue
            if move is None:
                self._note(result, self._carry(name, inputs, result))
            elif source is not None and track is not None:
                dims = move(track.dims, call, source, result)
                self._note(result, _remember(dims, track.memory, result))
            elif source is not None and name == "slice":
                self._slice_blank(source, result, call)
        return out

    def _note(self, tensor: Tensor, track: Track | None) -> None:
        self._alive.append(tensor)
        if track is not None:
            self._tracks[id(tensor)] = track

    def _carry(self, name: str, inputs: list[Tensor], out: Tensor) -> Track | None:
        """Any other operator: pixels stay where they are as long as their axis keeps its size."""
        tracks = [(t, self._tracks[id(t)]) for t in inputs if id(t) in self._tracks]
        if not tracks or name.startswith("new_") or name.endswith("_like"):
            return None
        alike = [(t, track) for t, track in tracks if t.dim() == out.dim()]
        dims: list[Axis | None] = [None] * out.dim()
        lost = not alike
        for d in range(out.dim()):
            known = [(dim, t.shape[d]) for t, track in alike if (dim := track.dims[d])]
            for dim, size in known:
                if size == out.shape[d]:
                    dims[d] = _meet(dims[d], dim)
            if known and dims[d] is None:
                dims[d] = (known[0][0][0], Lost(f"{name} changes its size without a fixed stride"))
                lost = True
        memory = max((track.memory for _, track in tracks), key=len)
        if lost:
            # Reshaped, flattened to tokens or windowed: known again once its sizes are back.
            sizes = [size for size, _ in memory]
            for start in range(out.dim() - len(sizes), -1, -1):
                if list(out.shape[start : start + len(sizes)]) == sizes:
                    dims = [None] * out.dim()
                    dims[start : start + len(sizes)] = [axis for _, axis in memory]
                    break
            else:
                self._lost_at = self._lost_at or name
                return Track(dims, memory)
        return _remember(dims, memory, out)

    def _slice_blank(self, blank: Tensor, view: Tensor, call: dict[str, Any]) -> None:
        root, offsets = self._windows.get(id(blank), (blank, {}))
        dim, start, step = slice_of(call, blank)
        if step == 1:
            moved = offsets | {dim: offsets.get(dim, 0) + start}
            self._alive.append(view)
            self._windows[id(view)] = (root, moved)

    def _paint(self, view: Tensor, source: Tensor) -> None:
        """``blank[..., a:b] = source``, the way of circular padding and of hand-made pads."""
        track = self._tracks.get(id(source))
        root, offsets = self._windows.get(id(view), (view, {}))
        if track is None or source.numel() <= self._painted.get(id(root), 0):
            return
        if source.dim() == root.dim():
            self._painted[id(root)] = source.numel()
            dims = [
                (dim[0], dim[1].window(0, 1, offsets.get(d, 0)))
                if dim and isinstance(dim[1], Geometry)
                else dim
                for d, dim in enumerate(track.dims)
            ]
            painted = _remember(dims, track.memory, root)
            self._note(root, painted)
            self._tracks.pop(id(view), None) if view is not root else None


def _remember(dims: Dims, memory: tuple[tuple[int, Axis], ...], out: Tensor) -> Track:
    visible = sorted(
        ((dim[0], int(size), dim) for dim, size in zip(dims, out.shape, strict=True) if dim),
        key=lambda entry: entry[0],
    )
    if len(visible) == len(memory):
        memory = tuple((size, dim) for _, size, dim in visible)
    return Track(tuple(dims), memory)


def _meet(known: Axis | None, other: Axis) -> Axis:
    """Two arms meet inside the branch: the value sees what either of them saw."""
    if known is None or known == other:
        return other
    if known[0] != other[0]:
        return known[0], Lost("the branch mixes its spatial axes")
    a, b = known[1], other[1]
    if isinstance(a, Lost) or isinstance(b, Lost):
        return known if isinstance(a, Lost) else other
    try:
        return known[0], a.union(b)
    except ValueError as error:
        return known[0], Lost(str(error))


def _batch_norm(call: dict[str, Any]) -> tuple[Tensor, Tensor, Tensor]:
    """Shapes of a batch normalisation; its decomposition on meta tensors takes 50 times longer."""
    x = call["input"]
    for name in ("weight", "bias", "running_mean", "running_var"):
        vector = call.get(name)
        if vector is not None and vector.shape != x.shape[1:2]:
            raise RuntimeError(f"{name} has {vector.numel()} elements for {x.shape[1]} channels")
    return torch.empty_like(x), x.new_empty(x.shape[1]), x.new_empty(x.shape[1])


def _to_meta(value: Any) -> Any:
    if isinstance(value, Tensor) and not value.is_meta:
        return value.detach().to("meta")
    return value
