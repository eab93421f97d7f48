"""A SPEC, the words that name a network: ``file.py:Name``, ``package.module:callable``, ..."""

from torchskip.spec.factory import SpecFactory
from torchskip.spec.load import Loaded, Skipped, load

__all__ = ["Loaded", "Skipped", "SpecFactory", "load"]
