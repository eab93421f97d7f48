"""Which images a step sees, and how they are altered: a function of seed, epoch and place alone.

So the twins see the same, a resumed training sees what it would have seen, and the ranks of a
distributed one share a batch without talking.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from torchskip.data import Images

__all__ = ["Batches", "derive", "one_thread", "own_randomness", "reseed"]


class Batches:
    """The training and test images on `device`, handed out in batches.

    A batch is `(x, y)`: float32 `(B, C, H, W)` with mean 0 and deviation 1 over the training
    images per channel, and int64 `(B,)`. Of `world` ranks, each gets its part of every batch.
    """

    def __init__(
        self,
        images: Images,
        size: int,
        *,
        seed: int,
        augment: bool,
        device: torch.device | str = "cpu",
        rank: int = 0,
        world: int = 1,
    ) -> None:
        self.train, self.train_labels = images.train.to(device), images.train_labels.to(device)
        self.test, self.test_labels = images.test.to(device), images.test_labels.to(device)
        self.size = min(size, len(images.train)) // world * world
        self.seed, self.augment = seed, augment
        self.rank, self.world = rank, world
        self._order: tuple[int, Tensor] | None = None
        mean, deviation = _statistics(images.train)
        self.mean, self.deviation = mean.to(device), deviation.to(device)

    def __len__(self) -> int:
        """Return the steps of an epoch: the last, incomplete batch is left out."""
        return len(self.train) // self.size

    def at(self, epoch: int, step: int) -> tuple[Tensor, Tensor]:
        """Return this rank's part of the batch of `step` in `epoch`, both counted from 0."""
        if self._order is None or self._order[0] != epoch:
            generator = _generator(self.seed, epoch)
            self._order = epoch, torch.randperm(len(self.train), generator=generator)
        chosen = self._order[1][step * self.size : (step + 1) * self.size]
        mine = slice(self.rank, None, self.world)
        where = chosen[mine].to(self.train.device)
        x = self._normalise(self.train[where])
        if self.augment:
            x = _shift_and_mirror(x, len(chosen), mine, _generator(self.seed, epoch, step))
        return x, self.train_labels[where]

    def held_out(self, split: str) -> Iterator[tuple[Tensor, Tensor]]:
        """Hand out this rank's part of the unaltered `"train"` or `"test"` images."""
        x, y = self._split(split)
        for start in range(self.rank, len(x), 500 * self.world):
            part = slice(start, start + 500 * self.world, self.world)
            yield self._normalise(x[part]), y[part]

    def sample(self, split: str, count: int) -> tuple[Tensor, Tensor]:
        """Return up to `count` unaltered images of a split, spread evenly over it."""
        x, y = self._split(split)
        chosen = torch.linspace(0, len(x) - 1, min(count, len(x))).long().to(x.device)
        return self._normalise(x[chosen]), y[chosen]

    def _split(self, split: str) -> tuple[Tensor, Tensor]:
        if split == "test":
            return self.test, self.test_labels
        return self.train, self.train_labels

    def _normalise(self, images: Tensor) -> Tensor:
        x = (images.float() - self.mean) / self.deviation
        return x.contiguous(memory_format=torch.channels_last)


def derive(*numbers: int) -> int:
    """Return a seed below 2**63 that depends on all `numbers`, evenly spread."""
    digest = hashlib.blake2b(repr(numbers).encode(), digest_size=8).digest()
    return int.from_bytes(digest) >> 1


def reseed(*numbers: int) -> None:
    """Set Python's, numpy's and torch's generators to a state that depends on `numbers` alone."""
    seed = derive(*numbers)
    random.seed(seed)
    np.random.seed(seed & 0xFFFFFFFF)
    torch.manual_seed(seed)


@contextmanager
def own_randomness() -> Iterator[None]:
    """Give Python's, numpy's and torch's generators back as they were."""
    before = random.getstate(), np.random.get_state()
    try:
        with torch.random.fork_rng():
            yield
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute on one thread: small networks gain little by a second, and sums come out alike."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _generator(*numbers: int) -> torch.Generator:
    return torch.Generator().manual_seed(derive(*numbers))


def _statistics(images: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and deviation per channel, `(C, 1, 1)`, exactly: by counting the 256 values."""
    values = torch.arange(256, dtype=torch.float64)
    counts = torch.stack(
        [images[:, c].flatten().bincount(minlength=256) for c in range(images.shape[1])]
    )
    shares = counts / counts.sum(1, keepdim=True)
    mean = (shares * values).sum(1)
    variance = (shares * (values - mean[:, None]) ** 2).sum(1)
    deviation = variance.sqrt().clamp_min(1e-3)  # one flat colour
    return mean.float()[:, None, None], deviation.float()[:, None, None]


def _shift_and_mirror(x: Tensor, total: int, mine: slice, generator: torch.Generator) -> Tensor:
    """He 2015, section 4.2: pad by an eighth of the size, crop at random, mirror every other."""
    height, width = x.shape[2:]
    down, right = max(1, height // 8), max(1, width // 8)
    dy = torch.randint(2 * down + 1, (total,), generator=generator)[mine].to(x.device)
    dx = torch.randint(2 * right + 1, (total,), generator=generator)[mine].to(x.device)
    mirror = torch.randint(2, (total,), generator=generator)[mine].to(x.device)
    padded = F.pad(x, (right, right, down, down))
    rows = dy[:, None] + torch.arange(height, device=x.device)
    columns = torch.arange(width, device=x.device).expand(len(x), width)
    columns = dx[:, None] + torch.where(mirror[:, None] == 1, width - 1 - columns, columns)
    image = torch.arange(len(x), device=x.device)[:, None, None]
    cropped = padded.permute(0, 2, 3, 1)[image, rows[:, :, None], columns[:, None, :]]
    return cropped.permute(0, 3, 1, 2)
