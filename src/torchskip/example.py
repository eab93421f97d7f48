"""An example input for a model whose user gave none, and the reason it was chosen."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from pathlib import Path

import torch
from torch import Tensor, nn

from torchskip.errors import SpecError
from torchskip.trace import trace

__all__ = ["Example", "infer_example", "parse_shapes", "sniff_example"]


@dataclass(frozen=True, slots=True, eq=False)
class Example:
    """Input tensors and where their shapes come from, in words."""

    tensors: tuple[Tensor, ...]
    reason: str

    @property
    def shapes(self) -> str:
        """The shapes as a user writes them: ``1,3,224,224``, several separated by a space."""
        return " ".join(",".join(map(str, t.shape)) for t in self.tensors)


def parse_shapes(text: str) -> Example:
    """Make random inputs from ``1,3,32,32`` (several inputs: separate with spaces or ``;``).

    >>> [tuple(t.shape) for t in parse_shapes("1,3,32,32 1,10").tensors]
    [(1, 3, 32, 32), (1, 10)]
    """
    shapes = []
    for word in text.replace(";", " ").split():
        try:
            shape = tuple(int(part) for part in word.strip("(),[]").split(",") if part.strip())
        except ValueError:
            shape = ()
        if not shape or min(shape) < 1:
            raise SpecError(f"{word!r} is no shape; mend: --input 1,3,32,32")
        shapes.append(shape)
    if not shapes:
        raise SpecError("--input is empty; mend: --input 1,3,32,32")
    return Example(tuple(torch.rand(s) for s in shapes), "given")


def infer_example(model: nn.Module, file: Path | None = None) -> Example:
    """Choose an example input for a model; raise `SpecError` when nothing says its shape.

    In this order: a tensor that the model's own `file` makes with literal sizes
    (``torch.rand(1, 3, 32, 32)``) and whose channels fit; the size that timm records for the
    model; the first layer with weights, in the order of construction: its channels, and 32
    pixels for networks that shrink their input at most eightfold, else 224, or the next size
    that the model runs with. Where another layer refuses that input, that layer is asked next:
    the first one constructed need not be the first one called.

    >>> infer_example(nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU())).shapes
    '1,3,32,32'
    """
    layers: dict[str, nn.Module] = {n: m for n, m in model.named_modules() if isinstance(m, _KNOWN)}
    first = next(iter(layers), None)
    layer = None if first is None else layers[first]
    if file is not None:
        for shape, line in sniff_example(file):
            if layer is None or _fits(layer, shape):
                return _running(model, layer, [shape], f"from {file.name} line {line}")[0]
    recorded = getattr(model, "pretrained_cfg", None) or getattr(model, "default_cfg", None)
    size = recorded.get("input_size") if isinstance(recorded, dict) else None
    if isinstance(size, (tuple, list)) and all(isinstance(n, int) for n in size):
        return _running(model, layer, [(1, *size)], "the size recorded with the model")[0]
    if first is None:
        raise SpecError(
            f"{type(model).__name__} has no layer that tells its input's shape; "
            "mend: --input 1,3,224,224 (or pass an example tensor)"
        )
    return _from_layers(model, layers, first)


def _from_layers(model: nn.Module, layers: dict[str, nn.Module], first: str) -> Example:
    """Ask the layer named first; then, as long as one refuses, the one that refused."""
    name: str | None = first
    examples: list[Example] = []
    asked: list[str] = []
    while name is not None:
        layer = layers.pop(name)
        asked.append(f"{name or 'the model'} ({type(layer).__name__})")
        if examples:
            several = _several(model, examples[0], layer, f"inferred from {' and '.join(asked)}")
            if several is not None:
                return several
        shapes = _shapes_for(layer, model)
        example, refused_by = _running(model, layer, shapes, f"inferred from {asked[-1]}")
        if refused_by is None:
            return example
        examples.append(example)
        name = refused_by if refused_by in layers else None
    return examples[0]


def _several(model: nn.Module, known: Example, layer: nn.Module, reason: str) -> Example | None:
    """Keep the first of several inputs, and give the others a shape for the layer that refused."""
    others = len(known.tensors) - 1
    if others == 0:
        return None
    tensors = [_tensor(model, layer, shape) for shape in _shapes_for(layer, model)]
    found = (Example((known.tensors[0], *(t,) * others), reason) for t in tensors)
    return next((e for e in found if trace(model, *e.tensors, device="meta").failure is None), None)


def sniff_example(file: Path) -> Iterator[tuple[tuple[int, ...], int]]:
    """Yield (shape, line) of the literal ``torch.rand/randn/ones/zeros/empty`` calls of a file."""
    try:
        tree = ast.parse(file.read_text(encoding="utf-8"))
    except (OSError, SyntaxError, ValueError):
        return
    calls = [n for n in ast.walk(tree) if isinstance(n, ast.Call)]
    for call in sorted(calls, key=lambda n: n.lineno):
        name = call.func.attr if isinstance(call.func, ast.Attribute) else ""
        if name not in {"rand", "randn", "ones", "zeros", "empty"}:
            continue
        if any(keyword.arg == "dtype" for keyword in call.keywords):
            continue
        arguments = call.args
        if len(arguments) == 1 and isinstance(arguments[0], (ast.Tuple, ast.List)):
            arguments = arguments[0].elts
        sizes = [a.value for a in arguments if isinstance(a, ast.Constant)]
        if len(sizes) == len(arguments) >= 2 and all(type(s) is int and s > 0 for s in sizes):
            yield tuple(s for s in sizes if isinstance(s, int)), call.lineno


def _running(
    model: nn.Module, layer: nn.Module | None, shapes: list[tuple[int, ...]], reason: str
) -> tuple[Example, str | None]:
    """The first of the shapes that the model runs with.

    If it runs with none, the first of them, and the module that refused that one.
    """
    examples = [
        Example(tensors, reason)
        for shape in shapes
        for tensors in _for_each_argument(model, _tensor(model, layer, shape))
    ]
    refused_by = None
    for example in examples if len(examples) > 1 else ():
        failure = trace(model, *example.tensors, device="meta").failure
        if failure is None:
            return example, None
        refused_by = failure.module if refused_by is None else refused_by
    return examples[0], refused_by


def _tensor(model: nn.Module, layer: nn.Module | None, shape: tuple[int, ...]) -> Tensor:
    if isinstance(layer, nn.Embedding):
        return torch.zeros(shape, dtype=torch.long)
    first = next((p for p in model.parameters() if p.is_floating_point()), None)
    return torch.rand(shape).to(torch.float32 if first is None else first.dtype)


_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
_KNOWN = (*_CONVOLUTIONS, *_TRANSPOSED, *_NORMS, nn.Linear, nn.Embedding, nn.GroupNorm)


def _rank(layer: nn.Module) -> int:
    """Spatial axes of a layer's input."""
    for rank in (1, 2, 3):
        if isinstance(layer, (_CONVOLUTIONS[rank - 1], _TRANSPOSED[rank - 1], _NORMS[rank - 1])):
            return rank
    return 2 if isinstance(layer, nn.GroupNorm) else 0


