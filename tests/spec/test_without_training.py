"""Scripts that train at their top level are read, and not trained."""

import ast

import pytest

from torchskip.spec.load import load
from torchskip.spec.script import leave_out_training

HEAD = """
import torch
from torch import nn
class Net(nn.Sequential):
    def __init__(self, width):
        super().__init__(nn.Linear(width, width))
ran = []
def step(net, x):
    ran.append(1)
    net(x).sum().backward()
def epochs(net, n=1):
    for _ in range(n):
        step(net, torch.ones(1, 3))
def build():
    return Net(3)
"""


@pytest.mark.parametrize(
    "tail",
    [
        "for epoch in range(9):\n    step(net, torch.ones(1, 3))",
        "while True:\n    net(torch.ones(1, 3)).sum().backward()",
        "history = epochs(net)",
        "with torch.enable_grad():\n    epochs(net)",
        "trainer = None\ntrainer.fit(net)",
    ],
)
def test_what_trains_is_left_out(tmp_path, tail):
    path = tmp_path / "train.py"
    path.write_text(f"{HEAD}net = build()\n{tail}\nafter = build()\nclass Late(nn.ReLU): pass\n")
    loaded, skipped = load(str(path))
    assert [one.name for one in loaded] == ["Late", "net"]
    line = 17 + ("trainer = None" in tail)
    assert [s.reason for s in skipped] == [f"line {line} trains: it and what follows is not run"]
    (one,), _ = load(f"{path}:build")
    assert type(one.model).__name__ == "Net"


@pytest.mark.parametrize(
    "tail",
    [
        "nets = []\nfor width in (2, 3):\n    nets.append(Net(width))",
        "if __name__ == '__main__':\n    epochs(net)",
        "class Trains:\n    def go(self):\n        epochs(self.net)",
        "print(net(torch.ones(1, 3)))",
        "scaler = type('S', (), {'fit': lambda self: 1})().fit()",
    ],
)
def test_what_does_not_is_run(tmp_path, tail):
    path = tmp_path / "train.py"
    path.write_text(f"{HEAD}net = build()\n{tail}\nafter = build()\n")
    assert leave_out_training(ast.parse(path.read_text())) is None
    loaded, skipped = load(str(path))
    assert [one.name for one in loaded] == ["net", "after"]
    assert skipped == ()


def test_untrained_weights_are_not_saved(tmp_path):
    path = tmp_path / "train.py"
    path.write_text(f"{HEAD}net = build()\nepochs(net)\nopen({str(tmp_path / 'w')!r}, 'w')\n")
    load(str(path))
    assert not (tmp_path / "w").exists()
