"""`Reversible`: two branches whose inputs are computed back from their outputs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from torchskip.errors import ArgumentError, MergeShapeError
from torchskip.nn.recompute import untouched_buffers

__all__ = ["Reversible"]


class Reversible(nn.Module):
    """A reversible pair: ``y1 = x1 + f(x2)``, ``y2 = x2 + g(y1)``, on the halves of the channels.

    Gomez, Ren, Urtasun & Grosse 2017, *The Reversible Residual Network: Backpropagation Without
    Storing Activations*, eq. 6; its inverse, eq. 7, is :meth:`inverse`. In training a chain of
    these keeps one output however long it is: backward computes each input back from the
    output, runs `f` and `g` once more (same random numbers, buffers updated once), and
    differentiates them.

    Shapes:
        ``(N, C, ...) -> (N, C, ...)`` with an even ``C``; `f` and `g` map
        ``(N, C/2, ...)`` to itself.

    Args:
        f: the branch of the second half.
        g: the branch of the first result.

    Raises:
        ArgumentError: for an odd number of channels.
        MergeShapeError: when a branch changes its input's shape.

    The inverse is exact up to rounding, which grows with the depth and with how strongly `f`
    and `g` amplify. Second derivatives are not available through it. Compiled and exported
    models run the plain equations: the compiler decides there what is kept.

    >>> def branch():
    ...     return nn.Sequential(nn.Conv2d(8, 8, 3, padding=1), nn.ReLU())
    >>> block = Reversible(branch(), branch())
    >>> x = torch.rand(1, 16, 9, 9)
    >>> y = block(x)
    >>> y.shape, torch.allclose(block.inverse(y), x, atol=1e-5)
    (torch.Size([1, 16, 9, 9]), True)

    """

    def __init__(self, f: nn.Module, g: nn.Module) -> None:
        super().__init__()
        for name, branch in (("f", f), ("g", g)):
            if not isinstance(branch, nn.Module):
                raise ArgumentError(f"{name} is a {type(branch).__name__}, not an nn.Module")
        self.f, self.g = f, g

    def forward(self, x: Tensor) -> Tensor:
        """Return ``y``, remembering the last output of a chain alone."""
        if x.dim() < 2 or x.shape[1] % 2:
            raise ArgumentError(
                f"Reversible halves the channels, and its input is {tuple(x.shape)}\n"
                "  mend: give an even number of channels on axis 1"
            )
        parameters = [p for p in self.parameters() if p.requires_grad]
        differentiable = torch.is_grad_enabled() and (x.requires_grad or len(parameters) > 0)
        if not differentiable or torch.compiler.is_compiling():
            return self.plain(x)
        y: Tensor = _Function.apply(x, self, *parameters)  # type: ignore[no-untyped-call]
        return y

    def plain(self, x: Tensor) -> Tensor:
        """Return ``y`` by the equations alone; autograd then keeps every activation."""
        x1, x2 = x.chunk(2, 1)
        y1 = x1 + self._run("f", x2)
        return torch.cat([y1, x2 + self._run("g", y1)], 1)

    def inverse(self, y: Tensor) -> Tensor:
        """Return ``x``: ``x2 = y2 - g(y1)``, ``x1 = y1 - f(x2)``."""
        y1, y2 = y.chunk(2, 1)
        x2 = y2 - self._run("g", y1)
        return torch.cat([y1 - self._run("f", x2), x2], 1)

    def _run(self, name: str, half: Tensor) -> Tensor:
        branch = self.f if name == "f" else self.g
        # A first activation in place would overwrite the half that the sum still needs.
        copies = any(getattr(m, "inplace", False) for m in branch.modules())
        out: Tensor = branch(half.clone() if copies else half)
        if out.shape != half.shape:
            raise MergeShapeError(
                "add", out.shape, half.shape, where=f"{name} of Reversible",
                mend="a reversible branch keeps its input's shape",
            )  # fmt: skip
        return out


class _Surroundings:
    """Random state and autocast of a pass, to do it again alike."""

    def __init__(self, device: torch.device) -> None:
        kinds = dict.fromkeys(("cpu", device.type))
        self.devices = [device] if device.type == "cuda" else []
        self.states: list[Tensor] | None = self._states()
        self.casts = [(k, torch.get_autocast_dtype(k), torch.is_autocast_enabled(k)) for k in kinds]

    def _states(self) -> list[Tensor]:
        return [torch.get_rng_state(), *(torch.cuda.get_rng_state(d) for d in self.devices)]

    def ended(self) -> None:
        """Keep the random state only if the pass drew from it: 5 kB a branch otherwise."""
        if self.states is not None and all(map(torch.equal, self.states, self._states())):
            self.states = None

    @contextmanager
    def again(self) -> Iterator[None]:
        with ExitStack() as stack:
            if self.states is not None:
                stack.enter_context(torch.random.fork_rng(devices=self.devices))
                torch.set_rng_state(self.states[0])
                for device, state in zip(self.devices, self.states[1:], strict=True):
                    torch.cuda.set_rng_state(state, device)
            for kind, dtype, enabled in self.casts:
                stack.enter_context(torch.autocast(kind, dtype=dtype, enabled=enabled))
            yield


class _Link:
    """What one block of a chain remembers: its output, unless the next block can rebuild it."""

    __slots__ = ("output", "previous", "taken", "version")

    def __init__(self, output: Tensor, previous: _Link | None) -> None:
        self.output: Tensor | None = output
        self.version = output._version
        self.previous = previous
        self.taken = False


class _Function(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, block: Reversible, *parameters: Tensor) -> Tensor:
        previous = getattr(x.grad_fn, "link", None)
        x1, x2 = x.detach().chunk(2, 1)
        ctx.before_f = _Surroundings(x.device)
        y1 = x1 + block._run("f", x2)
        ctx.before_f.ended()
        ctx.before_g = _Surroundings(x.device)
        y = torch.cat([y1, x2 + block._run("g", y1)], 1)
        ctx.before_g.ended()
        ctx.block, ctx.parameters = block, parameters
        ctx.link = _Link(y.detach(), previous)
        if previous is not None:
            previous.output, previous.taken = None, True  # this block computes it back
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        link: _Link = ctx.link
        y = link.output
        if y is None:
            raise RuntimeError(
                "a Reversible block's output is gone: the next block took it over, and no "
                "gradient came back through that one\n"
                "  mend: let the loss depend on the end of the chain, or use block.plain(x)"
            )
        if y._version != link.version:
            raise RuntimeError(
                "a Reversible block's output was changed in place, and backward needs it\n"
                "  mend: use the operation that makes a new tensor"
            )
        y1, y2 = y.chunk(2, 1)
        dy1, dy2 = dy.chunk(2, 1)
        g_y1, into_g, of_g = _differentiate(ctx, "g", ctx.before_g, y1, dy2)
        x2 = y2 - g_y1
        dx1 = dy1 + into_g
        f_x2, into_f, of_f = _differentiate(ctx, "f", ctx.before_f, x2, dx1)
        if link.previous is not None:
            link.previous.output = x = torch.cat([y1 - f_x2, x2], 1)
            link.previous.version = x._version
        if link.taken:
            link.output = None  # the next backward builds it again
        grads = (
            b if a is None else a if b is None else a + b for a, b in zip(of_g, of_f, strict=True)
        )
        return (torch.cat([dx1, dy2 + into_f], 1), None, *grads)


def _differentiate(
    ctx: Any, name: str, before: _Surroundings, half: Tensor, gradient: Tensor
) -> tuple[Tensor, Tensor, tuple[Tensor | None, ...]]:
    """Run a branch again; return its result, and what comes back to its input and parameters."""
    half = half.detach().requires_grad_()
    with before.again(), torch.enable_grad(), untouched_buffers(getattr(ctx.block, name)):
        out = ctx.block._run(name, half)
    into, *of = torch.autograd.grad(
        out, (half, *ctx.parameters), gradient.to(out.dtype), allow_unused=True
    )
    return out.detach(), torch.zeros_like(half) if into is None else into, tuple(of)
