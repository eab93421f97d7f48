"""`check` as a whole: bad input, suppression, selection, and the model left as it was."""

import copy

import pytest
import torch
from corpus.detached import HookedUNet
from corpus.droppath import Block
from net import Net, c2, seq
from torch import nn

from torchskip.errors import ArgumentError, SpecError
from torchskip.lint.check import check
from torchskip.lint.evidence import Evidence

X = torch.zeros(2, 4, 8, 8)


class Hidden(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = c2()

    def forward(self, x):
        x = self.a(x)
        return x + x  # torchskip: ignore[TS106]


class HiddenOther(Hidden):
    def forward(self, x):
        x = self.a(x)
        return x + x  # torchskip: ignore[TS101, TS2]


class HiddenAll(Hidden):
    def forward(self, x):
        x = self.a(x)
        return x + x  # torchskip: ignore


@pytest.mark.parametrize(
    ("kind", "codes", "hidden"), [(Hidden, [], 1), (HiddenOther, ["TS106"], 0), (HiddenAll, [], 1)]
)
def test_a_comment_hides_a_finding(kind, codes, hidden):
    report = check(kind(), X)
    assert ([f.code for f in report.findings], report.suppressed) == (codes, hidden)


def test_selection():
    model = Net(lambda s, x: (y := s.a(x).relu()) + y, a=c2())
    assert [f.code for f in check(model, X).findings] == ["TS106"]
    assert check(model, X, ignore=["TS1"]).findings == ()
    assert check(model, X, select=["TS2", "TS3"]).findings == ()
    with pytest.raises(
        SpecError, match=r"^'106' is no rule code; codes look like TS104, or TS1 for all errors$"
    ):
        check(model, X, ignore=["106"])


def test_exit_codes():
    report = check(Net(lambda s, x: x + s.a(x).relu(), a=c2()), X)
    assert [f.severity for f in report.findings] == ["note"]
    assert (report.exit_code(), report.exit_code("warning"), report.exit_code("note")) == (0, 0, 1)


def test_the_example_must_fit():
    with pytest.raises(
        ArgumentError, match=r"^Sequential does not take the example \(4, 8\): RuntimeError: "
    ):
        check(seq(c2()), torch.zeros(4, 8))
    with pytest.raises(ArgumentError, match=r"^check needs an example input; mend: "):
        check(seq(c2()))
    with pytest.raises(ArgumentError, match=r"^check needs a torch.nn.Module, got function$"):
        check(lambda x: x, X)


def test_a_model_that_raises_in_backward_is_still_checked():
    class Broken(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, g):
            raise ValueError("no gradient today")

    report = check(Net(lambda s, x: (y := Broken.apply(s.a(x))) + y, a=c2()), X)
    assert [(f.code, f.message) for f in report.findings] == [
        (
            "TS106",
            "a value is added to itself: both operands are the same (2, 4, 8, 8), the result "
            "is 2x it and no branch takes part",
        ),
        ("TS112", "backward fails: ValueError: no gradient today"),
    ]
    place = report.findings[1].source
    assert place is not None
    assert place.text == 'raise ValueError("no gradient today")'


def test_a_forward_without_return_loses_its_result():
    def forward(net, x):
        x + net.a(x)

    (found,) = check(Net(forward, a=c2()), X).findings
    assert (found.code, found.severity) == ("TS107", "error")
    assert found.message == "forward returns None: the result (2, 4, 8, 8) of add is lost"


def test_a_failure_does_not_stop_the_other_rules():
    model = seq(Net(lambda s, x: (y := s.a(x)) + y, a=c2()), c2(5, 4))
    assert [f.code for f in check(model, X).findings] == ["TS100", "TS106"]


@pytest.mark.parametrize(
    "model", [lambda: HookedUNet(True), lambda: seq(Block("sum"), nn.BatchNorm2d(4))]
)
def test_the_model_comes_back_as_it_was(model):
    model = model().train()
    shape = (2, 4, 16, 16)
    model(torch.randn(shape)).sum().backward()
    state = copy.deepcopy(model.state_dict())
    gradients = [p.grad.clone() for p in model.parameters() if p.grad is not None]
    hooks = [len(m._forward_hooks) for m in model.modules()]
    modes = [m.training for m in model.modules()]
    seed = torch.get_rng_state()
    check(model, torch.zeros(shape), verify_mends=True)
    assert torch.equal(seed, torch.get_rng_state())
    assert all(
        torch.equal(a, b) for a, b in zip(state.values(), model.state_dict().values(), strict=True)
    )
    assert all(
        torch.equal(a, b)
        for a, b in zip(
            gradients, [p.grad for p in model.parameters() if p.grad is not None], strict=True
        )
    )
    assert [len(m._forward_hooks) for m in model.modules()] == hooks
    assert [m.training for m in model.modules()] == modes


def test_the_report_says_what_ran():
    report = check(seq(c2(), nn.ReLU()), X)
    assert [(r.name, r.outcome) for r in report.ran][:2] == [
        ("evaluation", "2 operations"),
        ("training, batch 5", "2 operations"),
    ]
    assert str(report) == "Sequential: 0 skip connections, nothing found"


def test_what_is_written_in_place_is_seen_and_told_at_its_own_line():
    """The training pass runs out of place where that is the same: it must look the same."""
    model = seq(c2(), nn.ReLU(inplace=True), Net(lambda s, x: s.a(x).mul_(2), a=c2()))
    evidence = Evidence(model, (X,), {})
    assert evidence.outplace is evidence.outplace_training is None
    written, free = evidence.train_in_place.graph, evidence.train.graph
    assert [n.inplace for n in written.nodes] == [False, True, False, True]
    assert not any(n.inplace for n in free.nodes)
    assert [(n.source, n.module) for n in free.nodes] == [
        (n.source, n.module) for n in written.nodes
    ]
    assert free.nodes[3].source.text.startswith("model = seq(c2()")


class OverwrittenAtRest(nn.Module):
    """In evaluation alone, the activation overwrites what is added afterwards."""

    def __init__(self):
        super().__init__()
        self.a, self.b = c2(), c2()

    def forward(self, x):
        x = self.a(x)
        if self.training:
            return x + self.b(x)
        return self.b(x.relu_()) + x


def test_a_shortcut_overwritten_in_evaluation_alone():
    assert [f.code for f in check(OverwrittenAtRest(), X).findings] == ["TS104"]


@pytest.mark.parametrize(
    ("fail", "severity"),
    [
        (lambda x: torch._assert(False, "targets should not be none"), "note"),
        (lambda x: x.missing, "warning"),
        (lambda x: x.reshape(-1, 7), "warning"),
    ],
)
def test_how_much_a_failure_in_training_alone_says(fail, severity):
    model = Net(lambda s, x: s.a(x) + x if not s.training else fail(s.a(x)), a=c2())
    assert [(f.code, f.severity) for f in check(model, X).findings] == [("TS100", severity)]


def runs(model, *example):
    return [ran.name for ran in check(model, *example).ran][2:]


def test_only_what_could_tell_something_runs():
    numbers = "forward and backward with numbers"
    block = Net(lambda s, x: s.b(x) + s.c(s.a(x)), a=c2(stride=2), b=c2(k=1, stride=2), c=c2())
    assert runs(seq(block, nn.ReLU(inplace=True)), X) == [numbers]
    rounding = Net(lambda s, x: x + s.b(s.a(x)), a=c2(stride=2), b=nn.Upsample(scale_factor=2))
    assert runs(rounding, X) == ["size (2, 4, 9, 17)", "size (2, 4, 9, 9)", numbers]
    fitted = Net(
        lambda s, x: x + nn.functional.interpolate(s.a(x), size=x.shape[2:]), a=c2(stride=2)
    )
    assert runs(fitted, X) == ["size (2, 4, 9, 17)", numbers]
    fixed = Net(lambda s, x: s.a(x.reshape(-1, 4, 100, 100)), a=c2())
    assert runs(fixed, torch.zeros(1, 4, 100, 100)) == [numbers, numbers]
    squeezed = Net(lambda s, x: s.a(x).mean((2, 3), True).squeeze() + x[..., 0, 0], a=c2())
    assert runs(squeezed, X) == ["size (1, 4, 8, 8)", numbers]


def test_a_model_that_reads_values_is_tried_without_them_once_per_mode():
    seen = []

    def forward(s, x):
        seen.append((s.training, x.is_meta))
        return nn.functional.interpolate(s.a(x), size=x.shape[2:]) * float(x.abs().sum() >= 0) + x

    report = check(Net(forward, a=c2(stride=2)), X)
    assert [ran.name for ran in report.ran][2] == "size (2, 4, 9, 17)"
    assert seen.count((False, True)) == seen.count((True, True)) == 1


@pytest.mark.parametrize(
    ("function", "asks"),
    [
        (lambda s, x: x + s.a(x).relu(), False),
        (lambda s, x: x + s.a(x) * torch.zeros_like(x) + x.new_ones(8), False),
        (lambda s, x: x + s.a(x.float()), True),
        (lambda s, x: x + s.a(x).to(torch.float32), True),
        (lambda s, x: x + s.a(x).softmax(1, dtype=torch.float32), True),
        (lambda s, x: x + s.a(x) * torch.ones(8, 8), True),
        (lambda s, x: x + s.a(x) * torch.arange(8) / torch.tensor(8), False),
        (lambda s, x: x + s.a(x) * (torch.arange(8) / 8), True),
        (lambda s, x: x + s.a(x) * s.kept, True),
    ],
)
def test_half_runs_where_a_dtype_is_asked_for(function, asks):
    model = Net(function, a=c2())
    model.kept = torch.ones(8)
    assert Evidence(model, (X,), {}).makes_floats is asks
