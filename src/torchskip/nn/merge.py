"""The merges: how a shortcut and a branch meet. None of them broadcasts."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from torchskip.errors import MergeShapeError
from torchskip.nn.where import locate

__all__ = [
    "MERGES",
    "Gate",
    "Merge",
    "add",
    "concat",
    "concat_features",
    "multiply",
    "refuse_broadcast",
]

Merge = Callable[[Tensor, Tensor], Tensor]


def add(shortcut: Tensor, branch: Tensor) -> Tensor:
    """``y = shortcut + branch``: He et al. 2015, eq. 1.

    Shapes:
        ``(N, C, *spatial), (N, C, *spatial) -> (N, C, *spatial)``.

    Raises:
        MergeShapeError: when the shapes differ.

    >>> add(torch.ones(1, 2), torch.ones(1, 2)).tolist()
    [[2.0, 2.0]]

    """
    if shortcut.shape != branch.shape:
        raise _mismatch("add", shortcut, branch)
    return shortcut + branch


def multiply(shortcut: Tensor, branch: Tensor) -> Tensor:
    """``y = shortcut * branch``: a gate computed by the branch (Hu et al. 2018, eq. 4).

    Shapes:
        ``(N, C, *spatial), (N, C, *spatial) -> (N, C, *spatial)``.

    Raises:
        MergeShapeError: when the shapes differ.

    >>> multiply(torch.full((1, 2), 3.0), torch.full((1, 2), 0.5)).tolist()
    [[1.5, 1.5]]

    """
    if shortcut.shape != branch.shape:
        raise _mismatch("multiply", shortcut, branch)
    return shortcut * branch


def concat(shortcut: Tensor, branch: Tensor) -> Tensor:
    """``y = [shortcut, branch]`` along the channels: Huang et al. 2017, eq. 2.

    Shapes:
        ``(N, C_1, *spatial), (N, C_2, *spatial) -> (N, C_1 + C_2, *spatial)``.

    Raises:
        MergeShapeError: when any other axis differs.

    >>> concat(torch.zeros(1, 2, 4), torch.zeros(1, 3, 4)).shape
    torch.Size([1, 5, 4])

    """
    a, b = shortcut.shape, branch.shape
    if a[2:] != b[2:] or a[0] != b[0]:
        raise _mismatch("concatenate", shortcut, branch)
    return torch.cat((shortcut, branch), 1)


def concat_features(shortcut: Tensor, branch: Tensor) -> Tensor:
    """``y = [shortcut, branch]`` along the last axis: the channels of a branch of linear layers.

    Shapes:
        ``(..., C_1), (..., C_2) -> (..., C_1 + C_2)``.

    Raises:
        MergeShapeError: when any other axis differs.

    >>> concat_features(torch.zeros(1, 4, 2), torch.zeros(1, 4, 3)).shape
    torch.Size([1, 4, 5])

    """
    if shortcut.shape[:-1] != branch.shape[:-1]:
        raise _mismatch("concatenate", shortcut, branch)
    return torch.cat((shortcut, branch), -1)


class Gate(nn.Module):
    """A highway: ``y = t * branch + (1 - t) * shortcut`` with ``t = sigmoid(W shortcut + b)``.

    ``W`` is a 1x1 convolution, or a linear layer where there is no spatial axis. Srivastava,
    Greff & Schmidhuber 2015, *Highway Networks*, eq. 3, with the bias ``b = -2`` of their
    section 2.2, so that a block starts close to its shortcut.

    Shapes:
        ``(N, C, *spatial), (N, C, *spatial) -> (N, C, *spatial)``.

    Raises:
        MergeShapeError: when the shapes differ.

    >>> gate = Gate(1, spatial=1)
    >>> _ = nn.init.zeros_(gate.transform.weight)
    >>> gate(torch.zeros(1, 1, 1), torch.ones(1, 1, 1)).item() == torch.tensor(-2.0).sigmoid()
    tensor(True)

    """

    def __init__(
        self,
        channels: int,
        spatial: int = 2,
        bias: float = -2.0,
        device: torch.device | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.transform: nn.Module
        if spatial:
            conv = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}[spatial]
            self.transform = conv(channels, channels, 1, device=device, dtype=dtype)
        else:
            self.transform = nn.Linear(channels, channels, device=device, dtype=dtype)
        nn.init.constant_(self.transform.get_parameter("bias"), bias)

    def forward(self, shortcut: Tensor, branch: Tensor) -> Tensor:
        """Mix the two arms."""
        if shortcut.shape != branch.shape:
            raise _mismatch("gate", shortcut, branch)
        t = torch.sigmoid(self.transform(shortcut))
        return shortcut + t * (branch - shortcut)  # promotes types, which lerp does not


def refuse_broadcast(shortcut: Tensor, branch: Tensor) -> None:
    """Refuse two shapes that torch would silently stretch to each other's.

    Raises:
        MergeShapeError: when the shapes differ and can be broadcast.

    >>> refuse_broadcast(torch.ones(1, 2, 4), torch.ones(1, 3, 4))  # torch refuses these itself

    """
    ranks = min(shortcut.dim(), branch.dim())
    pairs = zip(shortcut.shape[-ranks:], branch.shape[-ranks:], strict=True)
    if shortcut.shape != branch.shape and all(a == b or 1 in (a, b) for a, b in pairs):
        raise _mismatch("merge", shortcut, branch)


def _mismatch(merge: str, shortcut: Tensor, branch: Tensor) -> MergeShapeError:
    place, module = locate()
    advice = getattr(module, "advise", None)
    return MergeShapeError(
        merge,
        branch.shape,
        shortcut.shape,
        where=place,
        mend=advice() if advice is not None else "bring both arms to one shape first",
    )


# The merges without parameters; the fourth name is "gate".
MERGES: dict[str, Merge] = {"add": add, "concat": concat, "multiply": multiply}
