"""Mends for arms of unequal length that no `Skip` brings together.

A `Skip` derives its shortcut along the axes that its layers see as space. It can do nothing where
the axes were swapped in between, where linear layers or attention made the length, where the
batches differ, and where the arms come from two inputs of the model.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from torchskip.graph import Node
from torchskip.lint.evidence import Pass
from torchskip.lint.finding import Edit, Mend
from torchskip.lint.mismatch import Mismatch
from torchskip.lint.ops import SWAPS, is_layer, name

__all__ = ["built_for", "kept", "strides"]


def kept(run: Pass, found: Mismatch) -> Iterator[Mend]:
    """How the arms keep the length of the one axis that differs; nothing where `Skip` can help."""
    if 0 in found.axes:
        yield Mend("give both arms one batch: undo what folds an axis into it, on both or on none")
    if len(found.axes) != 1 or 0 in found.axes:
        return
    axis = found.axes[0]
    branch, shortcut = (run.flow.value(v).shape for v in (found.branch, found.shortcut))
    nodes = found.between(found.branch)
    layers = [n for n in nodes if is_layer(n)]
    flat = bool(layers) and all(n.module_type == "Linear" for n in layers)
    swapped = any(name(n) in SWAPS for n in nodes)
    if not swapped and not (flat and axis != len(branch) - 1):
        return
    last = layers[-1] if layers else None
    if last is not None and _width(last) == branch[axis]:
        rank = len(branch) - 2  # of one axis, what is second may be the tokens
        if axis == 1 and 1 < rank < 4 and found.shortcut == found.split:
            yield Mend(f"project the shortcut: `nn.Conv{rank}d({shortcut[1]}, {branch[1]}, 1)`")
        if not built_for(branch[axis], last, nodes[nodes.index(last) + 1 :]):
            yield Mend(f"build {last.module!r} with {shortcut[axis]} outputs, not {branch[axis]}")
        return
    for before, after in pairwise(nodes):
        wanted = _padding(before, after)
        if wanted is not None:
            left = wanted // 2
            yield Mend(
                f"pad by {wanted} in all in front of {after.module!r}, "
                f"`F.pad(x, ({wanted - left}, {left}))`: then it keeps the length"
            )
            return
    if branch[axis] < shortcut[axis]:
        yield Mend(
            f"the branch leaves out {shortcut[axis] - branch[axis]} of {shortcut[axis]} along "
            f"axis {axis}: pad its input and cut its result back"
        )


def built_for(width: int, layer: Node, behind: Sequence[Node]) -> tuple[str, ...]:
    """The modules behind a layer that hold weights of its width: its norms and scales."""
    return tuple(
        dict.fromkeys(
            n.module
            for n in behind
            if n.module != layer.module and any(width in c.shape for c in n.constants if c.names)
        )
    )


def strides(run: Pass, found: Mismatch) -> Iterator[Mend]:
    """A larger stride of the last layer with one, where an arm is a multiple of the other."""
    large, small = (run.flow.value(v).shape for v in (found.branch, found.shortcut))
    if len(found.axes) != 1 or found.axes[0] < 2 or large[found.axes[0]] % small[found.axes[0]]:
        return
    axis = found.axes[0] - 2
    ratio = large[axis + 2] // small[axis + 2]
    for node in reversed(found.between(found.branch)):
        stride = node.argument("stride")
        if is_layer(node) and isinstance(stride, tuple) and stride[axis] > 1:
            wanted = (*stride[:axis], stride[axis] * ratio, *stride[axis + 1 :])
            yield Mend(
                f"set stride={wanted} on {node.module!r}, not {stride}",
                edits=(Edit(node.module, "stride", wanted),),
            )
            return


def _width(node: Node) -> int | None:
    """How many outputs a linear layer has."""
    weight = next((c.shape for c in node.constants if c.names and len(c.shape) == 2), None)
    if weight is None or node.module_type != "Linear":
        return None
    return weight[0] if name(node) == "linear" else weight[1]  # the others get it transposed


def _padding(before: Node, after: Node) -> int | None:
    """The padding with which a convolution of one axis keeps the length; None where it does."""
    pads = before.argument("pad")
    kernel = next((c.shape[2] for c in after.constants if len(c.shape) == 3), None)
    dilation, stride, own = (after.argument(key) for key in ("dilation", "stride", "padding"))
    plain = isinstance(dilation, tuple) and stride == (1,) and own == (0,)
    if name(before) != "constant_pad_nd" or kernel is None or not plain:
        return None
    wanted = int(dilation[0]) * (kernel - 1)  # type: ignore[index]
    given = sum(pads[:2]) if isinstance(pads, tuple) else wanted
    return wanted if wanted != given else None
