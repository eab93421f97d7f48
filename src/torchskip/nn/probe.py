"""Learn a branch's channels, sizes and geometry by running a copy of it on the meta device.

The branch itself is never run: parameters, buffers, hooks, modes and random state stay as they
are, and no data is copied.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from torchskip.errors import ArgumentError, GeometryError
from torchskip.nn.follow import Follower
from torchskip.nn.geometry import Geometry, SizeRule
from torchskip.nn.hints import Refuser, channels_of, ranks_of
from torchskip.nn.moves import Lost
from torchskip.nn.twin import dtype_of, meta_twin, undisturbed

__all__ = ["Probe", "probe"]

# Divisible by 32, for branches that halve five times; with a factor that is rarely a number of
# channels; different per axis, so that a reshape that exchanges axes is noticed.
_DISTINCT = (352, 416, 544)
# Square sizes for branches that accept nothing else.
_SQUARE = (64, 32, 224, 28, 16, 8, 256, 384, 512, 14, 7, 4)
_SMALL = (1, 2, 5, 9, 30)
# Axes between the batch and the features of a branch without spatial axes: none, tokens, windows.
_BETWEEN = ((), (49,), (14, 14))
# Channels for branches whose layers tell none.
_GUESSES = (3, 4, 12, 8)


@dataclass(frozen=True, slots=True)
class Probe:
    """What construction learns of a branch: channels, and per spatial axis geometry and sizes.

    The channels are None for a branch that takes any number and keeps it.
    """

    in_channels: int | None
    out_channels: int | None
    geometry: tuple[Geometry, ...]
    sizes: tuple[SizeRule, ...]
    overwrites: bool  # the branch changes its input in place

    @property
    def spatial(self) -> int:
        """Number of spatial axes."""
        return len(self.geometry)

    @property
    def keeps_size(self) -> bool:
        """Whether the output has the input's size, for every size.

        Its pixels may still look off to a side, as those of a causal convolution do.
        """
        return all(g.stride == 1 for g in self.geometry) and all(r.keeps for r in self.sizes)

    @property
    def keeps_grid(self) -> bool:
        """Whether the output lies on the input's own pixels, for every size."""
        return self.keeps_size and all(g.centre == 0 for g in self.geometry)


def probe(branch: nn.Module, in_channels: int | None = None) -> Probe:
    """Derive channels, geometry and size rule of ``branch`` without running it on data.

    Args:
        branch: any module from one tensor ``(N, C, *spatial)`` to one tensor of the same rank,
            or, made of linear layers, from ``(..., C)`` to ``(..., C_out)``: no spatial axes.
        in_channels: settles ``C`` where the branch does not tell it.

    Raises:
        GeometryError: when the branch's geometry cannot be derived; says what was tried.
        ArgumentError: when the branch does not return one tensor.

    >>> found = probe(nn.Conv2d(3, 8, 3, stride=2, padding=1))
    >>> found.in_channels, found.out_channels, [rule(33) for rule in found.sizes]
    (3, 8, [17, 17])

    """
    with undisturbed():
        runner = _Runner(branch)
        channels, run = _accepted(branch, runner, in_channels)
        return _derive(runner, channels, run)


class _Runner:
    """Runs the branch's twin on shapes and keeps the refusals for the error message."""

    def __init__(self, branch: nn.Module) -> None:
        self.name = type(branch).__name__
        self.twin = meta_twin(branch)
        self.dtype = dtype_of(branch)
        self.refusals: list[str] = []
        self.refuser = Refuser(self.twin)

    def run(
        self, channels: int, sizes: Sequence[int], between: Sequence[int] = ()
    ) -> "_Run | None":
        """Run an input ``(2, *between, channels, *sizes)``; None when the branch refuses it."""
        shape = (2, *between, channels, *sizes)
        x = torch.empty(shape, device="meta", dtype=self.dtype)
        follower = Follower(x, len(sizes))
        version = x._version
        try:
            with follower, torch.device("meta"):
                y = self.twin(x)
        except Exception as error:  # a stranger's forward may raise anything
            lines = str(error).strip().splitlines() or [type(error).__name__]
            self.refusals.append(f"{tuple(x.shape)}: {self.refuser.explain() or lines[0]}")
            return None
        if not isinstance(y, Tensor):
            kind = type(y).__name__
            count = f" of {len(y)}" if isinstance(y, tuple | list | dict) else ""
            raise ArgumentError(
                f"branch ({self.name}) returned a {kind}{count}, but a Skip merges one tensor\n"
                f"  mend: wrap the branch in a module whose forward returns the tensor to merge"
            )
        return _Run(x, y, follower, x._version != version, tuple(between))


@dataclass(frozen=True, slots=True)
class _Run:
    x: Tensor
    y: Tensor
    follower: Follower
    overwrote: bool
    between: tuple[int, ...]

    @property
    def channels(self) -> tuple[int, int]:
        """Channels of input and output, which has the input's rank."""
        axis = 1 + len(self.between)
        return int(self.x.shape[axis]), int(self.y.shape[axis])

    @property
    def keeps_channels(self) -> bool:
        return self.y.dim() == self.x.dim() and len({*self.channels}) == 1


