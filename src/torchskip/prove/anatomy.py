"""What a trained network is like inside: the measures that the report draws."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from torchskip.errors import ArgumentError
from torchskip.measure import (
    dropped,
    gradient_shares,
    loss_surface,
    path_lengths,
    signals,
    stream,
)
from torchskip.nn import Skip

if TYPE_CHECKING:
    from torchskip.prove.lesioned import Lesioned
    from torchskip.prove.train import Training

__all__ = ["Anatomy", "blocks_of", "dissect", "first_signals"]

_IMAGES, _FEW = 500, 32
_PIXELS = _IMAGES * 32 * 32  # of all images together: larger ones are fewer
_SLICE = tuple(k / 10 for k in range(-10, 11))


@dataclass(frozen=True, slots=True)
class Anatomy:
    """Measures of one trained network; the tuples run over its blocks or layers, in order.

    `lesions` are test accuracies with one block dropped (nan: it cannot be), `intact` with none,
    all on the same images; empty where nothing says what the blocks are. `shares` is the
    shortcuts' part of the gradient, `changes` how much each branch adds to the stream, `lengths`
    the weight of paths through 0, 1, ... branches: empty for a plain network, and where the arms
    are not those of `Skip`s. `variances` are those of the layers' outputs before training;
    `slice_losses` are the training losses along one filter-normalised direction at `slice_at`.
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


def blocks_of(pair: Mapping[str, nn.Module]) -> tuple[str, ...]:
    """Return the paths of the skips, which in the plain twin name the same blocks without them."""
    paths = [
        p for m in pair.values() for p, module in m.named_modules() if isinstance(module, Skip)
    ]
    return tuple(dict.fromkeys(paths))


def first_signals(training: Training) -> tuple[float, ...]:
    """Return the variance of every weighted layer's output on the first batch, before training."""
    x, _ = training.batches.at(0, 0)
    found = {signal.path: signal.variance for signal in signals(training.network, x)}
    return tuple(found[path] for path in training.layers if path in found)


def dissect(
    training: Training,
    blocks: Sequence[str],
    variances: tuple[float, ...],
    *,
    lesioned: Lesioned | None = None,
) -> Anatomy:
    """Return the measures of a network whose training has ended; it comes back as it was.

    `blocks` are the modules to drop in turn, or `lesioned` knows how to do it by surgery.
    """
    network, batches = training.network, training.batches
    height, width = batches.test.shape[2:]
    images = min(_IMAGES, max(_FEW, _PIXELS // (height * width)))
    x, y = batches.sample("test", images)
    few = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))[:_FEW].to(x.device)
    network.eval()
    seen, answers = batches.sample("train", images)

    def loss(scores: Tensor) -> Tensor:
        return F.cross_entropy(scores, y[few])

    if lesioned is None:
        found = tuple(_without(network, block, x, y) for block in blocks)
        residual = any(isinstance(module, Skip) for module in network.modules())
    else:
        found = lesioned.lesions(network, x, lambda net: _accuracy(net, x, y))
        residual = lesioned.has_arms(x)
    return Anatomy(
        intact=_accuracy(network, x, y),
        lesions=found,
        shares=tuple(s.share for s in gradient_shares(network, loss, x[few])) if residual else (),
        changes=tuple(c.relative for c in stream(network, x[few])) if residual else (),
        lengths=path_lengths(network, loss, x[few], samples=3).weight if residual else (),
        variances=variances,
        slice_at=_SLICE,
        slice_losses=tuple(
            row[0]
            for row in loss_surface(
                network, lambda net: F.cross_entropy(net(seen), answers).item(), _SLICE
            ).losses
        ),
    )


@torch.no_grad()
def _accuracy(network: nn.Module, x: Tensor, y: Tensor) -> float:
    return float((network(x).argmax(1) == y).float().mean())


def _without(network: nn.Module, block: str, x: Tensor, y: Tensor) -> float:
    try:
        with dropped(network, block):
            return _accuracy(network, x, y)
    except ArgumentError:  # a plain block that changes the shape
        return math.nan
