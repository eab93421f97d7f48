"""A small forward and backward with numbers: what comes back to each parameter."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import torch
from torch import Tensor, nn

from torchskip.lint.facts import Gradient, Real
from torchskip.lint.probes.gradients import gradients
from torchskip.lint.probes.inputs import random_like
from torchskip.lint.probes.outplace import OutOfPlace
from torchskip.trace.locate import failing_spot, source
from torchskip.trace.restore import Snapshot, random_state
from torchskip.trace.tree import leaves, rebuild

__all__ = [
    "RAISED",
    "Arguments",
    "borrowed",
    "carrying",
    "difference",
    "has_numbers",
    "influence",
    "projection",
    "reaches_input",
    "real",
    "unstable",
]

Arguments = tuple[object, ...]
RAISED = (Exception, SystemExit)  # a script's forward may end the process


@contextmanager
def borrowed(model: nn.Module, training: bool) -> Iterator[dict[str, nn.Parameter]]:
    """The model on copies of its parameters and buffers, on the CPU, then as it was."""
    with random_state(), warnings.catch_warnings(), _eager():
        warnings.simplefilter("ignore")
        snapshot = Snapshot(model.modules())
        try:
            model.train(training)
            copies: dict[int, Tensor] = {}  # tied tensors stay tied
            snapshot.swap(
                lambda p: copies.setdefault(
                    id(p), nn.Parameter(_copy(p), requires_grad=p.requires_grad)
                ),
                lambda b: copies.setdefault(id(b), _copy(b)),
            )
            torch.manual_seed(0)
            yield dict(model.named_parameters())
        finally:
            snapshot.restore()


def has_numbers(model: nn.Module) -> bool:
    """Whether the model can run on copies: not on meta, and not TorchScript, kept in C++."""
    return not any(p.is_meta for p in model.parameters()) and not any(
        isinstance(m, torch.jit.ScriptModule) for m in model.modules()
    )


@contextmanager
def _eager() -> Iterator[None]:
    """Compiled modules run as they were written: hooks would compile them again and again."""
    if "torch._dynamo" not in sys.modules:
        yield
        return
    with torch.compiler.set_stance("force_eager"):
        yield


def _copy(tensor: Tensor) -> Tensor:
    """A copy on the CPU: made where something is written to either, if the memory allows."""
    if tensor.device.type == "cpu":
        with suppress(RuntimeError, AttributeError):  # memory of NumPy's, shared, on disk
            return tensor.detach()._lazy_clone()
    return tensor.detach().to("cpu", copy=True)


def real(
    model: nn.Module,
    example: Arguments,
    kwargs: dict[str, Any],
    measured: frozenset[str] = frozenset(),
) -> Real | None:
    """Run forward and backward on small random inputs; None for a model without numbers.

    `measured` are the modules whose outputs' standard deviations to note.
    """
    if not has_numbers(model):
        return None
    given = random_like(example)
    scales: list[tuple[str, float]] = []
    with borrowed(model, training=True) as parameters, torch.enable_grad():
        for path, module in model.named_modules():
            if path in measured:
                module.register_forward_hook(_scale(path, scales))
        try:
            result = model(*given, **kwargs)
        except RAISED as error:
            return Real({}, forward=_words(error), scales=tuple(scales))
        outputs = [t for _, t in leaves(result) if t.is_floating_point() and t.requires_grad]
        if not outputs:
            return Real(_none(parameters), scales=tuple(scales), nothing=result is None)
        wanted = {n: p for n, p in parameters.items() if p.requires_grad}
        try:
            found = gradients(projection(outputs), list(wanted.values()))
        except RAISED as error:
            place = source(failing_spot(error.__traceback__))
            return Real({}, "", _words(error), tuple(scales), place)
        kinds = _none(parameters)
        for name, gradient in zip(wanted, found, strict=True):
            kinds[name] = _kind(gradient)
        return Real(kinds, scales=tuple(scales))


def projection(outputs: list[Tensor]) -> Tensor:
    """One number that depends on every number of the outputs, at random."""
    generator = torch.Generator().manual_seed(1)
    parts = [(t.float() * torch.randn(t.shape, generator=generator)).sum() for t in outputs]
    return torch.stack(parts).sum()


def reaches_input(model: nn.Module, example: Arguments, kwargs: dict[str, Any]) -> bool:
    """Whether a gradient other than zero comes back from the outputs to an input."""
    if not has_numbers(model):
        return False
    given = random_like(example)
    starts = [t.requires_grad_() for _, t in leaves(given) if t.is_floating_point()]
    with borrowed(model, training=True), torch.enable_grad():
        try:
            steps = [rebuild(item, lambda t: t * 1 if t.requires_grad else t) for item in given]
            result = model(*steps, **kwargs)
            outputs = [t for _, t in leaves(result) if t.is_floating_point() and t.requires_grad]
            found = gradients(projection(outputs), starts)
        except RAISED:  # a model that does not run for real, or gives nothing to derive
            return False
    return any(gradient is not None and bool(gradient.any()) for gradient in found)


def _scale(path: str, scales: list[tuple[str, float]]) -> Any:
    done = False

    def hook(module: nn.Module, inputs: Any, output: Any) -> None:
        nonlocal done
        if not done and isinstance(output, Tensor) and output.is_floating_point():
            done = True
            if output.numel() > 1:
                scales.append((path, float(output.detach().float().std())))

    return hook


def _none(parameters: dict[str, nn.Parameter]) -> dict[str, Gradient]:
    return {n: "missing" if p.requires_grad else "frozen" for n, p in parameters.items()}


def _kind(gradient: Tensor | None) -> Gradient:
    if gradient is None:
        return "missing"
    numbers = gradient.coalesce().values() if gradient.is_sparse else gradient
    total = numbers.sum()  # finite only if every number is
    if total.isfinite() and total.bool():
        return "flows"
    if not numbers.isfinite().all():
        return "nonfinite"
    return "flows" if numbers.any() else "zero"


def _words(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".rstrip(": ").partition("\n")[0]


def _outputs(
    model: nn.Module, given: Arguments, kwargs: dict[str, Any], seed: int = 0
) -> list[Tensor]:
    torch.manual_seed(seed)
    found = [t for _, t in leaves(model(*given, **kwargs))]
    return [t.detach().double() for t in found if t.is_floating_point()]


def carrying(given: Arguments) -> Arguments:
    """Fresh copies that carry a gradient: the model under suspicion may write to its input."""
    return tuple(
        rebuild(item, lambda t: t.clone().requires_grad_() * 1 if t.is_floating_point() else t)
        for item in given
    )


def influence(
    model: nn.Module, example: Arguments, kwargs: dict[str, Any], names: tuple[str, ...]
) -> bool:
    """Whether a change of the parameters moves an output of an evaluation pass."""
    if not has_numbers(model):
        return False
    given = random_like(example)
    with borrowed(model, training=False) as parameters:
        try:
            before = _outputs(model, given, kwargs)
            with torch.no_grad():
                for name in names:
                    parameters[name].add_(torch.randn_like(parameters[name]))
            after = _outputs(model, given, kwargs)
        except RAISED:  # a model that does not run for real moves nothing
            return False
    return any(not torch.equal(a, b) for a, b in zip(before, after, strict=True))


def difference(
    model: nn.Module,
    example: Arguments,
    kwargs: dict[str, Any],
    guarded: tuple[nn.Module, ...] = (),
) -> float | None:
    """How far the outputs of an evaluation pass move when nothing is done in place.

    `guarded` modules get copies of their inputs.
    """
    if not has_numbers(model):
        return None
    given = random_like(example)
    with borrowed(model, training=False):
        try:
            before = _outputs(model, carrying(given), kwargs)
            with OutOfPlace(guarded):
                after = _outputs(model, carrying(given), kwargs)
        except RAISED:
            return None
    return max(
        (float((a - b).abs().max()) for a, b in zip(before, after, strict=True) if a.numel()),
        default=0.0,
    )


def unstable(model: nn.Module, example: Arguments, kwargs: dict[str, Any]) -> bool:
    """Whether two evaluation passes on one input, with two random seeds, differ."""
    if not has_numbers(model):
        return False
    given = random_like(example)
    with borrowed(model, training=False):
        try:
            runs = [_outputs(model, carrying(given), kwargs, seed) for seed in (0, 1)]
        except RAISED:
            return False
    return any(not torch.equal(a, b) for a, b in zip(*runs, strict=True))
