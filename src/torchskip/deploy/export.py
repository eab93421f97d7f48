"""`export`: a model in a file for another runtime, compared with the original first."""

from __future__ import annotations

import contextlib
import logging
import math
import os
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from torchskip.deploy.capture import Inputs
from torchskip.deploy.patience import OutOfPatience, at_most
from torchskip.deploy.probe import other_size
from torchskip.deploy.proof import Check, largest_difference
from torchskip.deploy.runners import Runner, onnx_runner, openvino_runner
from torchskip.errors import ExportError
from torchskip.trace.restore import random_state
from torchskip.trace.tree import leaves

__all__ = ["Exported", "Target", "export", "write_onnx"]

Target = Literal["onnx", "export", "openvino-ready"]

_TOLERANCE = 1e-4
_PATIENCE = 120.0
_AXES = {
    "batch, height and width": lambda rank: (0, *range(2, rank)),
    "batch": lambda rank: (0,),
    "nothing": lambda rank: (),
}


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written: where, which axes are dynamic, the opset, and the comparison.

    `refused` says why fewer axes than batch, height and width are dynamic.
    """

    path: str
    target: Target
    dynamic: str
    opset: int | None
    runtime: str
    checks: tuple[Check, ...]
    refused: tuple[str, ...] = ()

    def record(self) -> dict[str, Any]:
        """Return it as plain data for JSON."""
        return asdict(self)

    def __str__(self) -> str:
        opset = "" if self.opset is None else f", opset {self.opset}"
        worst = max(c.difference for c in self.checks)
        shapes = ", ".join(" ".join(map(str, c.shapes)) for c in self.checks)
        lines = [
            f"{self.path}: {self.target}{opset}, dynamic: {self.dynamic}",
            f"  {self.runtime} differs by at most {worst:.1e} of the largest output on {shapes}",
        ]
        return "\n".join([*lines, *(f"  not dynamic: {reason}" for reason in self.refused)])


def export(
    model: nn.Module,
    example: Any,
    path: str | os.PathLike[str],
    *,
    to: Target = "onnx",
    tolerance: float = _TOLERANCE,
    patience: float = _PATIENCE,
) -> Exported:
    """Write `model` to `path` for another runtime, if that runtime computes the same.

    Args:
        model: a module in eval mode.
        example: an input tensor, a tuple of positional arguments, or a dictionary of keywords.
        path: the file; it appears, or is replaced, only after the comparison.
        to: ``"onnx"``, by PyTorch's exporter, run in ONNX Runtime; ``"openvino-ready"``, the
            same, run in OpenVINO too where that is installed; ``"export"``, a
            ``torch.export`` archive, loaded again and run.
        tolerance: the largest difference allowed, relative to the largest output.
        patience: seconds for each choice of dynamic axes; what the sizes of a model's reshapes
            have to obey can take PyTorch's exporter hours to derive.

    The batch axis, height and width are dynamic where the model allows it: the widest choice
    that exports and agrees at other sizes is taken, and the reasons against wider ones kept.

    Raises:
        ExportError: when the model cannot be exported or the file computes something else.

    """
    if to not in ("onnx", "export", "openvino-ready"):
        raise ExportError(f"to={to!r} is unknown\n  mend: onnx, export or openvino-ready")
    if model.training:
        raise ExportError("the model is in training mode\n  mend: model.eval() before export")
    inputs, destination = Inputs.of(example), Path(path)
    if not inputs.tensors:
        raise ExportError(
            "the example holds no tensor\n  mend: pass one, as torch.rand(1, 3, 224, 224)"
        )
    if not destination.parent.is_dir():
        raise ExportError(f"there is no directory {str(destination.parent)!r}")
    refused: list[str] = []
    for dynamic, axes in _AXES.items():
        with tempfile.TemporaryDirectory(dir=destination.parent, prefix=".export-") as folder:
            # PyTorch's loader wants its suffix; weights beyond 2 GB lie in a file beside, by name.
            pt2 = to == "export" and destination.suffix != ".pt2"
            draft = Path(folder) / f"{destination.name}{'.pt2' if pt2 else ''}"
            try:
                with at_most(math.inf if dynamic == "nothing" else patience):
                    opset = _write(model, inputs, draft, to, axes)
                checks, runtime = _compare(model, inputs, draft, to, dynamic, tolerance)
            except OutOfPatience:
                refused.append(f"{dynamic}: not exported within {patience:g} s")
                continue
            except ExportError as reason:
                if dynamic == "nothing":
                    raise
                refused.append(f"{dynamic}: {str(reason).splitlines()[0]}")
                continue
            for weights in {*Path(folder).iterdir()} - {draft}:
                os.replace(weights, destination.parent / weights.name)
            os.replace(draft, destination)
        return Exported(str(destination), to, dynamic, opset, runtime, checks, tuple(refused))
    raise AssertionError("the loop returns or raises")


def _write(
    model: nn.Module,
    inputs: Inputs,
    draft: Path,
    to: Target,
    axes: Callable[[int], tuple[int, ...]],
) -> int | None:
    def spec(value: Any) -> Any:
        if isinstance(value, Tensor):
            return dict.fromkeys(axes(value.dim()), torch.export.Dim.DYNAMIC)
        if isinstance(value, (list, tuple)):
            return type(value)(spec(v) for v in value)
        if isinstance(value, dict):
            return {k: spec(v) for k, v in value.items()}
        return None

    # A size of 1 would be taken for a constant: the exporter sees two samples.
    several = inputs
    if 0 in axes(1) and all(t.dim() and t.shape[0] == 1 for t in inputs.tensors):
        several = other_size(inputs, batch=2)
    shapes = {
        **_named(model, several.arguments, spec),
        **{k: spec(v) for k, v in several.keywords.items()},
    }
    try:
        with _quiet(), random_state(), torch.no_grad():
            program = torch.export.export(
                model, several.arguments, several.keywords, dynamic_shapes=shapes, strict=False
            )
            if to == "export":
                torch.export.save(program, draft)
                return None
            onnx_program = torch.onnx.export(program, dynamo=True, verbose=False)
            assert onnx_program is not None  # noqa: S101 - with dynamo it returns one
            onnx_program.save(draft)
            return int(onnx_program.model.opset_imports[""])
    except ImportError as error:
        raise ExportError(
            f"exporting to ONNX needs {error.name}\n  mend: pip install 'torchskip[export]'"
        ) from error
    except Exception as error:
        raise ExportError(f"{type(error).__name__}: {_first_line(error)}") from error


def write_onnx(model: nn.Module, inputs: Inputs, path: Path) -> None:
    """Write `model` as ONNX for any batch size, or for that of `inputs`; nothing is compared."""
    for dynamic in ("batch", "nothing"):
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".export-") as folder:
            draft = Path(folder) / path.name
            try:
                _write(model, inputs, draft, "onnx", _AXES[dynamic])
            except ExportError:
                if dynamic == "nothing":
                    raise
                continue
            os.replace(draft, path)
            return


def _named(
    model: nn.Module, arguments: tuple[Any, ...], spec: Callable[[Any], Any]
) -> dict[str, Any]:
    import inspect

    names = list(inspect.signature(model.forward).parameters.values())
    found: dict[str, Any] = {}
    for position, value in enumerate(arguments):
        parameter = names[min(position, len(names) - 1)]
        if parameter.kind is inspect.Parameter.VAR_POSITIONAL:
            found[parameter.name] = (*found.get(parameter.name, ()), spec(value))
        else:
            found[parameter.name] = spec(value)
    return found


def _compare(
    model: nn.Module, inputs: Inputs, draft: Path, to: Target, dynamic: str, tolerance: float
) -> tuple[tuple[Check, ...], str]:
    runners = _runners(draft, to, inputs)
    tries = {"the given input": inputs}
    if dynamic != "nothing":
        batch = inputs.tensors[0].shape[0]
        tries["another batch size"] = other_size(inputs, batch=3 if batch != 3 else 5)
    if "height" in dynamic and any(t.dim() > 2 for t in inputs.tensors):
        tries["another height and width"] = other_size(inputs, steps=(32, 64, 96))
    checks = []
    for name, attempt in tries.items():
        shapes = tuple(tuple(t.shape) for t in attempt.tensors)
        try:
            with torch.no_grad(), random_state():
                result = model(*attempt.arguments, **attempt.keywords)
        except Exception as error:
            raise ExportError(
                f"the model itself fails at {shapes}: {_first_line(error)}"
            ) from error
        truths = [t for _, t in leaves(result)]
        for runtime, run in runners.items():
            try:
                results = run(attempt.tensors)
            except Exception as error:
                raise ExportError(f"{runtime} fails at {shapes}: {_first_line(error)}") from error
            if len(results) != len(truths):
                raise ExportError(f"{runtime} returns {len(results)} tensors, not {len(truths)}")
            difference = max(map(largest_difference, results, truths), default=0.0)
            if not difference <= tolerance:
                raise ExportError(
                    f"{runtime} differs from the model by {difference:.1e} of the largest output "
                    f"at {shapes}, more than {tolerance:.0e}; nothing was written"
                )
            checks.append(Check(f"{name} in {runtime}", shapes, difference))
    return tuple(checks), " and ".join(runners)


def _runners(draft: Path, to: Target, inputs: Inputs) -> dict[str, Runner]:
    if to == "export":
        module = torch.export.load(draft).module()

        def again(tensors: Sequence[Tensor]) -> list[Tensor]:
            feed = iter(tensors)
            call = inputs.map(lambda _: next(feed))
            with torch.no_grad():
                return [t for _, t in leaves(module(*call.arguments, **call.keywords))]

        return {"torch.export": again}
    runners = {"ONNX Runtime": onnx_runner(draft)}
    if to == "openvino-ready":
        with contextlib.suppress(ImportError):
            runners["OpenVINO"] = openvino_runner(draft)
    return runners


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "torch.export", "onnxscript")]
    before = [(logger, logger.level) for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in before:
            logger.setLevel(level)


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:300] if lines else type(error).__name__
