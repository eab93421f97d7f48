"""The twins of a network that the user gave: made by surgery, whatever it is written with."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from torchskip.errors import TrainingError
from torchskip.graph import Kind
from torchskip.inspection import inspect
from torchskip.prove.awake import awaken, awakened
from torchskip.prove.batches import own_randomness, reseed
from torchskip.prove.joined import to_cut
from torchskip.surgery import AddedSkip, with_skips, without_skips

__all__ = ["Factory", "GivenTwins", "construct", "name_of"]

Factory = Callable[[], nn.Module]
"""Makes the network, drawing its first weights from the global generators."""


@dataclass(frozen=True, slots=True)
class GivenTwins:
    """Makes a network's twins: those with skips lose them, those without get some.

    `which` are the skips to cut (:func:`torchskip.surgery.without_skips`); without it those of
    sums, or where a network has none, every one but the gates. `shape` is an image's.
    """

    factory: Factory
    shape: tuple[int, int, int]
    which: tuple[str, ...] | None = None

    def __call__(self, depth: int, seed: int) -> dict[str, nn.Module]:
        """Return `{"plain": ..., "residual": ...}` with equal weights, drawn from `seed`."""
        with own_randomness():
            made = construct(self.factory, seed)
            x = torch.rand(2, *self.shape)
            cut = self.which or to_cut(made, x)
            if cut:
                plain = without_skips(made, x, which=cut)
                awaken(plain, made, x, cut)
                return {"plain": plain, "residual": made}
            return {"plain": made, "residual": with_skips(made, x)}

    def tell(self, pair: dict[str, nn.Module], seed: int) -> tuple[str, ...]:
        """Return in words how the two of `pair`, made from `seed`, differ."""
        with own_randomness():
            torch.manual_seed(0)
            x = torch.rand(2, *self.shape)
            counts = {name: sum(p.numel() for p in net.parameters()) for name, net in pair.items()}
            sizes = f"{counts['residual']:,} parameters with skips, {counts['plain']:,} without"
            added = [m for m in pair["residual"].modules() if isinstance(m, AddedSkip)]
            if added:
                apart = _apart(pair["plain"], pair["residual"], x)
                first = (
                    f"{len(added)} shortcuts are added to the network, which has none ({sizes}). "
                    f"Before training the output of both is {_equal(apart)}."
                )
            else:
                before = inspect(pair["residual"], x, training=False).totals
                after = inspect(pair["plain"], x, training=False).totals
                lost = Counter(before) - Counter(after)
                kept = f" Kept in both: {_listed(after)}." if after else ""
                first = f"Cut from the plain twin: {_listed(lost)} ({sizes}).{kept}"
            notes = [first]
            silent = awakened(pair["plain"], pair["residual"])
            if silent:
                notes.append(
                    f"{silent} scales of branches begin at or near 0, which leaves the shortcut "
                    "alone at first. In the plain twin, which would pass nothing on, they begin "
                    "at 1; all other weights are equal."
                )
            if _same_weights(construct(self.factory, seed), construct(self.factory, seed + 1)):
                notes.append(
                    "The network comes with its weights: every seed begins with the same ones, "
                    "and differs in order and crops alone."
                )
        return tuple(notes)


def construct(factory: Factory, seed: int) -> nn.Module:
    """Return a network of the user's own, with weights drawn from `seed`, in training mode.

    Raises:
        TrainingError: the factory is none, raises, or makes something else.

    """
    if isinstance(factory, nn.Module):
        raise TrainingError(
            f"model is a {type(factory).__name__}, and every seed needs a new one\n"
            f"  mend: model={type(factory).__name__}, the class or a function that makes it; or "
            "lambda: model, with which all seeds begin with its weights"
        )
    if not callable(factory):
        raise TrainingError(
            f"model is of type {type(factory).__name__}, which makes no network\n"
            "  mend: a function without arguments that does, such as torchvision.models.resnet18, "
            "or functools.partial(...)"
        )
    reseed(seed)
    try:
        made = factory()
    except TrainingError:
        raise
    except TypeError as error:
        raise TrainingError(
            f"{name_of(factory)} makes no network: {error}\n"
            "  mend: a function without arguments, such as functools.partial(...)"
        ) from error
    if not isinstance(made, nn.Module):
        raise TrainingError(
            f"{name_of(factory)} made an object of type {type(made).__name__}\n"
            "  mend: let it return a torch.nn.Module"
        )
    return copy.deepcopy(made).train()  # the factory may hand out one and the same


def name_of(factory: Factory) -> str:
    """Return what to call a factory's network.

    >>> from functools import partial
    >>> name_of(nn.Identity), name_of(partial(nn.Identity, 3))
    ('Identity', 'Identity')
    """
    named = getattr(factory, "__name__", None) or getattr(factory, "name", None)
    inner = getattr(factory, "func", None)
    return str(named) if named else name_of(inner) if inner else type(factory).__name__


@torch.no_grad()
def _apart(plain: nn.Module, residual: nn.Module, x: Tensor) -> float:
    one, other = (copy.deepcopy(net).eval()(x) for net in (plain, residual))
    return float((one - other).abs().max())


def _equal(apart: float) -> str:
    return "equal to the last bit" if apart == 0 else f"equal up to {apart:.1e}"


def _listed(counts: Mapping[Kind, int]) -> str:
    return ", ".join(f"{number} {kind}" for kind, number in counts.items())


def _same_weights(one: nn.Module, other: nn.Module) -> bool:
    ours, theirs = one.state_dict(), other.state_dict()
    return all(torch.equal(value, theirs[name]) for name, value in ours.items() if name in theirs)
