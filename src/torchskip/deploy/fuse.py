"""`fuse`: a faster object that computes what a convolutional model computes."""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from torchskip.deploy.capture import Capture, Inputs
from torchskip.deploy.chain import fuse_passes
from torchskip.deploy.columns import norms_by_columns
from torchskip.deploy.grow import grow
from torchskip.deploy.model import FusedModel, Layout
from torchskip.deploy.narrow import narrow, trunk
from torchskip.deploy.pages import keep_pages
from torchskip.deploy.plan import lower, record
from torchskip.deploy.probe import Sight, look
from torchskip.deploy.program import Program, fold_constants, make_pure
from torchskip.deploy.proof import TOLERANCE, Check, prove
from torchskip.deploy.report import Report
from torchskip.deploy.reuse import overwrite, peak_bytes, samples_alone
from torchskip.errors import FuseError

__all__ = ["fuse"]

# A working set that the last-level cache of common CPUs holds; larger batches go in parts.
WORKING_SET = 24 * 2**20


@contextmanager
def _young_collections() -> Iterator[None]:
    """Let the garbage collector look at new objects only: all of torch is 0.1 s, every time."""
    before = gc.get_threshold()
    gc.set_threshold(*before[:2], 10**6)
    try:
        yield
    finally:
        gc.set_threshold(*before)


@_young_collections()
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
    keep_pages()
    given = Inputs.of(example)
    if not given.tensors:
        raise FuseError(
            "the example holds no tensor\n  mend: fuse(model, torch.rand(1, 3, 224, 224))"
        )
    target = dtype if dtype is not None else _floating(given, model)
    allowed = TOLERANCE.get(target, 1e-2) if tolerance is None else tolerance

    small = given.map(lambda t: t[:1]) if given.batch > 1 else given
    sight, program, before = _program(model, small, given, target)
    apart = sight.limits.batch_free and samples_alone(program)
    if not apart and small is not given:
        # Samples may depend on one another: one of them says nothing about the batch.
        small = given
        sight, program, before = _program(model, given, given, target)
        apart = sight.limits.batch_free and samples_alone(program)
    lower(program)
    narrower = None if dtype == torch.float32 else dtype
    for wide in (False, True) if narrower is not None else (True,):
        attempt = program if wide else program.copy()
        if narrower is not None:
            narrow(attempt, narrower, trunk(attempt) if wide else set())
        try:
            fused, checks, notes = _finish(attempt, sight, given, apart, allowed)
        except FuseError:
            if wide:
                raise
            continue
        break
    if narrower is not None and wide:
        notes = (f"computes branches in {narrower}, what every path goes through wider", *notes)
    plan = fused.plan
    after = sum(
        s.kind in ("call_function", "call_module") and s.target != "extent" for s in plan.steps
    )
    fused.report = Report(
        model=type(model).__name__,
        fused=tuple(e for e in program.events if e.done),
        kept=tuple(e for e in program.events if not e.done),
        checks=checks,
        tolerance=allowed,
        notes=(*sight.notes, *_notes(model), *notes),
        operators_before=before,
        operators_after=after,
        seconds=time.perf_counter() - start,
    )
    return fused


def _finish(
    program: Program, sight: Sight, given: Inputs, apart: bool, allowed: float
) -> tuple[FusedModel, tuple[Check, ...], tuple[str, ...]]:
    """Assign buffers, compile and prove."""
    norms_by_columns(program)
    overwrite(program)
    program.tidy()
    _, base, small = sight.captures[0]
    each = max(1, peak_bytes(program) // max(1, small.batch))
    samples = max(1, WORKING_SET // each) if apart else 0
    fused = FusedModel(
        record(program),
        replace(sight.limits, shapes=tuple(tuple(t.shape) for t in given.tensors)),
        tuple(Layout.of(t) for t in base.results),
        base.structure,
        samples,
        given.manner,
        allowed,
    )
    notes = fused.prepare(given.tensors)
    if apart:
        notes.insert(0, f"runs at most {samples} samples at once: their values stay in the cache")
    checks = []
    for name, seen, inputs in sight.captures:
        if seen is base and apart and given.batch > inputs.batch:
            # A sample kept apart is the same among others: in the part that runs at once.
            name, part = f"{name}'s first sample, among others", fused.parts(given.tensors)[0]
            checks.append(_prove(fused, name, seen, part, allowed, inputs.batch))
        else:
            checks.append(_prove(fused, name, seen, inputs.tensors, allowed))
    return fused, tuple(checks), tuple(notes)


def _program(
    model: nn.Module, given: Inputs, whole: Inputs, target: torch.dtype
) -> tuple[Sight, Program, int]:
    """Look at the model and fuse what is seen; also return how many operators there were."""
    sight = look(model, given, whole)
    base = sight.captures[0][1]
    program = Program(base.graph, dict(base.constants))
    before = sum(n.op == "call_function" for n in program.graph.nodes)
    fold_constants(program)
    make_pure(program)
    fuse_passes(program, exact_ones=target in (torch.float32, torch.float64))
    grow(program)
    return sight, program, before


def _prove(
    fused: FusedModel,
    name: str,
    seen: Capture,
    tensors: tuple[Tensor, ...],
    allowed: float,
    samples: int | None = None,
) -> Check:
    """Run on `tensors` and compare the first `samples`, or all that comes out."""
    try:
        results = fused.run(tensors)
    except FuseError:
        raise
    except Exception as error:
        raise FuseError(f"the fused model fails on {name}: {_short(error)}") from error
    if samples is not None:
        results = tuple(r[:samples] for r in results)
    return prove(name, tensors, results, seen.results, allowed)


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


def _notes(model: nn.Module) -> list[str]:
    hooked = sum(bool(m._forward_hooks or m._forward_pre_hooks) for m in model.modules())
    if not hooked:
        return []
    return [
        f"{hooked} modules have hooks: what they do to tensors is part of the fused model, "
        "anything else they do does not happen in it"
    ]


def _short(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"[:300]
