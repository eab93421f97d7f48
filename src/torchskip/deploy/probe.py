"""Running a model at several sizes, to find out which sizes one program serves."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from torchskip.deploy.capture import Capture, Inputs, capture
from torchskip.deploy.model import Limits
from torchskip.deploy.sizes import Differs, generalise
from torchskip.errors import FuseError

__all__ = ["Sight", "look", "other_size"]

# Steps of height, width and depth: even ones keep the multiples of 32 that decoders ask for.
# A large example is probed at smaller sizes: they tell the same and cost less.
_SMALL = (((32, 64, 96),), ((1, 3, 5),))
_LARGE = (((-128, -160, -160), (-64, -96, -128)), ((-127, -159, -159), (-61, -93, -127)))
_SIDE = 224


@dataclass(frozen=True, slots=True, eq=False)
class Sight:
    """The passes seen, the first one rewritten for every size that they agree on."""

    captures: tuple[tuple[str, Capture, Inputs], ...]
    limits: Limits
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class _Probe:
    """A pass at another size: what it frees if it agrees with the first one."""

    frees: frozenset[str]
    seen: Capture
    inputs: Inputs

    @property
    def name(self) -> str:
        odd = "odd size" in self.frees
        return "an odd size" if odd else f"another {', '.join(sorted(self.frees))}"


def look(model: nn.Module, given: Inputs) -> Sight:
    """Run `model` at several sizes and find out which of them one program serves."""
    base = capture(model, given)
    notes: list[str] = []
    probes = list(_probes(model, base, given, notes))
    used: list[_Probe] = []
    for choice in _choices(probes):
        try:
            generalise([base, *(p.seen for p in choice)])
        except Differs as difference:
            text = f"not for every size: {difference}"
            if text not in notes:
                notes.append(text)
            continue
        used = choice
        break
    free = frozenset().union(*(p.frees for p in used))
    limits = Limits(
        shapes=tuple(tuple(t.shape) for t in given.tensors),
        dtypes=tuple(t.dtype for t in given.tensors),
        batch_free="batch size" in free,
        step=1 if "odd size" in free else 32 if "height and width" in free else 0,
    )
    seen = [("the given input", base, given), *((p.name, p.seen, p.inputs) for p in used)]
    return Sight(tuple(seen), limits, (*notes, limits.describe()))


def _probes(model: nn.Module, base: Capture, given: Inputs, notes: list[str]) -> Iterator[_Probe]:
    """Run at other batch sizes, at other heights and widths: at both at once if that will do."""
    spatial = any(t.dim() > 2 for t in given.tensors)
    large = all(size >= _SIDE for t in given.tensors for size in t.shape[2:])
    even, odd = _LARGE if large else _SMALL
    batches = () if not given.batch else (1, 3) if given.batch > 1 else (2, 3)
    lone = other_size(given, batch=1) if given.batch > 1 else given
    sized = False
    if spatial and batches:
        both = ((given, batches[0], steps) for steps in even)
        probe = _first(model, base, both, {"batch size", "height and width"}, [])
        if probe is not None:
            yield probe
            sized, batches = True, ()
    batched = _first(model, base, ((given, size, ()) for size in batches), {"batch size"}, notes)
    if batched is not None:
        yield batched
    source = lone if sized or batched is not None else given
    if spatial and not sized:
        probe = _first(
            model, base, ((source, 0, steps) for steps in even), {"height and width"}, notes
        )
        sized = probe is not None
        if probe is not None:
            yield probe
    if sized:
        probe = _first(model, base, ((source, 0, steps) for steps in odd), {"odd size"}, notes)
        if probe is not None:
            yield probe


def _first(
    model: nn.Module,
    base: Capture,
    tries: Iterator[tuple[Inputs, int, tuple[int, ...]]],
    frees: set[str],
    notes: list[str],
) -> _Probe | None:
    """Return the first probe that runs and pairs with `base`; None, and why in `notes`."""
    why = None
    for source, batch, steps in tries:
        inputs = other_size(source, batch=batch, steps=steps)
        shapes = " ".join(str(tuple(t.shape)) for t in inputs.tensors)
        try:
            seen = capture(model, inputs)
            generalise([base, seen], dry=True)
        except (FuseError, Differs) as reason:
            why = f"at {shapes}: {str(reason).splitlines()[0]}"
        except Exception as error:
            # The model's own complaint about a size it was not made for.
            lines = str(error).splitlines() or [""]
            why = f"at {shapes} the model itself fails: {type(error).__name__}: {lines[0]}"[:300]
        else:
            return _Probe(frozenset(frees), seen, inputs)
    if why is not None:
        notes.append(why)
    return None


def _choices(probes: list[_Probe]) -> Iterator[list[_Probe]]:
    """As many probes as agree with one another, the telling ones first; then each alone."""
    for count in range(len(probes), 0, -1):
        yield probes[:count]
    for probe in probes[1:]:
        yield [probe]


def other_size(given: Inputs, *, batch: int = 0, steps: tuple[int, ...] = ()) -> Inputs:
    """Return inputs of another size: floats drawn like the given ones, integers repeated."""
    generator = torch.Generator().manual_seed(20151210)  # the caller's generator is not ours

    def make(tensor: Tensor) -> Tensor:
        shape = list(tensor.shape)
        if batch and shape:
            shape[0] = batch
        for axis in range(2, len(shape)):
            shape[axis] += steps[axis - 2] if axis - 2 < len(steps) else 0
        if not tensor.is_floating_point():
            for axis, size in enumerate(shape):
                index = torch.arange(size, device=tensor.device) % tensor.shape[axis]
                tensor = tensor.index_select(axis, index)
            return tensor
        values = tensor.double()
        spread = float(values.std()) if values.numel() > 1 else 1.0
        noise = torch.randn(shape, generator=generator, dtype=torch.float64)
        made = (noise * (spread or 1.0) + float(values.mean())).to(tensor.device, tensor.dtype)
        last = tensor.dim() == 4 and not tensor.is_contiguous() and tensor.is_contiguous(
            memory_format=torch.channels_last
        )  # fmt: skip
        return made.contiguous(memory_format=torch.channels_last) if last else made

    return given.map(make)
