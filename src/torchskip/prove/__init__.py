"""The same network with and without its skips, trained alike on real images."""

from torchskip.prove.demo import run_demo
from torchskip.prove.experiment import Experiment
from torchskip.prove.plan import Plan
from torchskip.prove.records import Comparison, Epoch, Run, Step
from torchskip.prove.runner import compare
from torchskip.prove.twins import TWINS, Twins, share

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
