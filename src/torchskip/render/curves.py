"""The curves of the arcs over the ground, in pixels: y is 0 on the ground and negative above."""

from __future__ import annotations

from collections.abc import Sequence

from torchskip.graph import Kind
from torchskip.render.picture import Arc, Picture

__all__ = ["RISE", "SHORT", "crowd", "curves", "x_at"]

RISE = 150.0  # pixels from the ground to the highest resolution
SHORT = 4.0  # an arc of fewer pixels cannot be told from its neighbours


def x_at(edges: Sequence[float], position: float) -> float:
    """Return the pixel of a position on the chain, given the left edge of every step."""
    whole = int(position)
    if whole >= len(edges) - 1:
        return edges[-1]
    return edges[whole] + (position - whole) * (edges[whole + 1] - edges[whole])


def curves(scene: Picture, edges: Sequence[float], arc: Arc) -> list[tuple[str, float]]:
    """Return the path of every strand of the arc that can be seen, and the height it reaches.

    A strand is a cubic curve that clears the ground between its ends; a gate hangs below.
    """
    paths = []
    for start in arc.starts:
        x1, x2 = x_at(edges, start), x_at(edges, arc.end)
        span = x2 - x1
        if span < SHORT:
            continue
        first, last = max(int(start) - 1, 0), int(arc.end)
        y1, y2 = -RISE * scene.ground[first].height, -RISE * scene.ground[last].height
        if arc.kind == "gate":
            bend = max(y1, y2) + min(6 + 1.1 * span**0.5, -0.75 * max(y1, y2) + 4)
            apex = min(y1, y2)
        else:
            top = -RISE * max(ground.height for ground in scene.ground[first : last + 1])
            rise = max(0.42 * span / (1 + span / 260), min(y1, y2) - top) + 6
            bend, apex = min(y1, y2) - rise / 0.75, min(y1, y2) - rise
        lean = min(span * 0.08, 14.0)
        path = (
            f"M{x1:.1f} {y1:.1f}C{x1 + lean:.1f} {bend:.1f} "
            f"{x2 - lean:.1f} {bend:.1f} {x2:.1f} {y2:.1f}"
        )
        paths.append((path, apex))
    return paths


def crowd(scene: Picture, edges: Sequence[float]) -> dict[Kind, list[str]]:
    """Return small plain loops for the arcs too short to be seen one by one, by kind."""
    loops: dict[Kind, list[str]] = {}
    for arc in scene.arcs:
        left, right = x_at(edges, arc.starts[0]), x_at(edges, arc.end)
        if right - left < SHORT:
            y, way = -RISE * scene.ground[int(arc.end)].height, -1 if arc.kind != "gate" else 1
            half = (right - left) / 2
            loop = f"M{left:.1f} {y:.1f}q{half:.1f} {way * 14} {right - left:.1f} 0"
            loops.setdefault(arc.kind, []).append(loop)
    return loops
