"""The way back: a branch's output on its input's grid."""

from math import prod

import torch
from torch import Tensor, nn

from torchskip.nn.frame import Frame
from torchskip.nn.geometry import Geometry
from torchskip.nn.resample import Resample
from torchskip.nn.windows import centred_kernel, left_padding

__all__ = ["Restore"]

_POOLS = {1: nn.AvgPool1d, 2: nn.AvgPool2d, 3: nn.AvgPool3d}


class Restore(nn.Module):
    """Bring a branch's output back onto the input's grid: the resize of ``keep="input"``.

    Output pixel ``p`` lies at ``(p - centre) / stride`` on the branch's grid. A branch that
    shrank is interpolated linearly there, one that grew is averaged around there, and the
    1x1 convolution that settles the channels runs on the smaller of the two grids.

    Shapes:
        ``(N, C_out, *m), (n_1, ..., n_d) -> (N, C_in, n_1, ..., n_d)``.
    """

    def __init__(self, geometry: tuple[Geometry, ...], project: nn.Module | None) -> None:
        super().__init__()
        back = tuple(g.inverse() for g in geometry)
        kernel = centred_kernel(back)
        self.project = project
        self.resize: Frame | Resample
        if kernel is None:
            self.resize, self.pool = Resample(back), None
        else:
            stride = tuple(int(g.stride) for g in back)
            self.resize = Frame(left_padding(back, kernel), kernel, stride)
            self.pool = _POOLS[len(back)](kernel, stride) if max(kernel, default=1) > 1 else None
        self.project_first = prod(g.stride for g in geometry) >= 1

    def forward(self, y: Tensor, size: torch.Size) -> Tensor:
        """Resize ``y`` to the spatial ``size``."""
        if self.project is not None and self.project_first:
            y = self.project(y)
        y = self.resize(y, size)
        if self.pool is not None:
            y = self.pool(y)
        if self.project is not None and not self.project_first:
            y = self.project(y)
        return y
