"""`fuse`: a faster object that computes what a convolutional model computes."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from torchskip.deploy.capture import Capture, Inputs, capture
from torchskip.deploy.chain import fuse_passes
from torchskip.deploy.model import FusedModel, Layout, Limits
from torchskip.deploy.plan import lower, record
from torchskip.deploy.program import Program, fold_constants, make_pure
from torchskip.deploy.proof import TOLERANCE, Check, prove
from torchskip.deploy.report import Report
from torchskip.deploy.reuse import overwrite, peak_bytes, samples_alone
from torchskip.deploy.sizes import Differs, generalise
from torchskip.errors import FuseError

__all__ = ["fuse", "other_size"]

# A working set that the last-level cache of common CPUs holds; larger batches go in parts.
WORKING_SET = 24 * 2**20
LARGE = 224  # pixels a side


def fuse(
    model: nn.Module,
    example: Any,
    *,
    dtype: torch.dtype | None = None,
    tolerance: float | None = None,
) -> FusedModel:
    """Return another object that computes ``model(example)`` with fewer passes over memory.

    Batch normalisation is folded into convolutions, ``y = g (W x - m) / s + b = W' x + b'``;
    parallel linear branches and identities become one kernel where that is exact (Ding et al.
    2021, *RepVGG*, section 3.3); convolution, add and activation run as one operation, which
    writes over the shortcut's buffer when nothing reads it later. `model` stays as it was.

    Args:
        model: any module whose forward does the same operators whatever the values. One in
            training mode is fused if nothing in it depends on the mode, else refused.
        example: an input tensor, a tuple of positional arguments, or a dictionary of keywords.
            The result takes other batch sizes, heights and widths where runs at other sizes
            show that to be safe, and refuses the others.
        dtype: ``torch.bfloat16`` casts weights once; inputs and outputs keep their types.
        tolerance: largest difference allowed, relative to the largest output: by default 1e-5
            in float32 and 1e-2 in bfloat16.

    Raises:
        FuseError: when the model cannot be repeated without its Python (random numbers, state,
            control flow by values), or when the result would differ by more than `tolerance`.

    >>> net = nn.Sequential(nn.Conv2d(3, 8, 3, bias=False), nn.BatchNorm2d(8), nn.ReLU()).eval()
    >>> fused = fuse(net, torch.rand(1, 3, 16, 16))
    >>> [type(module).__name__ for module in fused.code.children()]
    ['Convolution']
    >>> fused(torch.rand(4, 3, 20, 30)).shape
    torch.Size([4, 8, 18, 28])

    """
    start = time.perf_counter()
    _check_arguments(model, dtype)
    given = Inputs.of(example)
    if not given.tensors:
        raise FuseError(
            "the example holds no tensor\n  mend: fuse(model, torch.rand(1, 3, 224, 224))"
        )
    target = dtype if dtype is not None else _floating(given, model)
    allowed = TOLERANCE.get(target, 1e-2) if tolerance is None else tolerance

    small = given.map(lambda t: t[:2]) if _batch(given) > 2 else given
    sight, program, before = _program(model, small, target)
    apart = sight.limits.batch_free and samples_alone(program)
    if not apart and small is not given:
        # Samples may depend on one another: two of them say nothing about the batch.
        small = given
        sight, program, before = _program(model, small, target)
        apart = sight.limits.batch_free and samples_alone(program)
    lower(program, dtype if dtype is not None and dtype != torch.float32 else None)
    overwrite(program)
    program.tidy()
    plan = record(program)
    each = max(1, peak_bytes(program) // max(1, _batch(small)))
    samples = max(1, WORKING_SET // each) if apart else 0
    fused = FusedModel(
        plan,
        sight.limits,
        tuple(Layout.of(t) for t in sight.captures[0][1].results),
        sight.captures[0][1].structure,
        samples,
        given.manner,
        allowed,
    )
    ways = fused.prepare(given.tensors)
    checks = [_prove(fused, name, seen, inputs, allowed) for name, seen, inputs in sight.captures]
    after = sum(
        s.kind in ("call_function", "call_module") and s.target != "extent" for s in plan.steps
    )
    fused.report = Report(
        model=type(model).__name__,
        fused=tuple(e for e in program.events if e.done),
        kept=tuple(e for e in program.events if not e.done),
        checks=tuple(checks),
        tolerance=allowed,
        notes=(*sight.notes, *_notes(model, samples, apart), *ways),
        operators_before=before,
        operators_after=after,
        seconds=time.perf_counter() - start,
    )
    return fused


def _program(model: nn.Module, given: Inputs, target: torch.dtype) -> tuple[_Sight, Program, int]:
    """Look at the model and fuse what is seen; also return how many operators there were."""
    sight = _look(model, given)
    base = sight.captures[0][1]
    program = Program(base.graph, dict(base.constants))
    before = sum(n.op == "call_function" for n in program.graph.nodes)
    fold_constants(program)
    make_pure(program)
    fuse_passes(program, exact_ones=target in (torch.float32, torch.float64))
    return sight, program, before


@dataclass(frozen=True, slots=True, eq=False)
class _Sight:
    """The passes seen, the first one rewritten for every size that they agree on."""

    captures: tuple[tuple[str, Capture, Inputs], ...]
    limits: Limits
    notes: tuple[str, ...]


def _look(model: nn.Module, given: Inputs) -> _Sight:
    """Run the model at several sizes and find out which sizes one program serves."""
    base = capture(model, given)
    notes: list[str] = []
    probes: dict[str, tuple[Capture, Inputs]] = {}
    batch = _batch(given)
    lone = given
    batches = (1, 3) if batch > 1 else (2, 3)
    for size in batches:
        inputs = other_size(given, batch=size) if batch else None
        seen = _try(model, inputs, base, notes if size == batches[-1] else [])
        if seen is not None and inputs is not None:
            probes["another batch size"] = seen, inputs
            lone = given if size != 1 else inputs
            break
    spatial = any(t.dim() > 2 for t in given.tensors)
    # Large examples are probed at smaller sizes, which cost less and tell the same.
    large = all(size >= LARGE for t in given.tensors for size in t.shape[2:])
    sizes = ((-64, -96, -128), (-61, -93, -127)) if large else ((32, 64, 96), (1, 3, 5))
    for name, steps in zip(("another height and width", "an odd size"), sizes, strict=True):
        inputs = other_size(lone, steps=steps) if spatial else None
        seen = _try(model, inputs, None, notes) if inputs is not None else None
        if seen is not None and inputs is not None:
            probes[name] = seen, inputs
        else:
            break
    return _settle(base, given, probes, notes)


def _try(
    model: nn.Module, inputs: Inputs | None, base: Capture | None, notes: list[str]
) -> Capture | None:
    """Capture at another size, and that it pairs with `base`; None, with a note, where it fails."""
    if inputs is None:
        return None
    try:
        seen = capture(model, inputs)
        if base is not None:
            generalise([base, seen], dry=True)
    except (FuseError, Differs) as reason:
        notes.append(f"at {_shapes(inputs)}: {str(reason).splitlines()[0]}")
        return None
    except Exception as error:
        # The model's own complaint about a size it was not made for.
        notes.append(f"at {_shapes(inputs)} the model itself fails: {_short(error)}")
        return None
    return seen


def _settle(
    base: Capture,
    given: Inputs,
    probes: dict[str, tuple[Capture, Inputs]],
    notes: list[str],
) -> _Sight:
    """Use as many probes as agree with one another, the telling ones first."""
    names = list(probes)
    choices = [names[:count] for count in range(len(names), 0, -1)]
    if "another batch size" in probes:
        choices += [["another batch size"]]
    else:
        choices += [[n] for n in names]
    used: list[str] = []
    for choice in choices:
        try:
            generalise([base, *(probes[n][0] for n in choice)])
        except Differs as difference:
            text = f"not for every size: {difference}"
            if text not in notes:
                notes.append(text)
            continue
        used = choice
        break
    shapes = tuple(tuple(t.shape) for t in given.tensors)
    limits = Limits(
        shapes=shapes,
        dtypes=tuple(t.dtype for t in given.tensors),
        batch_free="another batch size" in used,
        step=1 if "an odd size" in used else 32 if "another height and width" in used else 0,
    )
    seen = [("the given input", base, given), *((n, *probes[n]) for n in used)]
    return _Sight(tuple(seen), limits, (*notes, limits.describe()))


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


def _prove(fused: FusedModel, name: str, seen: Capture, inputs: Inputs, allowed: float) -> Check:
    try:
        results = fused.run(inputs.tensors)
    except FuseError:
        raise
    except Exception as error:
        raise FuseError(f"the fused model fails on {name}: {_short(error)}") from error
    return prove(name, inputs.tensors, results, seen.results, allowed)


def _check_arguments(model: object, dtype: torch.dtype | None) -> None:
    if not isinstance(model, nn.Module):
        raise FuseError(f"fuse needs a torch.nn.Module, got a {type(model).__name__}")
    if isinstance(model, FusedModel):
        raise FuseError("the model is fused already\n  mend: fuse the original, with other options")
    if dtype not in (None, torch.float32, torch.bfloat16):
        raise FuseError(f"dtype is {dtype}\n  mend: None, torch.float32 or torch.bfloat16")


def _floating(given: Inputs, model: nn.Module) -> torch.dtype:
    for tensor in (*given.tensors, *model.parameters()):
        if tensor.is_floating_point():
            return tensor.dtype
    return torch.float32


def _batch(inputs: Inputs) -> int:
    """Return the size that axis 0 of every input has, 0 when they differ."""
    sizes = {t.shape[0] if t.dim() else 0 for t in inputs.tensors}
    return sizes.pop() if len(sizes) == 1 else 0


def _notes(model: nn.Module, samples: int, apart: bool) -> list[str]:
    notes = []
    if apart:
        notes.append(f"runs at most {samples} samples at once: their values stay in the cache")
    hooked = sum(bool(m._forward_hooks or m._forward_pre_hooks) for m in model.modules())
    if hooked:
        notes.append(
            f"{hooked} modules have hooks: what they do to tensors is part of the fused model, "
            "anything else they do does not happen in it"
        )
    return notes


def _shapes(inputs: Inputs) -> str:
    return " ".join(str(tuple(t.shape)) for t in inputs.tensors)


def _short(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"[:300]
