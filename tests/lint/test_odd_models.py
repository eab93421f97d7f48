"""Models that are not plain modules on one tensor: nested, scripted, traced, lazy, compiled."""

import pytest
import torch
from net import Net, c2, seq
from torch import nn

from torchskip import errors
from torchskip.lint.check import check

X = torch.zeros(2, 4, 16, 16)
pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")


def doubled(pick):
    """A model with a fault behind an input that `pick` takes out of its container."""

    def forward(self, given):
        y = self.a(pick(given))
        return y + y

    return Net(forward, a=c2())


@pytest.mark.parametrize(
    ("pick", "given"),
    [
        (lambda g: g["image"], {"image": X, "size": 3}),
        (lambda g: g[1], [3, X]),
        (lambda g: g[0]["a"][0], ({"a": (X,)}, None)),
    ],
    ids=["dict", "list", "deep"],
)
def test_tensors_in_containers(pick, given):
    report = check(doubled(pick), given)
    assert [f.code for f in report.findings] == ["TS106"]
    assert [ran.name for ran in report.ran][:2] == ["evaluation", "training, batch 5"]


def residual():
    return seq(c2(), Net(lambda s, x: x + s.b(s.a(x)), a=c2(), b=nn.BatchNorm2d(4)))


@pytest.mark.parametrize("mode", [False, True])
def test_torchscript_comes_back_as_it_was(mode):
    script = torch.jit.trace(residual().eval(), X, check_trace=False)
    script.train(mode)
    before = {name: tensor.clone() for name, tensor in script.state_dict().items()}
    assert [f for f in check(script, X).findings if f.severity == "error"] == []
    assert [m.training for m in script.modules()] == [mode] * len(list(script.modules()))
    assert all(torch.equal(tensor, before[n]) for n, tensor in script.state_dict().items())


def test_scripted_modules_take_no_hooks():
    script = torch.jit.script(seq(c2(), nn.BatchNorm2d(4), nn.ReLU()))
    assert check(script, X).findings == ()


def test_a_lazy_model_must_run_first():
    with pytest.raises(errors.ArgumentError) as caught:
        check(seq(nn.LazyConv2d(4, 1)), X)
    assert str(caught.value) == (
        "Sequential has parameters without a shape yet ('0.weight'); mend: run the model once "
        "on the example, then check it"
    )


def test_a_compiled_model_is_read_as_it_was_written():
    model = torch.compile(doubled(lambda x: x))
    assert [f.code for f in check(model, X).findings] == ["TS106"]


def test_the_example_is_left_alone():
    class Writes(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed = nn.Embedding(9, 4)

        def forward(self, tokens):
            tokens += 1
            return self.embed(tokens % 9)

    tokens = torch.zeros(2, 5, dtype=torch.long)
    check(Writes(), tokens)
    assert tokens.eq(0).all()


@pytest.mark.parametrize("first", ["stream", "branch"])
@pytest.mark.parametrize("twice", [False, True])
def test_a_stream_of_many_sums(first, twice):
    """A pre-activation network is one sum of all its branches."""

    def forward(self, x):
        for _ in range(70):
            y = torch.tanh(x)
            x = x + y if first == "stream" else y + x
        y = self.a(x)
        return x + (y + x) if twice else x + y

    report = check(Net(forward, a=c2()), X)
    assert [f.code for f in report.findings if f.severity == "error"] == ["TS106"] * twice


@pytest.mark.parametrize("only_training", [False, True])
@pytest.mark.parametrize(
    "stop",
    [
        lambda x, y: x + y,
        lambda x, y: x - y,
        lambda x, y: x * y,
        lambda x, y: torch.cat([x, y], 1),
        lambda x, y: torch.stack([x, y]),
        lambda x, y: x.add_(y),
        lambda x, y: x.copy_(y),
        lambda x, y: x[:, :2].copy_(y),
        lambda x, y: torch.where(x > 0, x, y),
        lambda x, y: x.view(-1, 7),
    ],
    ids=["add", "sub", "mul", "cat", "stack", "add_", "copy_", "slice", "where", "view"],
)
def test_whatever_forward_stops_at_is_an_error_and_no_crash(stop, only_training):
    def forward(self, x):
        x = self.a(x)
        y = self.b(x)[:, :, 1:]
        return stop(x, y) if self.training or not only_training else x + self.b(x)

    report = check(Net(forward, a=c2(), b=c2()), X)
    assert {f.code for f in report.findings} & {"TS100", "TS101"}
