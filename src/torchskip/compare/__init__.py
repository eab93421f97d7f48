"""The same network with and without its skips, trained alike on real images."""

from torchskip.compare.demo import run_demo
from torchskip.compare.plan import Plan
from torchskip.compare.records import Comparison, Epoch, Run, Step

__all__ = ["Comparison", "Epoch", "Plan", "Run", "Step", "run_demo"]