def _channels(layer: nn.Module) -> int:
    for attribute in ("in_channels", "num_features", "in_features", "num_channels"):
        channels = getattr(layer, attribute, 0)
        if isinstance(channels, int) and channels > 0:
            return channels
    return 3


def _fits(layer: nn.Module, shape: tuple[int, ...]) -> bool:
    if isinstance(layer, nn.Linear):
        return shape[-1] == layer.in_features or len(shape) == 4
    return len(shape) == _rank(layer) + 2 and shape[1] == _channels(layer)


def _shapes_for(layer: nn.Module, model: nn.Module) -> list[tuple[int, ...]]:
    """Shapes to try, the likeliest first."""
    rank, channels = _rank(layer), _channels(layer)
    if isinstance(layer, nn.Embedding):
        return [(1, 16)]
    if rank == 0:
        vectors = [(1, channels), (1, 16, channels), (1, 32, 32, channels)]
        return [*vectors, (1, channels, 1, 1), (1, 3, 32, 32)]
    shrink = prod(max(_strides(m), default=1) for m in model.modules())
    # Three-dimensional maps of 224 pixels would be gigabytes in a real forward pass.
    usual = {1: (128, 1024), 2: (32, 224), 3: (32, 64)}[rank]
    sizes = [*(usual if shrink <= 8 else usual[::-1]), 28, 64, 96, 128, 256, 299]
    return [(1, channels, *(size,) * rank) for size in dict.fromkeys(sizes)]


def _for_each_argument(model: nn.Module, tensor: Tensor) -> list[tuple[Tensor, ...]]:
    """Inputs for every argument that forward needs: alike, or numbers such as a time step."""
    try:
        arguments = inspect.signature(model.forward).parameters.values()
    except (TypeError, ValueError):
        return [(tensor,)]
    needed = [a for a in arguments if a.default is a.empty and a.kind is a.POSITIONAL_OR_KEYWORD]
    if len(needed) < 2:
        return [(tensor,)]
    more, steps = len(needed) - 1, torch.ones(tensor.shape[0])
    return [(tensor,) * len(needed), (tensor, *(steps,) * more), (tensor, *(steps.long(),) * more)]


def _strides(module: nn.Module) -> tuple[int, ...]:
    if isinstance(module, _TRANSPOSED):
        return ()
    stride = getattr(module, "stride", ())
    stride = (stride,) if isinstance(stride, int) else stride
    if isinstance(stride, tuple) and all(isinstance(s, int) and s > 0 for s in stride):
        return stride
    return ()
