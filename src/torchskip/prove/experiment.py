"""Which networks are compared on which images, where, and where the results go."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from torchskip.errors import TrainingError
from torchskip.prove.plan import Plan

__all__ = ["Experiment"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """A comparison: for every depth and seed, the plain and the residual network on one plan.

    With the defaults it takes a few minutes on two cores.
    """

    data: str = "fashion-mnist"
    """Images: fashion-mnist (embedded) or a directory with train/CLASS/* and test/CLASS/*."""

    size: tuple[int, int] | None = None
    """Height and width in pixels to which every image of a directory is brought when it is read:
    cut centrally to that aspect ratio and resampled. Needed where they are of several sizes."""

    on_error: Literal["refuse", "skip"] = "refuse"
    """What to do about unreadable images of a directory: refuse, or skip and name them."""

    side: int | None = None
    """Longest side of an image, in pixels. Without it: at most 16 for the built-in networks
    (longer ones are averaged over whole blocks), for MODEL as the images are or as it needs."""

    train_per_class: int | None = None
    """Train on this many images of each class only."""

    test_per_class: int | None = None
    """Test on this many images of each class only."""

    depths: tuple[int, ...] = (20, 56)
    """Layers of the networks, each 6 n + 2 (He et al. 2015, section 4.2)."""

    width: int = 8
    """Channels of the first stage; the later stages have two and four times as many."""

    seeds: int = 3
    """Repetitions, each with weights, order and crops of its own."""

    first_seed: int = 0
    """Seed of the first repetition; the next ones follow."""

    plan: Plan = field(default_factory=lambda: Plan(epochs=3))
    """How each network is trained."""

    accelerator: str = "auto"
    """cpu, cuda, mps, or auto: the fastest there is."""

    devices: int = 1
    """Processes on each machine, one device each; a batch is shared among all."""

    nodes: int = 1
    """Machines."""

    out: Path = Path("torchskip-compare")
    """Directory of the report, the raw numbers, the weights and the checkpoints."""

    resume: bool = False
    """Go on with what `out` holds: finished runs are kept, a broken one continues exactly."""

    checkpoint_every: int = 200
    """Steps between two checkpoints; one is also written at the end of each epoch."""

    def __post_init__(self) -> None:
        if not self.depths:
            raise TrainingError("no depth is given\n  mend: such as depths=(20, 56)")
        for name in ("side", "width", "seeds", "devices", "nodes", "checkpoint_every"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise TrainingError(f"{name} is {getattr(self, name)}\n  mend: 1 or more")
        world = self.devices * self.nodes
        if self.plan.batch % world:
            near = max(1, round(self.plan.batch / world)) * world
            raise TrainingError(
                f"a batch of {self.plan.batch} cannot be shared evenly by {world} devices\n"
                f"  mend: batch={near}"
            )
