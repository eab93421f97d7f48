"""Running a model at several sizes, to find out which sizes one program serves."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from torchskip.deploy.capture import Capture, Inputs, capture
from torchskip.deploy.model import Limits
from torchskip.deploy.rehearse import rehearse
from torchskip.deploy.sizes import Differs, generalise
from torchskip.errors import FuseError

__all__ = ["Sight", "look", "other_size"]

# Steps of height, width and depth: even ones keep the multiples of 32 that decoders ask for.
# A large example is probed at smaller sizes: they tell the same and cost less.
_SMALL = (((32, 64, 96),), ((1, 3, 5),))
_LARGE = (((-128, -160, -160), (-64, -96, -128)), ((-127, -159, -159), (-61, -93, -127)))
_SIDE = 224
# Far and odd: a step of one pixel changes nothing behind a stride of four.
_SMALL_FAR = ((33, 65, 97),)


@dataclass(frozen=True, slots=True, eq=False)
class Sight:
    """The passes seen, the first one rewritten for every size that they agree on.

    Those without values are left out.
    """

    captures: tuple[tuple[str, Capture, Inputs], ...]
    limits: Limits
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class _Probe:
    """A pass at another size: what it frees if it agrees with the first one."""

    name: str
    frees: frozenset[str]
    seen: Capture
    inputs: Inputs


def look(model: nn.Module, given: Inputs, whole: Inputs) -> Sight:
    """Run `model` at several sizes and find out which of them one program serves.

    The program is that of `given`; where it is one sample of `whole`, the batch is free if it
    serves the whole.
    """
    base = capture(model, given)
    notes: list[str] = []
    probes = _probes(model, base, given, whole, notes)
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
    valued = (
        (p.name, p.seen, p.inputs) for p in used if not any(r.is_meta for r in p.seen.results)
    )
    seen = [("the given input", base, given), *valued]
    return Sight(tuple(seen), limits, (*notes, limits.describe()))


def _probes(
    model: nn.Module, base: Capture, given: Inputs, whole: Inputs, notes: list[str]
) -> list[_Probe]:
    """Run at other batch sizes, at other heights and widths: at both at once if that will do."""
    batch, side, odd = (frozenset({n}) for n in ("batch size", "height and width", "odd size"))
    spatial = any(t.dim() > 2 for t in given.tensors)
    even_steps, odd_steps, far_steps = _steps(given)
    batches = () if not given.batch else (1, 3) if given.batch > 1 else (2, 3)
    lone = other_size(given, batch=1) if given.batch > 1 else given
    found: list[_Probe] = []

    def look_at(name: str, frees: frozenset[str], tries: Iterable[Inputs], why: list[str]) -> bool:
        probe = _first(model, base, name, frees, tries, why)
        found.extend(() if probe is None else (probe,))
        return probe is not None

    if whole is not given:
        rehearsed = _rehearsed(base, model, whole, batch)
        if rehearsed is not None:
            found.append(rehearsed)
        elif not look_at("the whole example", batch, [whole], notes):
            return found  # one sample does not stand for the batch
    # All at once, if that will do: an odd size tells floors and ceilings from exact parts.
    odd_why: list[str] = []
    if spatial and batches:
        every = (other_size(given, batch=batches[0], steps=s) for s in far_steps)
        if look_at("another batch size and odd sizes", batch | side | odd, every, odd_why):
            return found
    both = (other_size(given, batch=n, steps=s) for n in batches[:1] for s in even_steps)
    if spatial and look_at("another batch size, height and width", batch | side, both, []):
        notes.extend(odd_why)
        return found
    other = (other_size(given, batch=n) for n in batches)
    source = lone if look_at("another batch size", batch, other, notes) else given
    steps = (other_size(source, steps=s) for s in even_steps)
    if spatial and look_at("another height and width", side, steps, notes):
        steps = (other_size(source, steps=s) for s in odd_steps)
        look_at("an odd size", odd, steps, notes)
    return found


_Steps = tuple[tuple[int, ...], ...]


def _steps(given: Inputs) -> tuple[_Steps, _Steps, _Steps]:
    """Return the even, the odd, and the far and odd steps of height, width and depth to try."""
    shapes = [t.shape[2:] for t in given.tensors]
    if any(len(shape) == 3 for shape in shapes):
        sides = [min(s[axis] for s in shapes if len(s) > axis) for axis in range(3)]
        even = _volume_steps(sides)
        return (even,), _SMALL[1], (tuple(step + 1 for step in even),)
    if all(size >= _SIDE for shape in shapes for size in shape):
        return *_LARGE, _LARGE[1]
    return *_SMALL, _SMALL_FAR


def _volume_steps(sides: Sequence[int]) -> tuple[int, ...]:
    """Return steps for the sides of a volume, where twice their length costs eight times more.

    What asks for multiples of a power of two still gets them, and no two sides become equal.
    """
    steps: list[int] = []
    for axis, size in enumerate(sides):
        unit = min(32, size & -size)
        if size >= _SIDE:
            step = (-96, -128, -160)[axis]
        elif size >= 64:
            step = unit * axis or -unit
        else:
            step = unit * (axis + 1)
        while size + step in [n + s for n, s in zip(sides, steps, strict=False)]:
            step += unit
        steps.append(step)
    return tuple(steps)


def _first(
    model: nn.Module,
    base: Capture,
    name: str,
    frees: frozenset[str],
    tries: Iterable[Inputs],
    notes: list[str],
) -> _Probe | None:
    """Return the first probe that runs and pairs with `base`; None, and why in `notes`."""
    why = None
    for inputs in tries:
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
            return _Probe(name, frees, seen, inputs)
    if why is not None:
        notes.append(why)
    return None


def _rehearsed(
    base: Capture, model: nn.Module, whole: Inputs, frees: frozenset[str]
) -> _Probe | None:
    """Return the pass over `whole` without values, if that can be had and pairs with `base`."""
    try:
        seen = rehearse(model, whole)
        generalise([base, seen], dry=True)
    except Exception:  # whatever a model does on meta tensors: then it runs for real
        return None
    return _Probe("the whole example", frees, seen, whole)


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
