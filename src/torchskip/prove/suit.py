"""Images that suit a given network: its channels, its size, and whether it scores the classes."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from torchskip.data import Images
from torchskip.errors import TrainingError
from torchskip.prove.batches import own_randomness

__all__ = ["suit"]

# Sides that networks are usually made for: CIFAR, Tiny ImageNet, STL, ..., ImageNet, Inception.
_USUAL = (28, 32, 64, 96, 128, 160, 192, 224, 240, 256, 288, 299, 320, 384)
# ITU-R BT.601: how bright the eye finds red, green and blue.
_LUMA = (0.299, 0.587, 0.114)


@dataclass(frozen=True, slots=True)
class _Answer:
    """What a network says to images of a shape: a number of scores, or why it cannot."""

    scores: int = 0
    failure: str = ""
    words: str = ""
    """What it gave instead of scores."""


def suit(images: Images, model: nn.Module, side: int | None) -> tuple[Images, tuple[str, ...]]:
    """Return the images as `model` takes them, and in words what was done to them.

    Grey images are repeated to three channels, and coloured ones averaged to one, where the
    network asks for that. With `side` the longest side of the images becomes `side` pixels;
    without, it stays as it is, or becomes the smallest usual one that the network takes.

    Raises:
        TrainingError: the network takes no such images, does not answer with one row of scores
            an image, or has fewer scores than there are classes.

    """
    channels, height, width = images.shape
    own = max(height, width)
    other = {1: 3, 3: 1}[channels]
    sides = [side] if side is not None else [own, *(s for s in _USUAL if s > own)]
    failures = dict[int, str]()
    for wanted in sides:
        for count in (channels, other):
            shape = (count, *_scaled(height, width, wanted))
            answer = _ask(model, shape)
            if answer.failure:
                failures.setdefault(count, answer.failure)
                continue
            _check_scores(model, shape, answer, len(images.classes))
            done = _notes(images, model, shape, answer, asked=side is not None)
            return _resized(_recoloured(images, count), shape[1:]), done
    raise _refusal(images, model, side, failures)


def _refusal(
    images: Images, model: nn.Module, side: int | None, failures: dict[int, str]
) -> TrainingError:
    """Say why not, and which size would do; `failures` are by number of channels."""
    channels, height, width = images.shape
    size = _scaled(height, width, side or max(height, width))
    mend = "a network for images of 1 or 3 channels, and of one of the sizes it is made for"
    for wanted in _USUAL if side is not None else ():
        fitting = [
            c for c in failures if not _ask(model, (c, *_scaled(height, width, wanted))).failure
        ]
        if fitting:
            channels = fitting[0]
            mend = f"side={wanted} (--side {wanted}), which it takes"
            break
    shape = "x".join(map(str, (channels, *size)))
    return TrainingError(
        f"{type(model).__name__} cannot take images of {shape}: {failures[channels]}\n"
        f"  mend: {mend}"
    )


def _ask(model: nn.Module, shape: tuple[int, int, int]) -> _Answer:
    """Run a copy on two images, in evaluation and in training."""
    try:
        with torch.no_grad(), own_randomness():
            net = copy.deepcopy(model)
            for training in (False, True):
                answer = net.train(training)(torch.rand(2, *shape))
                if not isinstance(answer, Tensor) or answer.ndim != 2 or len(answer) != 2:
                    got = type(answer).__name__
                    if isinstance(answer, Tensor):
                        got = f"a tensor {tuple(answer.shape)}"
                    mode = "training" if training else "evaluation"
                    return _Answer(words=f"{got} in {mode}")
        return _Answer(answer.shape[1])
    except Exception as error:  # whatever a user's forward raises
        first = (str(error).strip().splitlines() or [""])[0]
        return _Answer(failure=f"{type(error).__name__}: {first}".rstrip(": "))


def _check_scores(model: nn.Module, shape: tuple[int, ...], answer: _Answer, classes: int) -> None:
    name = type(model).__name__
    if answer.words:
        raise TrainingError(
            f"{name} answers {(2, *shape)} with {answer.words}, not with class scores\n"
            f"  mend: let it return a tensor of shape (2, {classes})"
        )
    if answer.scores < classes:
        raise TrainingError(
            f"{name} has {answer.scores:,} scores for {classes:,} classes\n"
            f"  mend: make it with {classes:,} outputs (num_classes={classes})"
        )


def _notes(
    images: Images,
    model: nn.Module,
    shape: tuple[int, int, int],
    answer: _Answer,
    *,
    asked: bool,
) -> tuple[str, ...]:
    name, notes = type(model).__name__, list[str]()
    if (images.shape[0], shape[0]) == (1, 3):
        notes.append(f"The images are grey; {name} takes 3 channels, so each is repeated.")
    if (images.shape[0], shape[0]) == (3, 1):
        notes.append(f"The images are coloured; {name} takes 1 channel, so they are made grey.")
    if images.shape[1:] != shape[1:]:
        before, after = ("x".join(map(str, sizes)) for sizes in (images.shape[1:], shape[1:]))
        why = "as asked" if asked else f"the smallest usual size that {name} takes"
        notes.append(f"The images are resized from {before} to {after}, {why}.")
    if answer.scores > len(images.classes):
        notes.append(
            f"{name} has {answer.scores:,} scores for {len(images.classes):,} classes; the others "
            "are never right, and both networks have to learn that."
        )
    return tuple(notes)


def _scaled(height: int, width: int, side: int) -> tuple[int, int]:
    longest = max(height, width)
    return max(1, round(height * side / longest)), max(1, round(width * side / longest))


def _recoloured(images: Images, channels: int) -> Images:
    if channels == images.shape[0]:
        return images

    def recolour(x: Tensor) -> Tensor:
        if channels == 3:
            return x.expand(-1, 3, -1, -1).contiguous()
        luma = torch.tensor(_LUMA)[:, None, None]
        parts = [(p * luma).sum(1, keepdim=True).round().to(torch.uint8) for p in _parts(x)]
        return torch.cat(parts)

    return replace(images, train=recolour(images.train), test=recolour(images.test))


def _resized(images: Images, size: tuple[int, int]) -> Images:
    if images.shape[1:] == size:
        return images

    def resize(x: Tensor) -> Tensor:
        parts = (
            F.interpolate(p, size, mode="bilinear", antialias=True, align_corners=False)
            for p in _parts(x)
        )
        return torch.cat([part.round().clamp(0, 255).to(torch.uint8) for part in parts])

    return replace(images, train=resize(images.train), test=resize(images.test))


def _parts(x: Tensor) -> Iterator[Tensor]:
    """Yield a thousand images at a time, as floats: all together would not fit."""
    return (x[start : start + 1000].float() for start in range(0, len(x), 1000))
