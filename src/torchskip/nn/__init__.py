"""Build skip connections: :class:`Skip`, its merges, shortcuts and scales, and their geometry."""

from torchskip.nn.droppath import DropPath
from torchskip.nn.geometry import Geometry, SizeRule
from torchskip.nn.merge import Gate, add, concat, multiply
from torchskip.nn.probe import Probe, probe
from torchskip.nn.reversible import Reversible
from torchskip.nn.scale import FixedScale, LayerScale, ReZero, SkipInit
from torchskip.nn.skip import Skip

__all__ = [
    "DropPath",
    "FixedScale",
    "Gate",
    "Geometry",
    "LayerScale",
    "Probe",
    "ReZero",
    "Reversible",
    "SizeRule",
    "Skip",
    "SkipInit",
    "add",
    "concat",
    "multiply",
    "probe",
]
