"""From the words on a command line to models."""

import sys

import pytest
from torch import nn

from torchskip.errors import SpecError
from torchskip.spec.load import load

CRASHES_WHILE_LOADING = """
import torch
from torch import nn

class Good(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 6, 2, stride=2)
    def forward(self, x):
        return x + self.conv(x)

class Needs(nn.Module):
    def __init__(self, channels):
        super().__init__()

print("a tutorial prints")
Good()(torch.rand(1, 3, 8, 8))

made = Good()

class Late(nn.Module):
    pass
"""


@pytest.fixture
def file(tmp_path):
    def write(text, name="net.py"):
        path = tmp_path / name
        path.write_text(text)
        return path

    return write


def test_a_file_that_crashes_keeps_what_it_defines(file, capsys):
    path = file(CRASHES_WHILE_LOADING)
    (good, late), skipped = load(str(path))
    assert late.name == "Late"
    assert (good.name, type(good.model).__name__, good.file) == ("Good", "Good", path)
    assert [s.name for s in skipped] == [str(path), "Needs"]
    assert skipped[0].reason == (
        "stopped while loading: line 17: RuntimeError: The size of tensor a (8) must match the "
        "size of tensor b (4) at non-singleton dimension 3"
    )
    assert skipped[1].reason == (
        "its constructor needs arguments (channels); mend: give them, as "
        f"'{path}:Needs(channels=...)', or name a function that makes it, as {path}:make"
    )
    assert capsys.readouterr().out == ""


def test_a_named_class_of_a_file(file):
    (good,), _ = load(f"{file(CRASHES_WHILE_LOADING)}:Good")
    assert good.name == "Good"


def test_a_bare_file_offers_its_own_classes_and_made_models_only(file):
    path = file(
        "from torch import nn\nfrom torch.nn import Conv2d, ReLU\n"
        "class A(nn.Module):\n    pass\n"
        "class B(nn.Module):\n    def __init__(self, n): super().__init__()\n"
        "class C(B):\n    pass\nalias = A\n"
        "made = B(3)\nchain = nn.Sequential(nn.ReLU())\nalready = A()\nloss = nn.MSELoss()\n"
    )
    loaded, skipped = load(str(path))
    assert [m.name for m in loaded] == ["A", "made", "chain"]
    assert [s.name for s in skipped] == ["C"]  # a B was made, and is looked into


NEEDS = """
import sys
from torch import nn
sizes = [int(word) for word in sys.argv[1:]]
class Net(nn.Module):
    def __init__(self, width, act=nn.ReLU(), *, depth):
        super().__init__()
        self.width, self.depth = width, depth
def build():
    return Net(2, depth=3)
def options():
    return sizes
"""


@pytest.mark.parametrize("call", ["Net(4, depth=5)", "Net(width=4, depth=(5))"])
def test_arguments_in_a_spec(file, call):
    (found,), _ = load(f"{file(NEEDS)}:{call}")
    assert (found.model.width, found.model.depth, found.name) == (4, 5, call)
    (found,), _ = load("torch.nn:Linear(2, 3, bias=False)")
    assert str(found.model) == "Linear(in_features=2, out_features=3, bias=False)"


@pytest.mark.parametrize("call", ["Net(4, depth=n)", "Net(**{})", "Net(4", "Net(4).width"])
def test_arguments_that_are_no_plain_ones(file, call):
    with pytest.raises(SpecError, match=r"is no call with plain arguments; mend: as in 'file"):
        load(f"{file(NEEDS)}:{call}")


def test_a_script_reads_no_arguments_of_ours(file, monkeypatch):
    monkeypatch.setattr("sys.argv", ["torchskip", "check", "net.py"])
    load(f"{file(NEEDS)}:build")
    assert sys.argv == ["torchskip", "check", "net.py"]


def test_a_class_that_needs_arguments_is_made_as_its_file_makes_it(file):
    (found,), skipped = load(str(file(NEEDS)))
    assert (found.name, found.model.width, found.model.depth) == ("Net", 2, 3)
    assert (str(found.making), found.making.line, skipped) == ("Net(2, depth=3)", 10, ())


def test_a_factory_function_of_a_file(file):
    path = file("from torch import nn\ndef make(): return nn.ReLU()")
    (made,), _ = load(f"{path}:make")
    assert isinstance(made.model, nn.ReLU)


def test_a_file_may_import_its_neighbour(file):
    file("from torch import nn\nclass Block(nn.ReLU): pass\n", "neighbour_of_net.py")
    path = file("from neighbour_of_net import Block\nclass Net(Block): pass\n")
    assert [m.name for m in load(str(path))[0]] == ["Net"]


@pytest.mark.parametrize(
    ("text", "attribute", "message"),
    [
        ("x = 1", "", "{path!r} holds no torch.nn.Module that can be constructed without "
         "arguments; it defines none"),
        ("x = (", "", "{path!r} stopped while loading: line 1: SyntaxError: '(' was never closed "
         "(net.py, line 1), before any model was defined"),
        ("x = 1", ":x", "'{path}:x' is neither a module nor callable, but of type int"),
        ("def f(): return 3", ":f", "'{path}:f' gave an object of type int, not a torch.nn.Module"),
        ("def f(): raise KeyError('k')", ":f", "constructing '{path}:f' failed: KeyError: 'k'"),
        ("make = 1", ":maker", "{path!r} has no 'maker'; nearest: 'make'"),
    ],
)  # fmt: skip
def test_a_file_that_leads_to_no_model(file, text, attribute, message):
    path = str(file(text))
    with pytest.raises(SpecError) as caught:
        load(path + attribute)
    assert str(caught.value).replace(path.rpartition("/")[0] + "/net.py, line", "net.py, line") == (
        message.replace("{path!r}", repr(path)).replace("{path}", path)
    )


def test_a_name_of_a_package():
    (found,), _ = load("torch.nn:ReLU")
    assert isinstance(found.model, nn.ReLU)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("nonesuch", "'nonesuch' names no model: give package.module:callable, file.py, "
         "file.py:Name, timm/NAME or torchvision/NAME"),
        ("nonesuch:Net", "'nonesuch:Net': there is no module 'nonesuch'"),
        ("gone.py", "there is no file 'gone.py'"),
        ("torch.nn:RelU", "'torch.nn' has no 'RelU'; nearest: 'ReLU', 'ReLU6', 'RReLU'"),
        ("torchvision/resnet17", "torchvision has no model 'resnet17'; nearest: 'resnet18', "
         "'resnet152', 'resnet101'"),
    ],
)  # fmt: skip
def test_a_spec_that_leads_nowhere(spec, message):
    with pytest.raises(SpecError) as caught:
        load(spec)
    assert str(caught.value) == message


@pytest.mark.parametrize("spec", ["torchvision/resnet18", "timm/resnet10t"])
def test_a_named_model(spec):
    (found,), _ = load(spec)
    assert type(found.model).__name__ == "ResNet"
