"""What a file writes out of its models: how they are made, and what they are called with."""

import pytest
from torch import nn

from torchskip.spec.load import load
from torchskip.spec.written import read

HEAD = """
import torch
from torch import nn
WIDTH = 4
class Net(nn.Conv2d):
    def __init__(self, width, out=2, act=None): super().__init__(width, out, 1)
def build(width=3): return Net(width)
"""


def found(tmp_path, text, **namespace):
    path = tmp_path / "net.py"
    path.write_text(HEAD + text)
    exec(compile(HEAD, str(path), "exec"), namespace)  # noqa: S102 - definitions of our own
    return read(path, namespace)


def uses(written):
    return [(str(u.making), [tuple(t.shape) for t in u.inputs]) for u in written.uses]


@pytest.mark.parametrize(
    ("text", "making", "shapes"),
    [
        ("def test():\n    net = Net(3)\n    net(torch.rand(1, 3, 8, 8))",
         "Net(3)", [(1, 3, 8, 8)]),
        ("if __name__ == '__main__':\n    x = torch.randn((2, WIDTH, 8, 8))\n"
         "    print(Net(width=x.shape[1])(x).shape)", "Net(width=4)", [(2, 4, 8, 8)]),
        ("net = Net(3, act=nn.ReLU).cuda().eval()\nwith torch.no_grad():\n"
         "    for _ in range(9): net(torch.zeros(1, 3, 4, 4).to('cuda'))",
         "Net(3, act=ReLU)", [(1, 3, 4, 4)]),
        ("net = build()\nx = torch.rand(3, 8, 8).unsqueeze(0)\nnet.train()\ny = net(x)",
         "build()", [(1, 3, 8, 8)]),
        ("n, w = 2 * WIDTH, 0\nw = WIDTH // 2\nnet = Net(w)\nnet(torch.rand(n - 7, w, 5, 5))",
         "Net(2)", [(1, 2, 5, 5)]),
        ("net = nn.DataParallel(Net(3))\nids = torch.randint(0, 9, (2, 5))\nnet(ids, ids)",
         "Net(3)", [(2, 5), (2, 5)]),
        ("def main(net=None):\n    net = Net(3)\n    export(net, (torch.rand(1, 3, 2, 2),), 'f')",
         "Net(3)", [(1, 3, 2, 2)]),
        ("net = Net(3)\nsummary(net, input_size=(2, 3, 4, 4))", "Net(3)", [(2, 3, 4, 4)]),
        ("net = Net(3)\nsummary(net, (3, 4, 4))", "Net(3)", [(1, 3, 4, 4)]),
        ("net = Net(3)\nnet(torch.rand(9000, 3, 100, 100))", "Net(3)", [(1, 3, 100, 100)]),
    ],
)  # fmt: skip
def test_a_model_and_what_it_is_called_with(tmp_path, text, making, shapes):
    assert (making, shapes) in uses(found(tmp_path, text))


@pytest.mark.parametrize(
    "text",
    [
        "net = Net(3)\nfor x in loader:\n    net(x)",
        "net = Net(arguments.width)\nnet(torch.rand(1, 3, 4, 4))",
        "net = Net(3)\nnet = other(net)\nnet(torch.rand(1, 3, 4, 4))",
        "def run(net):\n    net(torch.rand(1, 3, 4, 4))",
        "net = Net(3)\nx = torch.rand(1, 3, 4, 4)\nx = load(x)\nnet(x)",
        "net = Net(3)\nnet(torch.rand(1, 3, 10**6, 10**6))",
    ],
)
def test_what_is_not_written_out_is_not_known(tmp_path, text):
    assert uses(found(tmp_path, text)) == []


def test_reading_runs_nothing(tmp_path):
    mark = tmp_path / "ran"
    text = f"net = Net(3)\nopen({str(mark)!r}, 'w')\nnet(open({str(mark)!r}, 'w'))\nbuild(4)"
    assert [str(m) for m in found(tmp_path, text).makings] == ["Net(width)", "Net(3)", "build(4)"][
        1:
    ]
    assert not mark.exists()


FACTORIES = """
from torch import nn
class Net(nn.Conv2d):
    def __init__(self, kind, width): super().__init__(width, width, 1)
def kind(): return "k"
def small(pretrained=True):
    if pretrained: raise OSError("no network")
    net = Net(kind(), 3)
    return net
def large(width=9, **options): return Net(kind(), width)
def needs(width): return Net(kind(), width)
def train(): return small()
"""


def test_a_function_that_makes_the_class_stands_for_it(tmp_path):
    path = tmp_path / "net.py"
    path.write_text(FACTORIES)
    (one,), skipped = load(str(path))
    assert (one.name, str(one.making), skipped) == ("small", "small(pretrained=False)", ())
    path.write_text(FACTORIES + "if __name__ == '__main__': net = large()")
    assert [one.name for one in load(str(path))[0]] == ["large"]  # the one that the file uses


def test_a_module_that_was_made_is_its_class(tmp_path):
    path = tmp_path / "net.py"
    path.write_text(f"{HEAD}net = Net(3)\n")
    assert [one.name for one in load(str(path))[0]] == ["net"]
    assert isinstance(load(f"{path}:build")[0][0].model, nn.Conv2d)
