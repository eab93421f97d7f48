"""What renders: traced models with the skips found in them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import chromium
import pytest
import small_models
import torch
from torch import nn

from torchskip.graph import Graph, SkipPath
from torchskip.skips import find_skips
from torchskip.trace import trace


@dataclass(frozen=True)
class Seen:
    """The two fields of an Inspection that rendering reads."""

    graph: Graph
    skips: tuple[SkipPath, ...]


def see(model: nn.Module, *example: torch.Tensor) -> Seen:
    graph = trace(model.eval(), *(example or (torch.zeros(2, 3, 32, 32),)))
    return Seen(graph, tuple(find_skips(graph)))


@pytest.fixture(name="see", scope="session")
def _see() -> Callable[..., Seen]:
    return see


@pytest.fixture(scope="session")
def residual() -> Seen:
    return see(small_models.Residual())


@pytest.fixture(scope="session")
def broken() -> Seen:
    return see(small_models.Broken())


@pytest.fixture(scope="session")
def hostile() -> Seen:
    return see(small_models.Hostile())


@pytest.fixture(scope="session")
def hourglass() -> Seen:
    return see(small_models.Hourglass())


@pytest.fixture(scope="session")
def resnet50() -> Seen:
    import torchvision

    return see(torchvision.models.resnet50(), torch.zeros(1, 3, 224, 224))


@pytest.fixture(scope="session")
def densenet121() -> Seen:
    import torchvision

    return see(torchvision.models.densenet121(), torch.zeros(1, 3, 224, 224))


@pytest.fixture(scope="session")
def browser() -> Iterator[chromium.Browser]:
    if chromium.BINARY is None:
        pytest.skip("no Chromium on this machine")
    with chromium.Browser() as page:
        yield page
