"""What skips do to a network, in numbers: each measure is one function on a model."""

from torchskip.measure.gradients import gradient_norms
from torchskip.measure.layers import weighted_layers
from torchskip.measure.lesion import Lesions, lesions
from torchskip.measure.paths import PathLengths, path_lengths
from torchskip.measure.shares import Share, gradient_shares
from torchskip.measure.signal import Signal, signals
from torchskip.measure.stream import Change, stream
from torchskip.measure.surface import Surface, loss_surface

__all__ = [
    "Change",
    "Lesions",
    "PathLengths",
    "Share",
    "Signal",
    "Surface",
    "gradient_norms",
    "gradient_shares",
    "lesions",
    "loss_surface",
    "path_lengths",
    "signals",
    "stream",
    "weighted_layers",
]
