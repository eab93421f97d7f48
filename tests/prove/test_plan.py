"""A plan refuses numbers that make no sense, and fills itself in from a command line."""

import pytest
import tyro

from torchskip.errors import TrainingError
from torchskip.prove import Plan


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epochs": 0}, "epochs is 0\n  mend: 1 or more"),
        ({"batch": -1}, "batch is -1\n  mend: 1 or more"),
        ({"patience": 0}, "patience is 0\n  mend: 1 or more"),
        ({"lr": float("nan")}, "lr is nan\n  mend: a finite number above 0"),
        ({"clip": 0.0}, "clip is 0.0\n  mend: a finite number above 0"),
        ({"momentum": 1.0}, "momentum is 1.0\n  mend: from 0 to below 1"),
        ({"warmup": -0.1}, "warmup is -0.1\n  mend: from 0 to below 1"),
        ({"schedule": "cos"}, "schedule is 'cos'\n  mend: cosine, onecycle, constant"),
        ({"precision": "16"}, "precision is '16'\n  mend: 32-true, bf16-mixed"),
    ],
)
def test_refusals(options, message):
    with pytest.raises(TrainingError) as caught:
        Plan(**options)
    assert str(caught.value) == message


def test_the_command_line():
    plan = tyro.cli(Plan, args=["--lr", "0.05", "--clip", "1", "--no-augment"])
    assert plan == Plan(lr=0.05, clip=1.0, augment=False)
