"""Branches that look at the past alone: the arms lie apart because the design says so."""

from __future__ import annotations

from torchskip.graph import Arm, SkipPath
from torchskip.lint.evidence import Pass
from torchskip.lint.ops import name
from torchskip.lint.solve import layer_of

__all__ = ["causal"]

_Reach = tuple[int, int]  # the first and the last position that position 0 looks at


def causal(run: Pass, skip: SkipPath) -> bool:
    """Whether the arms lie apart along one axis, where the branch ends at the shortcut's position.

    A temporal convolution that is padded in front, or cut behind, sees nothing that comes later.
    """
    apart = [axis for axis, distance in enumerate(skip.alignment or ()) if distance]
    if len(apart) != 1:
        return False
    reaches = {arm.role: _reach(run, arm, apart[0]) for arm in skip.arms}
    branch, shortcut = reaches.get("branch"), reaches.get("shortcut")
    if len(skip.arms) != 2 or branch is None or shortcut is None:
        return False
    return shortcut[0] == shortcut[1] >= branch[1] > branch[0]


def _reach(run: Pass, arm: Arm, axis: int) -> _Reach | None:
    """What the arm's end looks at along a spatial axis; None where its step is not one."""
    first = last = 0
    for node in (run.graph.nodes[i] for i in arm.nodes):
        rank = len(run.flow.value(node.outputs[0]).shape) if node.outputs else 0
        layer = layer_of(node, rank - 2)
        if layer is not None:
            if layer.transposed or len(layer.kernel) <= axis or layer.stride[axis] != 1:
                return None
            before, more = layer.padding[axis], layer.dilation[axis] * (layer.kernel[axis] - 1)
            first, last = first - before, last - before + more
        elif "pad" in name(node):
            sizes = node.argument("pad", node.argument("padding"))
            place = 2 * (rank - 3 - axis)  # the last axis comes first
            if not isinstance(sizes, tuple) or place < 0:
                return None
            before = sizes[place] if place < len(sizes) else 0
            first, last = first - before, last - before
        elif name(node) == "slice" and node.argument("dim") == axis + 2:
            given = node.argument("start", 0)
            if node.argument("step", 1) != 1:
                return None
            start = given if isinstance(given, int) else 0
            start += run.flow.value(node.inputs[0]).shape[axis + 2] if start < 0 else 0
            first, last = first + start, last + start
    return first, last
