"""Affine geometry of a branch along one spatial axis: which input each output looks at.

Conventions: pixels have integer coordinates at their centres, the first one is 0. Sizes and
coordinates are in pixels; rational numbers are kept exact as :class:`fractions.Fraction`.

References: Araujo, Norris & Sim, *Computing Receptive Fields of Convolutional Neural Networks*,
Distill 2019 (eqs. 1-4); the rational form for transposed convolution follows from Dumoulin &
Visin, *A guide to convolution arithmetic for deep learning*, 2016, section 4.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import gcd, lcm

__all__ = ["Geometry", "SizeRule"]


@dataclass(frozen=True, slots=True)
class SizeRule:
    """Output size of any chain of strided, transposed and upsampling layers along one axis.

    ``m(n) = offset + sum_j weight_j * floor((n + shift_j) / period)``

    A chain of convolutions has one term of weight 1 and its stride as ``period``; upsampling by
    ``u`` has weight ``u``; a stride followed by an upsampling (an autoencoder) has both. Every
    composition of ``floor`` and affine maps is of this form, because it repeats with the input.
    The form has no table to look up, so it stays symbolic under ``torch.export``.

    >>> stride_two = SizeRule.fit(first=8, sizes=(4, 5), gain=1)
    >>> [stride_two(n) for n in (1, 2, 3, 32, 33)]
    [1, 1, 2, 16, 17]
    """

    period: int
    offset: int
    terms: tuple[tuple[int, int], ...]  # (weight, shift), 0 <= shift < period

    @classmethod
    def fit(cls, first: int, sizes: Sequence[int | None], gain: int) -> "SizeRule":
        """Fit the sizes seen for the inputs ``first .. first + period - 1``.

        ``None`` marks a size the branch refuses; it takes its predecessor's value. ``gain`` is
        what a whole period adds, so that ``m(n + period) = m(n) + gain``.
        """
        period = len(sizes)
        known: list[int] = []
        for size in sizes:
            if size is None and not known:
                raise ValueError("the first size of a period must be one that the branch accepts")
            known.append(known[-1] if size is None else size)
        offset, terms = known[0], []
        for step in range(1, period + 1):
            weight = (known[step] if step < period else known[0] + gain) - known[step - 1]
            if weight:
                turns, shift = divmod(period - first - step, period)
                offset += weight * turns
                terms.append((weight, shift))
        return cls(period, offset, tuple(terms))

    def __call__(self, n: int) -> int:
        """Size of the output for an input of ``n`` pixels."""
        size = self.offset
        for weight, shift in self.terms:
            size = size + weight * ((n + shift) // self.period)
        return size

    @property
    def is_strided(self) -> bool:
        """Whether ``m(n) = floor((n + t) / period) + constant``: plain strided windows."""
        return len(self.terms) == 1 and self.terms[0][0] == 1

    @property
    def keeps(self) -> bool:
        """Whether ``m(n) = n`` for every ``n``."""
        return self.period == 1 and self.offset == 0 and self.terms == ((1, 0),)


@dataclass(frozen=True, slots=True)
class Geometry:
    """What a branch does to one spatial axis.

    Output ``i`` is centred on the input coordinate ``stride * i + centre`` and depends on inputs
    at most ``(extent - 1) / 2`` away from it. For a convolution with kernel ``k``, dilation
    ``d``, stride ``s`` and left padding ``p``: ``stride = s``, ``extent = d (k - 1) + 1``,
    ``centre = d (k - 1) / 2 - p``. A stride below one means that the branch upsamples; the
    centre of an upsampled output is the mean over the phases of the upsampling.

    Composition (this class, then a window) is Araujo et al. 2019, eqs. 1-4:

    >>> once = Geometry().window(reach=1, stride=2, left=2)   # kernel 2, stride 2, padding 2
    >>> twice = once.window(reach=1, stride=2, left=2)
    >>> twice.stride, twice.extent, twice.centre
    (Fraction(4, 1), Fraction(4, 1), Fraction(-9, 2))
    >>> [float(twice.centre_of(i)) for i in (0, 1, 10)]
    [-4.5, -0.5, 35.5]
    """

    stride: Fraction = Fraction(1)
    centre: Fraction = Fraction(0)
    extent: Fraction = Fraction(1)
    period: int = 1  # a longer input by `period` ...
    gain: int = 1  # ... gives a longer output by `gain`

    def centre_of(self, output: int) -> Fraction:
        """Input coordinate that output pixel ``output`` is centred on."""
        return self.stride * output + self.centre

    def window(self, reach: int, stride: int, left: int) -> "Geometry":
        """Follow with a sliding window of ``reach + 1`` pixels after ``left`` padded ones."""
        common = gcd(self.gain, stride)
        return Geometry(
            self.stride * stride,
            self.centre + self.stride * (Fraction(reach, 2) - left),
            self.extent + self.stride * reach,
            self.period * (stride // common),
            self.gain // common,
        )

    def transposed(self, reach: int, stride: int, left: int) -> "Geometry":
        """Follow with a transposed window: ``centre_of(o) = (o + left - reach / 2) / stride``."""
        return Geometry(
            self.stride / stride,
            self.centre + self.stride * (left - Fraction(reach, 2)) / stride,
            self.extent + self.stride * Fraction(reach, stride),
            self.period,
            self.gain * stride,
        )

    def scaled(self, factor: Fraction, reach: int) -> "Geometry":
        """Follow with a resize by ``factor``: ``centre_of(o) = (o + 1/2) / factor - 1/2``."""
        common = gcd(self.gain, factor.denominator)
        return Geometry(
            self.stride / factor,
            self.centre + self.stride * (1 / factor - 1) / 2,
            self.extent + self.stride * reach,
            self.period * (factor.denominator // common),
            self.gain // common * factor.numerator,
        )

    def union(self, other: "Geometry") -> "Geometry":
        """Geometry of a value that depends on both: the hull of the two receptive fields.

        Raises:
            ValueError: when the strides differ, for then the two drift apart.

        """
        if self.stride != other.stride:
            raise ValueError(f"arms of stride {self.stride} and {other.stride} meet")
        low = min(self.centre - self.extent / 2, other.centre - other.extent / 2)
        high = max(self.centre + self.extent / 2, other.centre + other.extent / 2)
        period = lcm(self.period, other.period)
        return Geometry(
            self.stride, (low + high) / 2, high - low, period, self.gain * period // self.period
        )

    def inverse(self) -> "Geometry":
        """Geometry of the resize that brings the branch's output back onto its input's grid."""
        return Geometry(1 / self.stride, -self.centre / self.stride, Fraction(1))
