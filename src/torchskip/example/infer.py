"""The search for an input that a model takes, in the order of what is known."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from dataclasses import replace

from torch import Tensor, nn

from torchskip.errors import SpecError
from torchskip.example.given import Example
from torchskip.example.layers import KNOWN, fits, shapes_for, tensor_for
from torchskip.example.tries import Try, UnknownInput, own_fault, tried

__all__ = ["infer_example"]


def infer_example(
    model: nn.Module, meant: Sequence[Example] = (), seen: Sequence[Example] = ()
) -> Example:
    """Choose an example input for a model; raise `SpecError` where no layer tells of one.

    In this order, the first that the model runs with: what its file calls this very model with
    (`meant`); other tensors that its file makes (`seen`); the size that timm records for it; the
    first layer with weights, in the order of construction: its channels, and 32 pixels for
    networks that shrink their input at most eightfold, else 224, or the next usual size. Where
    another layer refuses that input, that layer is asked next: the first one constructed need
    not be the first one called.

    Where it runs with none, what is `meant` or recorded counts as right, and so does an inferred
    input where all sizes end at one place for the same channels: there the model is wrong.
    Otherwise only the guess is known to be wrong: `UnknownInput`.

    >>> infer_example(nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU())).shapes
    '1,3,32,32'
    """
    return _found(model, meant, seen).filled()


def _found(model: nn.Module, meant: Sequence[Example], seen: Sequence[Example]) -> Example:
    """The example, perhaps without data: most that are tried are of no use."""
    meant = [_typed(model, example) for example in (*meant, *_recorded(model))]
    layers: dict[str, nn.Module] = {n: m for n, m in model.named_modules() if isinstance(m, KNOWN)}
    first = next(iter(layers), None)
    for example in meant:
        if len(meant) == 1 or tried(model, example).runs:
            return example
    if meant:
        return meant[0]
    for example in _fitting(model, seen, None if first is None else layers[first]):
        if tried(model, example).runs:
            return example
    if first is None:
        raise SpecError(
            f"{type(model).__name__} has no layer that tells its input's shape; "
            "mend: --input 1,3,224,224 (or pass an example tensor)"
        )
    return _from_layers(model, layers, first)


def _from_layers(model: nn.Module, layers: dict[str, nn.Module], first: str) -> Example:
    """Ask the layer named first; then, as long as one refuses, the one that refused."""
    name: str | None = first
    tries: list[Try] = []
    wrong: Try | None = None
    asked: list[str] = []
    while name is not None:
        layer = layers.pop(name)
        asked.append(f"{name or 'the model'} ({type(layer).__name__})")
        if tries:
            several = _several(model, tries[0], layer, f"inferred from {' and '.join(asked)}")
            if several is not None:
                return several
        group = list(_tries(model, layer, f"inferred from {asked[-1]}"))
        if group[-1].runs:
            return group[-1].example
        tries += group
        wrong = wrong or own_fault(group)
        name = group[0].refused_by if group[0].refused_by in layers else None
    if wrong is None:
        raise UnknownInput(tries)
    return wrong.example


def _tries(model: nn.Module, layer: nn.Module, reason: str) -> Iterator[Try]:
    """Try a layer's shapes until the model runs."""
    for shape in shapes_for(layer, model):
        for tensors in _for_each_argument(model, tensor_for(model, layer, shape)):
            one = tried(model, Example(tensors, reason))
            yield one
            if one.runs:
                return


def _several(model: nn.Module, known: Try, layer: nn.Module, reason: str) -> Example | None:
    """Keep the first of several inputs, and give the others a shape for the layer that refused."""
    tensors = known.example.tensors
    for shape in shapes_for(layer, model) if len(tensors) > 1 else ():
        other = tensor_for(model, layer, shape)
        example = Example((tensors[0], *(other,) * (len(tensors) - 1)), reason)
        if tried(model, example).runs:
            return example
    return None


def _recorded(model: nn.Module) -> Iterator[Example]:
    """The size that timm records with a model."""
    recorded = getattr(model, "pretrained_cfg", None) or getattr(model, "default_cfg", None)
    size = recorded.get("input_size") if isinstance(recorded, dict) else None
    if isinstance(size, (tuple, list)) and all(isinstance(n, int) for n in size):
        tensor = tensor_for(model, None, (1, *size))
        for tensors in _for_each_argument(model, tensor):
            yield Example(tensors, "the size recorded with the model")


def _fitting(model: nn.Module, seen: Sequence[Example], layer: nn.Module | None) -> list[Example]:
    """Inputs that were made for some model of the file, as they would be given to this one."""
    fitting = [e for e in seen if layer is None or fits(layer, tuple(e.tensors[0].shape))]
    return [
        replace(_typed(model, example), tensors=tensors)
        for example in fitting
        for tensors in (
            _for_each_argument(model, example.tensors[0])
            if len(example.tensors) == 1
            else [example.tensors]
        )
    ]


def _typed(model: nn.Module, example: Example) -> Example:
    """The example with the model's own type of numbers."""
    first = next((p for p in model.parameters() if p.is_floating_point()), None)
    if first is None:
        return example
    cast = tuple(t.to(first.dtype) if t.is_floating_point() else t for t in example.tensors)
    return replace(example, tensors=cast)


def _for_each_argument(model: nn.Module, tensor: Tensor) -> list[tuple[Tensor, ...]]:
    """Inputs for every argument that forward needs: alike, or numbers such as a time step."""
    try:
        arguments = inspect.signature(model.forward).parameters.values()
    except (TypeError, ValueError):
        return [(tensor,)]
    needed = [a for a in arguments if a.default is a.empty and a.kind is a.POSITIONAL_OR_KEYWORD]
    if len(needed) < 2:
        return [(tensor,)]
    more = len(needed) - 1
    steps = tensor.new_ones(tensor.shape[0]).float()
    return [(tensor,) * len(needed), (tensor, *(steps,) * more), (tensor, *(steps.long(),) * more)]
