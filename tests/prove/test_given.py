"""A network of the user's own, compared with the twin that surgery makes of it."""

import io
import json
import math

import pytest
import torch
from rich.console import Console
from torch import nn

from torchskip.errors import ArgumentError, SpecError, TrainingError
from torchskip.measure import lesions
from torchskip.prove import Experiment, Plan, compare
from torchskip.prove.given import GivenTwins
from torchskip.prove.joined import Joined, left_out


class Block(nn.Module):
    """A residual block as it is written by hand."""

    def __init__(self, before, width, stride=1):
        super().__init__()
        self.branch = nn.Sequential(
            nn.Conv2d(before, width, 3, stride, padding=1),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1),
        )
        self.down = nn.Conv2d(before, width, 1, stride) if before != width else None

    def forward(self, x):
        shortcut = x if self.down is None else self.down(x)
        return (self.branch(x) + shortcut).relu()


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(1, 4, 3, padding=1)
        self.blocks = nn.Sequential(Block(4, 4), Block(4, 8, 2), Block(8, 8))
        self.head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 10))

    def forward(self, x):
        return self.head(self.blocks(self.stem(x)))


class Plain(nn.Sequential):
    def __init__(self):
        convolutions = [nn.Conv2d(1, 4, 3, padding=1)]
        for _ in range(4):
            convolutions += [nn.ReLU(), nn.Conv2d(4, 4, 3, padding=1)]
        super().__init__(*convolutions, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 10))


IMAGE = (1, 14, 14)


def experiment(out, **options):
    settings = {"seeds": 1, "plan": Plan(epochs=1, batch=40, lr=0.02), "accelerator": "cpu"}
    return Experiment(**settings | {"out": out} | options)


def equal(one, other):
    return all(torch.equal(value, other[name]) for name, value in one.items())


def test_a_residual_network_loses_its_skips_and_keeps_its_weights():
    pair = GivenTwins(Residual, IMAGE)(0, 3)
    plain, residual = pair["plain"].state_dict(), pair["residual"].state_dict()
    assert residual.keys() - plain.keys() == {"blocks.1.down.weight", "blocks.1.down.bias"}
    assert equal(plain, residual)
    x, net = torch.rand(2, *IMAGE), pair["residual"]
    wanted = net.stem(x)
    for block in net.blocks:
        wanted = block.branch(wanted).relu()
    assert torch.equal(pair["plain"](x), net.head(wanted))


def test_a_plain_network_gets_skips_and_answers_the_same_before_training():
    pair = GivenTwins(Plain, IMAGE)(0, 3)
    x = torch.rand(2, *IMAGE)
    assert torch.equal(pair["plain"](x), pair["residual"](x))
    assert equal(pair["plain"].state_dict(), pair["residual"].state_dict())
    (told,) = GivenTwins(Plain, IMAGE).tell(pair, 3)
    assert told == (
        "2 shortcuts are added to the network, which has none (684 parameters with skips, 682 "
        "without). Before training the output of both is equal to the last bit."
    )


def test_each_seed_has_its_weights_and_leaves_the_generators_alone():
    before = torch.random.get_rng_state()
    twins = GivenTwins(Residual, IMAGE)
    first, again, other = (twins(0, seed)["plain"].state_dict() for seed in (0, 0, 1))
    assert equal(first, again)
    assert not equal(first, other)
    assert torch.equal(torch.random.get_rng_state(), before)


FILE = """
from torch import nn
from torchskip.nn import Skip

class Net(nn.Sequential):
    def __init__(self):
        branch = nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 4, 1))
        super().__init__(
            nn.Conv2d(1, 4, 3), Skip(branch), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
            nn.Linear(4, 10),
        )

class Other(Net):
    pass
"""


def test_what_is_cut_can_be_chosen():
    twins = GivenTwins(Residual, IMAGE, which=("identity",))
    assert "blocks.1.down.weight" in twins(0, 0)["plain"].state_dict()
    assert twins.tell(twins(0, 0), 0) == (
        "Cut from the plain twin: 2 identity (2,514 parameters with skips, 2,514 without). Kept in "
        "both: 1 projection.",
    )


def test_one_network_for_all_seeds_is_said_and_stays_as_it_is(few, tmp_path):
    net = Residual()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    found = compare(experiment(tmp_path), model=lambda: net, images=few)
    assert any("every seed begins with the same ones" in note for note in found.notes)
    assert equal(before, net.state_dict())