def _accepted(branch: nn.Module, runner: _Runner, given: int | None) -> "tuple[int | None, _Run]":
    """Channels (None: any) and one run that the branch accepts."""
    told = [given] if given is not None else channels_of(branch)
    for spatial in ranks_of(branch):
        for base, between in _layouts(spatial):
            suggested = list(told)
            for channels in suggested:  # grows while it is read
                run = runner.run(channels, base, between)
                if run is None:
                    asked = runner.refuser.asks(channels) if given is None else None
                    if asked is not None and asked not in suggested:
                        suggested.append(asked)
                    continue
                if given is None and run.keeps_channels:
                    more = runner.run(channels + 1, base, between)
                    if more is not None and more.keeps_channels:
                        return None, run
                return channels, run
            if not told:
                runs = [run for c in _GUESSES if (run := runner.run(c, base)) is not None]
                if len(runs) > 1 and all(run.keeps_channels for run in runs):
                    return None, runs[0]
                if runs:
                    seen = ", ".join(f"{r.x.shape[1]} to {r.y.shape[1]}" for r in runs)
                    raise GeometryError(
                        f"branch ({runner.name}) does not tell its number of input channels\n"
                        f"  probed    channels {seen}\n"
                        f"  mend: pass in_channels=..."
                    )
    shown = list(dict.fromkeys(runner.refusals))
    tried = "\n            ".join(shown[:4]) + (
        f"\n            and {len(shown) - 4} more" if len(shown) > 4 else ""
    )
    raise GeometryError(
        f"branch ({runner.name}) refused every input it was probed with on the meta device\n"
        f"  probed    {tried}\n"
        f"  mend: pass in_channels=... if the number of input channels is the reason, or "
        f'shortcut="identity" or a module of your own: then no geometry is needed'
    )


def _layouts(spatial: int) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
    """Spatial sizes to try, and the axes between batch and features where there are none."""
    if spatial == 0:
        return [((), between) for between in _BETWEEN]
    return [(_DISTINCT[:spatial], ()), *(((n,) * spatial, ()) for n in _SQUARE)]


def _derive(runner: _Runner, channels: int | None, run: _Run) -> Probe:
    start = 2 + len(run.between)
    base = tuple(run.x.shape[start:])
    spatial = len(base)
    if run.y.dim() != run.x.dim():
        raise GeometryError(
            f"branch ({runner.name}) changes the rank: input {tuple(run.x.shape)}, "
            f"output {tuple(run.y.shape)}\n"
            f"  mend: a Skip joins values of one rank; end the branch before it flattens"
        )

    count, out = run.channels
    if run.y.shape[1 : start - 1] != run.between:
        raise GeometryError(
            f"branch ({runner.name}) changes the axes before its features: input "
            f"{tuple(run.x.shape)}, output {tuple(run.y.shape)}\n"
            f"  mend: pass shortcut=... with a module that does the same"
        )

    def sizes(*shape: int) -> tuple[int, ...] | None:
        found = runner.run(count, shape, run.between)
        return None if found is None else tuple(found.y.shape[2:])

    axes = run.follower.of(run.y, spatial)
    longer = sizes(*(2 * n for n in base))
    for axis, geometry in enumerate(axes):
        constant = longer is not None and longer[axis] == run.y.shape[2 + axis]
        if constant or isinstance(geometry, Lost):
            pixels = _count(int(run.y.shape[2 + axis]), "pixel")
            fixed = f"its output has {pixels} whatever the input's size"
            reason = geometry.reason if isinstance(geometry, Lost) and not constant else fixed
            raise GeometryError(
                f"branch ({runner.name}) has no affine geometry along spatial axis {axis}: "
                f"{reason}\n"
                f"  probed    {tuple(run.x.shape)} -> {tuple(run.y.shape)}\n"
                f"  mend: pass shortcut=... with a module that ends on the branch's grid, "
                f"such as nn.AdaptiveAvgPool{spatial}d for a pooled branch"
            )
    geometries = tuple(g for g in axes if isinstance(g, Geometry))
    period = max((g.period for g in geometries), default=1)
    seen = [tuple(run.y.shape[2:])] + [sizes(*(n + j for n in base)) for j in range(1, period)]
    rules = tuple(
        SizeRule.fit(n, [s[axis] if s else None for s in seen[: g.period]], g.gain)
        for axis, (n, g) in enumerate(zip(base, geometries, strict=True))
    )
    for small in (*_SMALL, base[0] + period) if base else ():
        found = sizes(*(small,) * spatial)
        if found is not None and found != tuple(rule(small) for rule in rules):
            raise GeometryError(
                f"branch ({runner.name}) has no regular output size\n"
                f"  probed    {small} pixels -> {found}, but its layers' strides, seen at "
                f"{base}, give {tuple(rule(small) for rule in rules)}\n"
                f"  mend: pass shortcut=... with a module that ends on the branch's grid"
            )
    training = run.overwrote
    runner.twin.eval()
    again = runner.run(count, base, run.between)
    overwrites = training or (again is not None and again.overwrote)
    return Probe(channels, None if channels is None else out, geometries, rules, overwrites)


def _count(n: int, noun: str) -> str:
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def smallest_input(
    branch: nn.Module, channels: int | None, sizes: tuple[int, ...], limit: int = 512
) -> int | None:
    """Smallest square input that the branch accepts, if it refuses ``sizes`` for its size.

    >>> smallest_input(nn.Conv2d(3, 8, 7), 3, (5, 5))
    7
    """
    with undisturbed():
        runner = _Runner(branch)
        count = _GUESSES[0] if channels is None else channels
        if runner.run(count, sizes) is not None:
            return None
        for n in range(1, limit):
            if runner.run(count, (n,) * len(sizes)) is not None:
                return n if n > min(sizes) else None
    return None
