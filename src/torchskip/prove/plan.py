"""What is trained on what, and how: one frozen value that the command line can fill in too."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Literal

from torchskip.errors import TrainingError

__all__ = ["Plan"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The schedule that every network of a comparison goes through, whatever its skips.

    The defaults are those of He et al. 2015, section 4.2, but for length and width: stochastic
    gradient descent with momentum on cropped and flipped images.

    >>> Plan(epochs=0)
    Traceback (most recent call last):
    torchskip.errors.TrainingError: epochs is 0
      mend: 1 or more
    """

    epochs: int = 4
    """Passes over the training images."""

    batch: int = 64
    """Images per step, over all devices together."""

    lr: float = 0.1
    """Highest learning rate."""

    momentum: float = 0.9
    """Momentum (Nesterov's) of the gradient descent."""

    weight_decay: float = 1e-4
    """L2 penalty on all parameters."""

    schedule: Literal["cosine", "onecycle", "constant"] = "cosine"
    """How the learning rate goes: warm-up then half a cosine, one cycle, or warm-up then level."""

    warmup: float = 0.1
    """Share of the steps in which the learning rate rises."""

    clip: float | None = None
    """Longest gradient (2-norm over all parameters) that is not cut back."""

    augment: bool = True
    """Shift by up to an eighth of the size and mirror at random."""

    patience: int | None = None
    """Stop after this many epochs in which the training loss found no new minimum."""

    precision: Literal["32-true", "bf16-mixed"] = "32-true"
    """Arithmetic of the forward and backward pass."""

    def __post_init__(self) -> None:
        positive = {"epochs": 1, "batch": 1, "patience": 1}
        for name, least in positive.items():
            value = getattr(self, name)
            if value is not None and value < least:
                raise TrainingError(f"{name} is {value}\n  mend: {least} or more")
        for name in ("lr", "clip"):
            value = getattr(self, name)
            if value is not None and not 0 < value < float("inf"):
                raise TrainingError(f"{name} is {value}\n  mend: a finite number above 0")
        for name, low, high in (("momentum", 0, 1), ("weight_decay", 0, 1), ("warmup", 0, 1)):
            value = getattr(self, name)
            if not low <= value < high:
                raise TrainingError(f"{name} is {value}\n  mend: from {low} to below {high}")
        for field in fields(self):
            options = _OPTIONS.get(field.name)
            if options is not None and getattr(self, field.name) not in options:
                raise TrainingError(
                    f"{field.name} is {getattr(self, field.name)!r}\n  mend: {', '.join(options)}"
                )


_OPTIONS = {
    "schedule": ("cosine", "onecycle", "constant"),
    "precision": ("32-true", "bf16-mixed"),
}
