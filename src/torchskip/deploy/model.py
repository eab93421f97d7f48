"""`FusedModel`: what `fuse` returns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from torchskip.deploy.capture import Inputs
from torchskip.deploy.compiled import Compiled
from torchskip.deploy.pages import keep_pages
from torchskip.deploy.plan import Plan, executable
from torchskip.deploy.report import Report
from torchskip.errors import FuseError
from torchskip.trace.tree import rebuild

__all__ = ["FusedModel", "Layout", "Limits"]


@dataclass(frozen=True, slots=True)
class Layout:
    """Whether the original returned a contiguous or a channels-last tensor."""

    format: torch.memory_format | None

    @classmethod
    def of(cls, tensor: Tensor) -> Layout:
        """Read the layout of a result."""
        if tensor.is_contiguous():
            return cls(torch.contiguous_format)
        channels_last = tensor.dim() == 4 and tensor.is_contiguous(
            memory_format=torch.channels_last
        )
        return cls(torch.channels_last if channels_last else None)


@dataclass(frozen=True, slots=True)
class Limits:
    """Which inputs a fused model takes.

    `step` is 1 when height and width are free, 32 when they may differ from the example's by
    multiples of 32, 0 when they are fixed.
    """

    shapes: tuple[tuple[int, ...], ...]
    dtypes: tuple[torch.dtype, ...]
    batch_free: bool
    step: int

    def check(self, tensors: Sequence[Tensor]) -> None:
        """Raise `FuseError` for inputs that the proof does not cover."""
        if len(tensors) != len(self.shapes):
            raise FuseError(f"fused for {len(self.shapes)} input tensors, got {len(tensors)}")
        for tensor, shape, dtype in zip(tensors, self.shapes, self.dtypes, strict=True):
            if tensor.dtype != dtype:
                raise FuseError(
                    f"fused for {dtype} inputs, got {tensor.dtype}\n"
                    f"  mend: pass x.to({dtype}); fuse(..., dtype=...) chooses the inner type"
                )
            if not self._fits(tuple(tensor.shape), shape):
                raise FuseError(
                    f"fused for {shape}, got {tuple(tensor.shape)}\n  here {self.describe()}\n"
                    "  mend: fuse again with an example of this size"
                )
        if self.batch_free and len({t.shape[0] for t in tensors}) > 1:
            raise FuseError(f"inputs have different batch sizes: {[t.shape[0] for t in tensors]}")

    def _fits(self, shape: tuple[int, ...], known: tuple[int, ...]) -> bool:
        if len(shape) != len(known) or shape[1:2] != known[1:2]:
            return False
        if shape[:1] != known[:1] and not self.batch_free:
            return False
        pairs = zip(shape[2:], known[2:], strict=True)
        return all(a == b or (self.step > 0 and (a - b) % self.step == 0) for a, b in pairs)

    def describe(self) -> str:
        """Say in words what is free."""
        batch = "any batch size" if self.batch_free else "the example's batch size only"
        grid = {
            0: "the example's height and width only",
            1: "any height and width",
            32: "heights and widths that differ from the example's by multiples of 32",
        }[self.step]
        return f"takes {batch}, {grid}"


class FusedModel(nn.Module):
    """A model as one straight list of operations, for inference.

    Calls like the original's, without gradients. It holds no parameters: nothing can be
    trained, cast or moved; fuse the original again instead. Pickles and deep-copies.

    Attributes:
        report: what was fused, what was not and why, and the proof.
        code: the generated module; ``print(fused.code.code)`` shows what runs.

    """

    report: Report

    def __init__(
        self,
        plan: Plan,
        limits: Limits,
        layouts: tuple[Layout, ...],
        structure: Any,
        samples: int,
        manner: tuple[Any, ...],
        tolerance: float,
    ) -> None:
        super().__init__()
        self.manner = manner
        # Most models take one tensor: nothing then needs to be looked through at every call.
        self.lone = manner == Inputs.of(torch.empty(0)).manner
        self.plan, self.limits, self.layouts = plan, limits, layouts
        self.structure, self.samples = structure, samples
        self.code = executable(plan)
        self.compiled = Compiled(plan, self.code, tolerance)
        self.training = False

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Compute what the original computes."""
        if self.lone and not kwargs and len(args) == 1 and isinstance(args[0], Tensor):
            tensors: tuple[Tensor, ...] = args
        else:
            call = Inputs(args, kwargs)
            tensors, manner = call.tensors, call.manner
            if manner != self.manner:
                raise FuseError(
                    f"fused for other arguments: {_describe(self.manner)}, got {_describe(manner)}"
                    "\n  mend: call it as the example did, or fuse again with these arguments"
                )
        self.limits.check(tensors)
        results = self.run(tensors)
        if isinstance(self.structure, Tensor):
            return results[0]
        following = iter(results)
        return rebuild(self.structure, lambda _: next(following))

    def run(self, tensors: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Run on plain tensors, a large batch in parts, and return plain tensors."""
        with torch.no_grad():
            parts = [self.compiled(*part) for part in self.parts(tensors)]
            results = parts[0] if len(parts) == 1 else map(torch.cat, zip(*parts, strict=True))
            return tuple(
                r if layout.format is None else r.contiguous(memory_format=layout.format)
                for r, layout in zip(results, self.layouts, strict=True)
            )

    def prepare(self, tensors: Sequence[Tensor]) -> list[str]:
        """Compile for the sizes that `tensors` go through in; say what came of it."""
        kinds = {part[0].shape: part for part in self.parts(tensors)}
        return [self.compiled.prepare(part) for part in kinds.values()]

    def parts(self, tensors: Sequence[Tensor]) -> list[tuple[Tensor, ...]]:
        """Return the parts of a batch that run one after another."""
        batch = tensors[0].shape[0] if tensors[0].dim() else 0
        if not self.samples or batch <= self.samples:
            return [tuple(tensors)]
        count = -(-batch // self.samples)
        # Parts of one size need one compiled function: a few more of them do no harm.
        even = [n for n in range(count, 2 * count) if batch % n == 0]
        size = -(-batch // (even[0] if even else count))
        return list(zip(*(t.split(size) for t in tensors), strict=True))  # type: ignore[no-untyped-call]

    def train(self, mode: bool = True) -> FusedModel:
        """Stay in eval mode; raise `FuseError` for training mode."""
        if mode:
            raise FuseError(
                "a fused model cannot be trained\n  mend: train the original, fuse again"
            )
        return self

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> FusedModel:
        # .to(), .half(), .cuda() come here; moving to where it is already is allowed.
        before = next(iter(self.plan.constants.values()), torch.empty(0))
        after = fn(before)
        if after.dtype != before.dtype or after.device != before.device:
            raise FuseError(
                "a fused model cannot be cast or moved: its weights are packed for this type "
                "and device\n  mend: cast or move the original and fuse again"
            )
        return self

    def __getstate__(self) -> dict[str, Any]:
        state = dict(self.__dict__)
        state["_modules"] = {}
        state["compiled"] = self.compiled.tolerance, self.compiled.met
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)  # type: ignore[no-untyped-call]
        keep_pages()
        self.code = executable(self.plan)
        self.compiled = Compiled(self.plan, self.code, *state["compiled"])

    def __repr__(self) -> str:
        return f"FusedModel of {self.report}" if "report" in self.__dict__ else "FusedModel"


def _describe(manner: tuple[Any, ...]) -> str:
    arguments, keywords = manner[1]
    words = [str(a) for a in arguments] + [f"{k}={v}" for k, v in keywords.items()]
    return f"({', '.join(words)})"
