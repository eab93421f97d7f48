"""What the runs say: groups, intervals and one honest sentence. Pure functions on records."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist, fmean, median, stdev

from torchskip.prove.records import Comparison, Run

__all__ = [
    "Group",
    "Interval",
    "contrasts",
    "difference",
    "groups",
    "headline",
    "paired",
    "pairs",
    "significant",
]


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean with the bounds of its 95 % confidence interval over `n` repetitions."""

    mean: float
    low: float
    high: float
    n: int

    @property
    def clear(self) -> bool:
        """Whether the interval lies on one side of 0."""
        return self.low > 0 or self.high < 0


@dataclass(frozen=True, slots=True)
class Group:
    """The runs of one network at one depth, over the seeds."""

    network: str
    depth: int
    runs: tuple[Run, ...]

    @property
    def name(self) -> str:
        """As the literature has it: `plain-56`; without a depth `plain`."""
        return _called(self.network, self.depth)

    def mean(self, measure: str) -> float:
        """Return the mean of a `Run`'s number over the seeds."""
        return fmean(getattr(run, measure) for run in self.runs)

    @property
    def gradient(self) -> float:
        """Median over the seeds of the gradient norm that reached the first layer."""
        return median(run.gradient for run in self.runs)


def groups(comparison: Comparison) -> tuple[Group, ...]:
    """Return the runs by depth and network, in the order in which they were made."""
    found: dict[tuple[int, str], list[Run]] = {}
    for run in comparison.runs:
        found.setdefault((run.depth, run.network), []).append(run)
    return tuple(Group(network, depth, tuple(runs)) for (depth, network), runs in found.items())


def pairs(comparison: Comparison, depth: int) -> tuple[tuple[Run, Run], ...]:
    """Return `(plain, residual)` of each seed at `depth` for which both were run."""
    by_seed = {(run.seed, run.network): run for run in comparison.runs if run.depth == depth}
    seeds = sorted({seed for seed, _ in by_seed})
    return tuple(
        (by_seed[seed, "plain"], by_seed[seed, "residual"])
        for seed in seeds
        if (seed, "plain") in by_seed and (seed, "residual") in by_seed
    )


def contrasts(comparison: Comparison) -> tuple[tuple[str, Interval], ...]:
    """Return differences in training accuracy, paired by seed, with their intervals.

    For each depth residual against plain, and for each network the deepest against the
    shallowest: He et al. 2015 call it degradation when depth makes a plain network train worse.
    """
    by_run = {(run.network, run.depth, run.seed): run.train_accuracy for run in comparison.runs}
    depths = sorted({run.depth for run in comparison.runs})
    wanted = [(("residual", depth), ("plain", depth)) for depth in depths]
    if len(depths) > 1:
        wanted += [((name, depths[-1]), (name, depths[0])) for name in ("plain", "residual")]
    found = []
    for one, other in wanted:
        seeds = [seed for name, depth, seed in by_run if (name, depth) == one]
        gaps = [by_run[*one, s] - by_run[*other, s] for s in seeds if (*other, s) in by_run]
        if gaps:
            found.append((f"{_called(*one)} against {_called(*other)}", paired(gaps)))
    return tuple(found)


def paired(differences: Sequence[float]) -> Interval:
    """Return the mean of paired differences with Student's 95 % interval, `d ± t s/√n`.

    One pair alone has no interval: its bounds are infinite.

    >>> interval = paired([1.0, 2.0, 3.0])
    >>> round(interval.low, 2), interval.mean, round(interval.high, 2), interval.n
    (-0.48, 2.0, 4.48, 3)
    """
    n = len(differences)
    mean = fmean(differences)
    if n < 2:
        return Interval(mean, -math.inf, math.inf, n)
    half = _student(n - 1) * stdev(differences) / math.sqrt(n)
    return Interval(mean, mean - half, mean + half, n)


