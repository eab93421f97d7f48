"""What a trained network is like inside: the measures that the report draws."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from torchskip.errors import SurgeryError
from torchskip.measure import (
    gradient_shares,
    lesions,
    loss_surface,
    path_lengths,
    signals,
    stream,
)
from torchskip.prove.joined import MOST, Joined, joins_of

if TYPE_CHECKING:
    from torchskip.prove.train import Training

__all__ = ["Anatomy", "dissect", "first_signals"]

_IMAGES, _FEW = 500, 32
_PIXELS = _IMAGES * 32 * 32  # of all images together: larger ones are fewer
_SLICE = tuple(k / 10 for k in range(-10, 11))


@dataclass(frozen=True, slots=True)
class Anatomy:
    """Measures of one trained network; the tuples run over its blocks or layers, in order.

    `lesions` are test accuracies with one block dropped (nan: it cannot be), `intact` with none,
    all on the same images; empty where nothing says what the blocks are. `shares` is the
    shortcuts' part of the gradient, `changes` how much each branch adds to the stream, `lengths`
    the weight of paths through 0, 1, ... branches: empty for a plain network. `variances` are
    those of the layers' outputs before training; `slice_losses` are the training losses along one
    filter-normalised direction at `slice_at`.
    """

    intact: float
    lesions: tuple[float, ...]
    shares: tuple[float, ...]
    changes: tuple[float, ...]
    lengths: tuple[float, ...]
    variances: tuple[float, ...]
    slice_at: tuple[float, ...]
    slice_losses: tuple[float, ...]

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Anatomy:
        """Return the anatomy that `dataclasses.asdict` (and JSON) made `record` of."""
        values: dict[str, Any] = {"intact": record["intact"]}
        for field in fields(cls)[1:]:
            given = record[field.name]
            values[field.name] = tuple(math.nan if v is None else v for v in given)
        return cls(**values)


def first_signals(training: Training) -> tuple[float, ...]:
    """Return the variance of every weighted layer's output on the first batch, before training."""
    x, _ = training.batches.at(0, 0)
    found = {signal.path: signal.variance for signal in signals(training.network, x)}
    return tuple(found[path] for path in training.layers if path in found)


def dissect(training: Training, joined: Joined | None, variances: tuple[float, ...]) -> Anatomy:
    """Return the measures of a network whose training has ended; it comes back as it was.

    `joined` says where its arms meet, `variances` are those of `first_signals`.
    """
    network, batches = training.network, training.batches
    height, width = batches.test.shape[2:]
    images = min(_IMAGES, max(_FEW, _PIXELS // (height * width)))
    x, y = batches.sample("test", images)
    few = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))[:_FEW].to(x.device)
    seen, answers = batches.sample("train", images)
    network.eval()
    surface = loss_surface(network, lambda net: F.cross_entropy(net(seen), answers).item(), _SLICE)
    return Anatomy(
        intact=_accuracy(network, x, y),
        lesions=_lesions(joined, x, y) if joined is not None else (),
        **_arms(joined, x[few], y[few]) if joined is not None and joined.shortcuts else _NO_ARMS,
        variances=variances,
        slice_at=_SLICE,
        slice_losses=tuple(row[0] for row in surface.losses),
    )


_NO_ARMS: dict[str, tuple[float, ...]] = {"shares": (), "changes": (), "lengths": ()}


def _arms(joined: Joined, x: Tensor, y: Tensor) -> dict[str, tuple[float, ...]]:
    network, which = joined.network, joined.which

    def loss(scores: Tensor) -> Tensor:
        return F.cross_entropy(scores, y)

    try:
        return {
            "shares": tuple(s.share for s in gradient_shares(network, loss, x, which=which)),
            "changes": tuple(c.relative for c in stream(network, x, which=which)),
            "lengths": path_lengths(network, loss, x, which=which, samples=8).weight,
        }
    except SurgeryError:  # no two arms meet in one call
        return _NO_ARMS


def _lesions(joined: Joined, x: Tensor, y: Tensor) -> tuple[float, ...]:
    """Return the accuracy with each block dropped, nan where only a projection could stand in."""
    network = joined.network.eval()
    names = joins_of(network, x[:2], joined.which)
    if not 0 < len(names) <= MOST:
        return ()
    found = lesions(
        network,
        lambda net: _accuracy(net, x, y),
        x[:2],
        which=joined.which,
        shortcuts=joined.shortcuts,
    )
    return tuple(found.dropped.get(name, math.nan) for name in names)


@torch.no_grad()
def _accuracy(network: nn.Module, x: Tensor, y: Tensor) -> float:
    return float((network(x).argmax(1) == y).float().mean())
