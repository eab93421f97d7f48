"""What a comparison leaves behind: frozen values that go to JSON and come back equal."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

from torchskip.prove.anatomy import Anatomy
from torchskip.prove.plan import Plan

__all__ = ["Comparison", "Epoch", "Run", "Step", "to_json"]

Status = Literal["finished", "stopped early", "diverged"]


@dataclass(frozen=True, slots=True)
class Step:
    """One step: mean loss over the batch, how many it got right, and the gradient it made.

    `gradient` is the 2-norm of the loss gradient in the weights of the first layer, before any
    clipping; `layers` has the same for every layer, on the steps where all are measured.
    """

    step: int
    loss: float
    correct: int
    gradient: float
    lr: float
    layers: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Epoch:
    """One pass: losses (mean cross-entropy, nats) and accuracies (0 to 1).

    The training numbers are those of the passing batches, so of weights that still changed.
    """

    epoch: int
    train_loss: float
    train_accuracy: float
    test_loss: float
    test_accuracy: float


@dataclass(frozen=True, slots=True)
class Run:
    """One network on its way through the plan.

    `train_loss` and `train_accuracy` are the final weights on all training images, unaltered
    and in eval mode: what "trains worse" means in He et al. 2015.
    """

    network: str
    depth: int  # 0 where the network is the user's
    seed: int
    parameters: int
    layers: tuple[str, ...]
    status: Status
    train_loss: float
    train_accuracy: float
    test_loss: float
    test_accuracy: float
    steps: tuple[Step, ...]
    epochs: tuple[Epoch, ...]
    seconds: float
    anatomy: Anatomy | None = None

    @property
    def gradient(self) -> float:
        """Median over the steps of the gradient norm that reached the first layer."""
        norms = sorted(step.gradient for step in self.steps)
        return norms[len(norms) // 2] if norms else float("nan")

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Run:
        """Return the run that `dataclasses.asdict` (and JSON) made `record` of."""
        steps = tuple(Step(**{**step, "layers": tuple(step["layers"])}) for step in record["steps"])
        epochs = tuple(Epoch(**epoch) for epoch in record["epochs"])
        changed = {"layers": tuple(record["layers"]), "steps": steps, "epochs": epochs}
        anatomy = record["anatomy"] and Anatomy.from_record(record["anatomy"])
        given = {field.name: record[field.name] for field in fields(cls)}
        missing = {name: math.nan for name, value in given.items() if value is None}
        return cls(**given | missing | changed | {"anatomy": anatomy})


@dataclass(frozen=True, slots=True)
class Comparison:
    """All runs of a comparison, with what is needed to judge and to repeat it."""

    runs: tuple[Run, ...]
    plan: Plan
    images: str
    test_images: int
    command: str
    environment: Mapping[str, str]
    commonest: float = 0.0
    """Share of the commonest class in the test images: what always answering it scores."""

    model: str = ""
    """The user's network; empty for the built-in ones, which have a depth instead."""

    notes: tuple[str, ...] = ()
    """What was done to the images or the networks before they were compared."""

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Comparison:
        """Return the comparison that `to_record` (and JSON) made `record` of."""
        changed = {
            "runs": tuple(map(Run.from_record, record["runs"])),
            "plan": Plan(**record["plan"]),
            "notes": tuple(record.get("notes", ())),
        }
        return cls(**{**record, **changed})

    def to_record(self) -> dict[str, Any]:
        """Return plain dicts, lists and numbers, ready for JSON."""
        return asdict(self)


def to_json(record: Any) -> str:
    """Return JSON, with null for what it has no number for: the loss of a diverged run.

    >>> to_json({"loss": math.nan})
    '{"loss": null}'
    """
    return json.dumps(_finite(record), allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return value
