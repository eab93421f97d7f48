"""Stochastic depth: drop a whole branch, per sample."""

import math

from torch import Tensor, nn

from torchskip.errors import ArgumentError

__all__ = ["DropPath"]


class DropPath(nn.Module):
    """Drop the branch of each sample with probability ``p`` while training.

    ``y_n = b_n x_n / (1 - p)`` with ``b_n ~ Bernoulli(1 - p)``, one draw per sample, so that the
    expectation is ``x``; in evaluation ``y = x`` and no operator runs. Huang et al. 2016, *Deep
    Networks with Stochastic Depth*, eq. 2; rescaled in training rather than in inference, as
    Larsson et al. 2017, *FractalNet*, do with dropped paths.

    Shapes:
        ``(N, *) -> (N, *)``.

    Raises:
        ArgumentError: unless ``0 <= p < 1``.

    >>> import torch
    >>> _ = torch.manual_seed(0)
    >>> DropPath(0.5)(torch.ones(4, 1, 1, 1)).flatten()
    tensor([0., 0., 2., 0.])
    >>> DropPath(0.5).eval()(torch.ones(4)).tolist()
    [1.0, 1.0, 1.0, 1.0]

    """

    def __init__(self, p: float) -> None:
        super().__init__()
        if not (math.isfinite(p) and 0 <= p < 1):
            raise ArgumentError(
                f"drop_path is {p}, which is no probability of dropping a branch\n"
                f"  mend: give 0 <= drop_path < 1; at 1 the branch would never be trained"
            )
        self.p = float(p)

    def forward(self, x: Tensor) -> Tensor:
        """Drop samples of ``x`` while training."""
        if not self.training or self.p == 0:
            return x
        kept = x.new_empty(x.shape[:1] + (1,) * (x.dim() - 1)).bernoulli_(1 - self.p)
        return x * kept.div_(1 - self.p)

    def extra_repr(self) -> str:
        """Show the probability."""
        return f"p={self.p}"
