"""Cost of `Skip` over the same block written by hand, in eager mode.

Both sides run in one process, turn by turn, over the same branch; every turn times a batch of
calls, and a pair's difference and ratio come from neighbouring turns. Writes the raw numbers to
``benchmarks/results/overhead.json`` (or the path given) and prints a table.

    python benchmarks/overhead.py
"""

import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from torchskip.nn import Skip

SIZES = ((1, 1, 1, 1), (1, 16, 8, 8), (1, 64, 32, 32), (8, 64, 32, 32), (1, 64, 56, 56))


class ByHand(nn.Module):
    """The block everybody writes."""

    def __init__(self, branch: nn.Module) -> None:
        super().__init__()
        self.branch = branch

    def forward(self, x: Tensor) -> Tensor:
        """Return ``x + branch(x)``."""
        return x + self.branch(x)


def branch_of(channels: int) -> nn.Module:
    if channels == 1:
        return nn.Identity()  # nothing to hide behind: the overhead itself
    conv = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(channels), nn.ReLU())


def step(block: nn.Module, x: Tensor, training: bool) -> Callable[[], object]:
    if not training:
        return lambda: block(x)

    def train() -> None:
        block.zero_grad(set_to_none=True)
        block(x).sum().backward()

    return train


def nanoseconds(call: Callable[[], object], repeats: int) -> float:
    start = time.perf_counter_ns()
    for _ in range(repeats):
        call()
    return (time.perf_counter_ns() - start) / repeats


def compare(shape: tuple[int, ...], training: bool, turns: int = 101) -> dict[str, object]:
    branch = branch_of(shape[1]).train(training)
    x = torch.rand(shape).requires_grad_(training)
    with torch.set_grad_enabled(training):
        skip, hand = step(Skip(branch), x, training), step(ByHand(branch), x, training)
        once = max(nanoseconds(skip, 3), nanoseconds(hand, 3))
        repeats = max(1, int(5e6 / once))  # about 5 ms a turn
        pairs = []
        for turn in range(turns):
            first, second = (skip, hand) if turn % 2 else (hand, skip)
            a, b = nanoseconds(first, repeats), nanoseconds(second, repeats)
            pairs.append((a, b) if turn % 2 else (b, a))
    extra = [s - h for s, h in pairs]
    ratio = [s / h for s, h in pairs]
    return {
        "shape": shape,
        "mode": "training" if training else "forward",
        "calls_per_turn": repeats,
        "hand_ns": statistics.median(h for _, h in pairs),
        "extra_ns": [statistics.median(extra), min(extra), max(extra)],
        "ratio": [statistics.median(ratio), min(ratio), max(ratio)],
        "pairs_ns": pairs,
    }


def main() -> None:
    target = (
        Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "results/overhead.json"
    )
    torch.set_num_threads(1)
    torch.manual_seed(0)
    rows = [compare(shape, training) for shape in SIZES for training in (False, True)]
    print(f"{'shape':>18} {'mode':>9} {'by hand':>12} {'extra ns (min, max)':>28} {'ratio':>7}")
    for row in rows:
        extra, ratio = row["extra_ns"], row["ratio"]
        spread = f"{extra[0]:.0f} ({extra[1]:.0f}, {extra[2]:.0f})"
        print(
            f"{row['shape']!s:>18} {row['mode']:>9} {row['hand_ns'] / 1e3:>9.1f} us {spread:>28} "
            f"{ratio[0]:>7.4f}"
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    facts = {
        "torch": torch.__version__,
        "python": platform.python_version(),
        "threads": 1,
        "cores": os.cpu_count(),
        "load_average": os.getloadavg(),  # trust the numbers only where it is below the cores
    }
    target.write_text(json.dumps({"facts": facts, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
