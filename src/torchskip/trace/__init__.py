"""Trace: one forward pass of any model as a `torchskip.graph.Graph`."""

from torchskip.trace.tracer import trace

__all__ = ["trace"]
