"""What skips do to a network, in numbers: each measure is one function on a model."""

from torchskip.measure.gradients import gradient_norms
from torchskip.measure.layers import weighted_layers

__all__ = ["gradient_norms", "weighted_layers"]