def test_the_whole_comparison(few, tmp_path):
    console = Console(file=io.StringIO(), width=500)
    found = compare(experiment(tmp_path), model=Residual, images=few, console=console)
    plain, residual = found.runs
    assert (plain.network, residual.network, plain.depth) == ("plain", "residual", 0)
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "plain-seed-0",
        "report.html",
        "residual-seed-0",
        "results.json",
    ]
    assert [math.isnan(v) for v in plain.anatomy.lesions] == [False, True, False]
    assert not any(math.isnan(v) for v in residual.anatomy.lesions)
    assert len(residual.anatomy.shares) == len(residual.anatomy.changes) == 3
    assert sum(residual.anatomy.lengths) == pytest.approx(1)
    assert plain.anatomy.shares == plain.anatomy.lengths == ()
    page = (tmp_path / "report.html").read_text()
    assert "<title>Residual: 3 skip connections (2 identity, 1 projection)</title>" in page
    assert "<title>Residual: 0 skip connections</title>" in page
    assert "In Residual " in page
    for note in found.notes:
        assert note in console.file.getvalue()
    assert json.loads((tmp_path / "results.json").read_text())["model"] == "Residual"
    again = compare(experiment(tmp_path, resume=True), model=Residual, images=few)
    assert repr(again.runs) == repr(found.runs)
    cut = {"model": Residual, "which": ("identity",)}
    with pytest.raises(TrainingError, match="is of another training\n  which: "):
        compare(experiment(tmp_path, resume=True), images=few, **cut)


def test_a_spec_as_on_the_command_line(few, tmp_path):
    file = tmp_path / "net.py"
    file.write_text(FILE)
    spec, options = f"{file}:Net", {"images": few, "which": "identity,projection"}
    found = compare(experiment(tmp_path / "out"), model=spec, **options)
    assert found.model == spec
    assert found.notes[0].startswith("Cut from the plain twin: 1 identity")
    with pytest.raises(SpecError, match="leads to several models"):
        compare(experiment(tmp_path / "other"), model=str(file), images=few)
    with pytest.raises(SpecError, match="names no model"):
        compare(experiment(tmp_path / "other"), model="resnet18", images=few)
    with pytest.raises(ArgumentError, match="of type str\n  mend: compare"):
        compare(spec, images=few)
    assert not (tmp_path / "other").exists()


def test_a_lesion_is_the_network_without_that_block():
    pair = GivenTwins(Residual, IMAGE)(0, 0)
    x = torch.rand(8, *IMAGE)

    def answers(name):
        joined = Joined.of(pair, name, pair[name], None, x)
        whole, which, shortcuts = joined.network, joined.which, joined.shortcuts
        found = lesions(whole, lambda net: net(x), x, which=which, shortcuts=shortcuts)
        assert torch.equal(found.intact, pair[name](x))
        return found.dropped

    net = pair["residual"]
    one, two, three = net.blocks
    begun = net.stem(x).relu()  # of the first block its ReLU is left
    plain = answers("plain")
    assert [*plain] == ["blocks.0", "blocks.2"]
    second = two.branch(begun).relu()
    assert torch.equal(plain["blocks.0"], net.head(three.branch(second).relu()))
    last = two.branch(one.branch(net.stem(x)).relu()).relu()
    assert torch.equal(plain["blocks.2"], net.head(last.relu()))
    residual = answers("residual")
    assert torch.equal(residual["blocks.0"], net.head(three(two(begun))))
    middle = two.down(one(net.stem(x))).relu()
    assert torch.equal(residual["blocks.1"], net.head(three(middle)))


def test_skips_that_are_no_meeting_of_two_arms_are_told():
    assert left_out(Residual(), IMAGE, None) == ()
    assert left_out(Three(), IMAGE, None) == (
        "1 of 3 skips are no meeting of two arms and left out of the measures: lesions, gradient "
        "by the shortcut, path lengths, changes of the stream.",
    )


class Three(Residual):
    """The last block's sum has three arms."""

    def forward(self, x):
        x, branch = self.blocks[:2](self.stem(x)), self.blocks[2].branch
        return self.head(x + branch(x) + branch(x.relu()))


@pytest.mark.parametrize(
    ("options", "given", "message"),
    [
        (
            {"depths": (8,)},
            {"model": Residual},
            "depths=(8,) is for the built-in networks, and a model is given\n"
            "  mend: leave out depths",
        ),
        (
            {},
            {"model": nn.Linear},
            "Linear makes no network: Linear.__init__() missing 2 required positional arguments: "
            "'in_features' and 'out_features'\n"
            "  mend: a function without arguments, such as functools.partial(...)",
        ),
        (
            {},
            {"model": Residual()},
            "model is a Residual, and every seed needs a new one\n"
            "  mend: model=Residual, the class or a function that makes it; or lambda: model, "
            "with which all seeds begin with its weights",
        ),
        (
            {},
            {"model": lambda: 1},
            "<lambda> made an object of type int\n  mend: let it return a torch.nn.Module",
        ),
    ],
)
def test_what_is_no_network_is_refused(few, tmp_path, options, given, message):
    with pytest.raises(TrainingError) as caught:
        compare(experiment(tmp_path, **options), images=few, **given)
    assert str(caught.value) == message
    assert not list(tmp_path.iterdir())


def test_one_of_model_and_twins(few, tmp_path):
    with pytest.raises(ArgumentError) as caught:
        compare(experiment(tmp_path), model=Residual, twins=GivenTwins(Residual, IMAGE), images=few)
    assert str(caught.value) == "model and twins are both given\n  mend: one of the two"
