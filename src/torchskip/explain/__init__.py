"""The walk through a forward pass: every step, its shape, and what it does in plain words."""

from torchskip.explain.walk import Step, walk

__all__ = ["Step", "walk"]
