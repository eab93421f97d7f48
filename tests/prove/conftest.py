"""Small data and networks that train in seconds."""

import pytest
import torch

from torchskip import data
from torchskip.data import Images


@pytest.fixture(scope="session")
def few() -> Images:
    """200 real images of 14x14 to train on, 50 to test on."""
    return data.load("fashion-mnist", size=14, train_per_class=20, test_per_class=5)


@pytest.fixture(autouse=True)
def _one_thread():
    """The same sums in the same order, and no fight over the cores."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
