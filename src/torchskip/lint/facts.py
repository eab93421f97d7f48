"""What runs and looks beyond a graph found out about a model: frozen values, without torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from torchskip.graph import Source

__all__ = [
    "Body",
    "Draws",
    "Gradient",
    "Line",
    "Loose",
    "Opened",
    "Optional",
    "Place",
    "Real",
    "Renamed",
    "Shapes",
    "Stray",
]

Line = tuple[str, int]  # file and line
Place = tuple[str, Source | None]  # module and line of an operation
Shapes = tuple[tuple[int, ...], ...]  # of the tensors of an example, in order
Gradient = Literal["flows", "zero", "missing", "nonfinite", "frozen"]


@dataclass(frozen=True, slots=True)
class Real:
    """A small forward and backward with numbers, in training mode.

    `gradients` says for each parameter what came back from a random projection of all
    outputs. `forward` and `backward` hold the message of what was raised, empty when nothing, and
    `place` the line of the user's that raised it in backward. `nothing` says that forward returned
    None. `scales` are the standard deviations of the first outputs of modules that add, in order.
    """

    gradients: Mapping[str, Gradient]
    forward: str = ""
    backward: str = ""
    scales: tuple[tuple[str, float], ...] = ()
    place: Source | None = None
    nothing: bool = False


@dataclass(frozen=True, slots=True)
class Draws:
    """The numbers of one mask over several passes.

    `binary` says that there are but zero and `peak`, `varied` that two passes differ.
    """

    mean: float
    peak: float
    binary: bool
    varied: bool
    count: int


@dataclass(frozen=True, slots=True)
class Body:
    """What the source of a module's forward says that no graph shows.

    `unread` are names assigned and never read, with their lines. `optional` are names that are
    read, but for making themselves, nowhere but where something else is there (``if self.se is not
    None``): with the line that assigns them, what must be there, and the lines that read them.
    `adds` says that a sum has the input or a value named for a shortcut as an operand.
    `coins` are the lines where training hands an argument back because a drawn number says so;
    `scales` says that something is multiplied or divided. `squashed` are the module's attributes
    that a rectifier, sigmoid or softmax takes as they are. `cut` is the line that returns in the
    first round of a loop, whatever happens; 0 where none does. `collected` are lists that are
    filled and never read, with their lines.
    """

    module: str
    type: str
    file: str
    line: int
    unread: tuple[tuple[str, int], ...] = ()
    optional: tuple[Optional, ...] = ()
    adds: bool = False
    coins: tuple[int, ...] = ()
    scales: bool = False
    squashed: frozenset[str] = frozenset()
    cut: int = 0
    collected: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Optional:
    """A name that a forward reads only where something else is there: see `Body`."""

    word: str
    line: int
    needs: str
    reads: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Opened:
    """An attribute at `path` that a constructor fills with the children of a block of class `kind`.

    The block itself, whose forward adds, is not kept.
    """

    path: str
    kind: str
    file: str
    line: int


@dataclass(frozen=True, slots=True)
class Renamed:
    """A tensor written in place as `through` and joined as `name`, a name it had before."""

    name: str
    through: str
    write: Source
    join: Source


@dataclass(frozen=True, slots=True)
class Loose:
    """A floating tensor that a module keeps as a plain attribute: no parameter and no buffer."""

    module: str
    name: str
    shape: tuple[int, ...]
    requires_grad: bool


@dataclass(frozen=True, slots=True)
class Stray:
    """A module that another keeps in a plain list, tuple or dict, out of the module tree."""

    owner: str
    name: str
    type: str
