"""Zero padding and cropping that give an exact output size for every input size."""

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from torchskip.nn.geometry import SizeRule

__all__ = ["Frame", "fixed_right"]


class Frame(nn.Module):
    """Pad or crop so that windows of ``kernel`` and ``stride`` fit ``m(n)`` times.

    Per axis: ``left`` zeros before (negative: pixels cropped), and
    ``right = (m(n) - 1) stride + kernel - left - n`` after, with ``m`` the axis' size rule or the
    size given to ``forward``.

    Shapes:
        ``(..., n_1, ..., n_d) -> (..., n_1 + left_1 + right_1, ...)``.

    >>> import torch
    >>> even = Frame(left=(0,), kernel=(1,), stride=(1,), sizes=(SizeRule(2, 0, ((2, 1),)),))
    >>> even(torch.ones(1, 1, 5))
    tensor([[[1., 1., 1., 1., 1., 0.]]])
    """

    def __init__(
        self,
        left: Sequence[int],
        kernel: Sequence[int],
        stride: Sequence[int],
        sizes: Sequence[SizeRule] | None = None,
    ) -> None:
        super().__init__()
        self.left, self.kernel, self.stride = tuple(left), tuple(kernel), tuple(stride)
        self.sizes = None if sizes is None else tuple(sizes)

    def forward(self, x: Tensor, size: Sequence[int] | None = None) -> Tensor:
        """Frame ``x`` for ``size`` windows, or for as many as the size rules say."""
        pads: list[int] = []
        mixed = False
        count = len(self.left)
        for axis in reversed(range(count)):  # F.pad counts from the last dimension
            n, left = x.shape[axis - count], self.left[axis]
            if size is not None:
                windows = size[axis]
            else:
                assert self.sizes is not None  # noqa: S101  (one of the two, by construction)
                windows = self.sizes[axis](n)
            right = (windows - 1) * self.stride[axis] + self.kernel[axis] - left - n
            mixed = mixed or (left > 0 and right < 0) or (left < 0 and right > 0)
            pads += [left, right]
        if mixed:  # grow first: cropping a small image before would leave less than nothing
            x = F.pad(x, [max(side, 0) for side in pads])
            pads = [min(side, 0) for side in pads]
        return F.pad(x, pads)

    def extra_repr(self) -> str:
        """Show the fixed side and the windows."""
        return f"left={self.left}, kernel={self.kernel}, stride={self.stride}"


def fixed_right(rule: SizeRule, left: int, kernel: int, stride: int) -> int | None:
    """``right`` of a :class:`Frame` if it is the same for every input size, else None."""
    if rule.period != stride or not rule.is_strided:
        return None
    return rule.terms[0][1] + stride * (rule.offset - 1) + kernel - left