def difference(plain: float, residual: float, images: int) -> Interval:
    """Return `residual - plain`, two accuracies on `images` images each, with its 95 % interval.

    Newcombe 1998 (method 10): Wilson's intervals of both, combined by squares. It treats the two
    as independent, so it is wider than a paired interval would be.

    >>> gap = difference(0.46, 0.807, 1000)
    >>> round(gap.low, 3), gap.mean, round(gap.high, 3)
    (0.307, 0.347, 0.386)
    """
    (low1, high1), (low2, high2) = _wilson(plain, images), _wilson(residual, images)
    gap = residual - plain
    low = gap - math.hypot(residual - low2, high1 - plain)
    high = gap + math.hypot(high2 - residual, plain - low1)
    return Interval(round(gap, 12), low, high, images)


def headline(comparison: Comparison) -> tuple[str, str]:
    """Return what was found at the greatest depth, in a few words, and the numbers behind it.

    With several seeds the interval is over the seeds, with one over the test images.
    """
    depth = max(run.depth for run in comparison.runs)
    place = f"At depth {depth}" if depth else f"In {comparison.model}"
    both = pairs(comparison, depth)
    if not both:
        return f"{place} no pair was trained", ""
    plain, residual = [p.test_accuracy for p, _ in both], [r.test_accuracy for _, r in both]
    gap = (
        difference(plain[0], residual[0], comparison.test_images)
        if len(both) == 1
        else paired([r - p for p, r in zip(plain, residual, strict=True)])
    )
    over = (
        f"{len(both)} seeds"
        if len(both) > 1
        else f"{comparison.test_images:,} test images, for one training of each"
    )
    numbers = (
        f"{100 * fmean(residual):.1f} % of the unseen images right with skips, "
        f"{100 * fmean(plain):.1f} % without (95 % interval of the difference over {over}: "
        f"{100 * gap.low:+.1f} to {100 * gap.high:+.1f} points).{_on_gradient(both)}"
    )
    if any(run.status == "diverged" for pair in both for run in pair):
        return f"{place} a training diverged", numbers
    if not gap.clear:
        return f"{place} skips make no clear difference", numbers
    verb = "gain" if gap.mean > 0 else "cost"
    return f"{place} skips {verb} {abs(100 * gap.mean):.1f} points", numbers


def _called(network: str, depth: int) -> str:
    return f"{network}-{depth}" if depth else network


def significant(value: float) -> str:
    """Return `value` with two significant digits.

    >>> [significant(value) for value in (0.00996, 0.153, 2.31, 238.2, 1.6e-7, 0)]
    ['0.010', '0.15', '2.3', '240', '1.6e-07', '0']
    """
    if value == 0:
        return "0"
    rounded = f"{value:.1e}"
    if not 1e-4 <= abs(value) < 1e6:
        return rounded
    exponent = int(rounded.partition("e")[2])
    return f"{float(rounded):.{max(0, 1 - exponent)}f}"


def _on_gradient(both: Sequence[tuple[Run, Run]]) -> str:
    stepped = [pair for pair in both if pair[0].steps and pair[1].steps]
    if not stepped:
        return ""
    plain, residual = (median(pair[which].gradient for pair in stepped) for which in (0, 1))
    plain_at_first, residual_at_first = (
        median(pair[which].steps[0].gradient for pair in stepped) for which in (0, 1)
    )
    return (
        " The gradient that reaches the first layer, in the median over the training: "
        f"{significant(residual)} with skips, {significant(plain)} without; at the first step "
        f"{significant(residual_at_first)} and {significant(plain_at_first)}."
    )


def _wilson(share: float, n: int) -> tuple[float, float]:
    z = NormalDist().inv_cdf(0.975)
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return centre - half, centre + half


def _student(degrees: int) -> float:
    """Return the 97.5 % quantile of Student's t; between the table's rows the safer, larger one."""
    table = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 6: 2.447, 7: 2.365, 8: 2.306}
    table |= {9: 2.262, 10: 2.228, 12: 2.179, 15: 2.131, 20: 2.086, 30: 2.042, 60: 2.000}
    return table[max(row for row in table if row <= degrees)]
