"""Shared by all tests: one seed, and torchvision even beside a torch it was not built for."""

import pytest
import torch

from torchskip.spec.zoo import import_family

import_family("torchvision")


@pytest.fixture(autouse=True)
def _seed():
    """Every test begins with the same random numbers, whichever ran before it."""
    torch.manual_seed(0)
