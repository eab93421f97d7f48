"""Which models of a file are looked at, and with which inputs."""

import pytest

from torchskip.cli import main
from torchskip.cli.subject import subjects

FILE = """
import torch
from torch import nn
class Block(nn.Module):
    def __init__(self, width=4):
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, padding=1)
    def forward(self, x):
        return x + self.conv(x)
class Net(nn.Module):
    def __init__(self, kinds):
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 1)
        self.block = Block()
        self.head = nn.Linear(4 * 20 * 20, kinds)
    def forward(self, x):
        return self.head(self.block(self.stem(x)).flatten(1))
class Up(nn.Module):
    def __init__(self):
        super().__init__()
        self.up = nn.ConvTranspose2d(8, 4, 2, stride=2)
    def forward(self, x, skip):
        return torch.cat([self.up(x), skip], 1)
def test():
    net = Net(kinds=9)
    print(net(torch.rand(2, 3, 20, 20)).shape)
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "nets.py"
    path.write_text(FILE)
    return str(path)


def test_what_another_model_holds_is_looked_at_there(file):
    found, left = subjects(file, None)
    assert [one.headline for one in found] == [
        "Net, made as Net(kinds=9) in line 25, input 2,3,20,20 (from nets.py line 26)"
    ]
    assert [one.name for one in left] == ["Up"]
    assert not found[0].model.training


def test_an_unknown_input_is_no_finding(file, capsys):
    assert main(["check", file]) == 0
    told = capsys.readouterr()
    assert "Net: 1 skip connection, nothing found" in told.out
    assert "not checked: Up: its input is unknown: 1,8,32,32 1,8,32,32 (" in told.err
    assert main(["check", f"{file}:Up"]) == 2
    assert main(["check", f"{file}:Up", "--input", "1,8,16,16 1,4,32,32"]) == 0


def test_a_model_of_unknown_input_is_drawn_up_to_where_it_stops(tmp_path, capsys):
    path = tmp_path / "net.py"
    path.write_text(
        "import torch\nfrom torch import nn\n"
        "class Net(nn.Module):\n"
        "    def __init__(self):\n        super().__init__()\n"
        "        self.a, self.b = nn.Conv2d(3, 3, 3, padding=1), nn.Linear(20, 2)\n"
        "    def forward(self, x):\n"
        "        x = x + self.a(x)\n        return self.b(x.reshape(7, -1))\n"
    )
    assert main(["inspect", str(path)]) == 1
    told = capsys.readouterr()
    assert "identity  add" in told.out
    assert "The forward pass stopped in" in told.out
    assert "Net: its input is unknown: 1,3," in told.err
    assert main(["explain", str(path)]) == 1
    assert main(["check", str(path)]) == 2


def test_the_input_that_the_file_gives_to_the_other_model(file):
    """The class is made with other arguments; what its file calls it with still runs."""
    ((net,), _) = subjects(f"{file}:Net(5)", None)
    assert net.example.reason == "from nets.py line 26"


def test_no_model_of_a_file(tmp_path, capsys):
    path = tmp_path / "odd.py"
    path.write_text("from torch import nn\nclass A(nn.Module): pass\nclass B(nn.Module): pass\n")
    assert main(["inspect", str(path)]) == 2
    first, *rest = capsys.readouterr().err.splitlines()
    assert first == f"torchskip: no model of {str(path)!r} can be run"
    assert [line[:24] for line in rest] == ["  A: A has no layer that", "  B: B has no layer that"]
