"""A SPEC as a function that makes its network."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from torchskip.errors import SpecError
from torchskip.spec.load import load

__all__ = ["SpecFactory"]


@dataclass(frozen=True, slots=True)
class SpecFactory:
    """Makes the network of a SPEC, in whatever process it is called.

    >>> make = SpecFactory("torchskip.models.tutorial:SkipConnection")
    >>> type(make()).__name__
    'SkipConnection'
    """

    name: str

    def __call__(self) -> nn.Module:
        """Load the SPEC anew.

        Raises:
            SpecError: it leads to no network, or to several.

        """
        found, _ = load(self.name)
        if len(found) > 1:
            names = ", ".join(loaded.name for loaded in found)
            raise SpecError(
                f"{self.name} leads to several models ({names}) and one is compared with itself; "
                f"mend: {self.name}:{found[0].name}"
            )
        return found[0].model
