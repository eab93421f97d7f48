"""Shared by all tests: torchvision and timm import even beside a torch they were not built for."""

from torchskip.cli.zoo import import_family

import_family("torchvision")
