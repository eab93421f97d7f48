"""The same network with and without its skips, trained alike on real images."""

from torchskip.compare.demo import run_demo
from torchskip.compare.experiment import Experiment
from torchskip.compare.plan import Plan
from torchskip.compare.records import Comparison, Epoch, Run, Step
from torchskip.compare.runner import compare
from torchskip.compare.twins import TWINS, Twins, share

__all__ = [
    "TWINS",
    "Comparison",
    "Epoch",
    "Experiment",
    "Plan",
    "Run",
    "Step",
    "Twins",
    "compare",
    "run_demo",
    "share",
]
