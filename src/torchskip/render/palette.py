"""Colours and dashes of the kinds, for light and dark: safe for colour-blind eyes.

Every line colour has a contrast of at least 4.5 to its paper (WCAG 2.2, 1.4.3 and 1.4.11), and
no kind is told by its colour alone: dash and weight differ too.
"""

from __future__ import annotations

from dataclasses import dataclass

from torchskip.graph import Kind

__all__ = ["FINE", "FINEST", "INKS", "LINES", "SHADES_DARK", "SHADES_LIGHT", "Line"]


@dataclass(frozen=True, slots=True)
class Line:
    """How a kind is drawn: colour on light and on dark paper, weight in px, dash pattern."""

    light: str
    dark: str
    weight: float
    dash: str = ""


LINES: dict[Kind, Line] = {
    "identity": Line("#0b62a8", "#6cb6ff", 1.8),
    "projection": Line("#bb3e03", "#ff9d6b", 1.8, "7 3"),
    "concat": Line("#00735c", "#4cd3ac", 1.8, "2.5 2.5"),
    "dense": Line("#6d3fc0", "#b69cff", 1.4),
    "long": Line("#a8186a", "#ff8cc6", 3.0),
    "gate": Line("#7d5800", "#e0b341", 1.8, "2 2"),
    "split-concat": Line("#0b6b85", "#57d4ea", 1.8, "9 3 2 3"),
    "pool-concat": Line("#57534e", "#b8b2aa", 1.8, "4 4"),
}

# Paper, ink, soft ink (secondary text), line (hairlines), cell (outline tree), alarm.
INKS: dict[str, tuple[str, str]] = {
    "paper": ("#ffffff", "#11151b"),
    "ink": ("#1b2430", "#e8ecf1"),
    "soft": ("#5a6675", "#98a5b5"),
    "line": ("#d5dbe2", "#333d49"),
    "cell": ("#eef1f5", "#1c232c"),
    "alarm": ("#b42318", "#ff8a80"),
}

# The ground, from few channels to many.
SHADES_LIGHT = ("#ebf0f5", "#dee6ee", "#d1dce7", "#c3d1df", "#b4c5d7", "#a5b9ce")
SHADES_DARK = ("#1d2631", "#24303e", "#2b3a4b", "#334558", "#3c5168", "#465e78")

# Above so many strands a dense net is drawn in fine, translucent lines: a fabric, not a blot.
FINE, FINEST = 120, 1000
