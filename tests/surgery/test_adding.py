"""Shortcuts for plain networks: nothing changes, then they train, then they come off again."""

import copy
import logging
import pickle

import pytest
import torch
import torchvision.models as tv
from nets import Residual
from torch import nn

from torchskip import inspect
from torchskip.errors import ArgumentError, SurgeryError
from torchskip.models.cifar import plainnet
from torchskip.nn import Skip
from torchskip.surgery import AddedSkip, with_skips, without_skips


def chain(*parts):
    """A number is a convolution with that many channels; `p`ool, `b`atch norm, `r`elu."""
    layers, before = [], 3
    for part in parts:
        if part == "p":
            layers.append(nn.MaxPool2d(2))
        elif part == "b":
            layers.append(nn.BatchNorm2d(before))
        elif part == "r":
            layers.append(nn.ReLU(inplace=True))
        else:
            layers.append(nn.Conv2d(before, part, 3, padding=1))
            before = part
    return nn.Sequential(*layers)


def around(model):
    return [m.around for m in model.modules() if isinstance(m, AddedSkip)]


def check(model, x, **options):
    """Add, compare, train a step, take away; return the network with its shortcuts."""
    model.eval()
    y = model(x)
    state = {k: v.clone() for k, v in model.state_dict().items()}
    net = with_skips(model, x, **options)
    assert torch.equal(net(x), y)
    names = set(state)
    assert {n for n in net.state_dict() if "added_skip" not in n} == names
    back = without_skips(net, x, which="*added_skip*")
    assert torch.equal(back(x), y)
    assert list(back.state_dict()) == list(state)
    assert all(torch.equal(v, state[k]) for k, v in model.state_dict().items())
    assert type(model) is type(net)
    assert not around(model)
    out = net.train()(torch.cat((x, x))[:3, :, :-1])  # another batch, another size
    out.square().sum().backward()
    skips = [m for m in net.modules() if isinstance(m, AddedSkip)]
    assert all(p.grad is not None for p in net.parameters())
    assert all(s.gate.alpha.grad.abs() > 0 for s in skips)
    torch.optim.SGD(net.parameters(), 1e-4).step()
    assert all(s.gate.alpha != 0 for s in skips)
    for other in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):  # noqa: S301
        assert torch.equal(other.eval()(x), net.eval()(x))
    return net


def test_a_plain_net_gets_the_shortcuts_of_its_residual_twin():
    model = plainnet(14)
    net = check(model, torch.randn(2, 3, 16, 16))
    blocks = [f"stages.{i}.{j}.unit.branch" for i in range(3) for j in range(2)]
    assert around(net) == [(f"{b}.conv1", f"{b}.bn2") for b in blocks]
    assert inspect(net, torch.zeros(1, 3, 16, 16)).totals == {"identity": 4, "projection": 2}


@pytest.mark.parametrize(
    ("make", "totals"),
    [
        (tv.resnet18, {"identity": 5, "projection": 3}),
        pytest.param(tv.resnet50, {"identity": 12, "projection": 4}, marks=pytest.mark.slow),
        (tv.mobilenet_v2, {"identity": 10, "projection": 7}),
    ],
)
def test_what_was_cut_is_found_again(make, totals):
    x = torch.randn(2, 3, 33, 33)
    plain = without_skips(make(num_classes=5), x)
    net = with_skips(plain.eval(), x)
    assert inspect(net, x, training=False).totals == totals
    assert torch.equal(net(x), plain(x))
    back = without_skips(net, x)
    assert torch.equal(back(x), plain(x))
    assert list(back.state_dict()) == list(plain.state_dict())


def test_vgg_keeps_its_stages():
    model = tv.vgg11_bn(num_classes=5)
    model.classifier = nn.Linear(512 * 49, 5)
    net = check(model, torch.randn(2, 3, 33, 33))
    assert around(net) == [
        ("features.8", "features.12"),
        ("features.15", "features.19"),
        ("features.22", "features.26"),
    ]


def test_pre_activation_leaves_before_the_norm():
    resnetv2 = pytest.importorskip("timm.models.resnetv2")
    x = torch.randn(2, 3, 33, 33)
    model = resnetv2.ResNetV2(layers=(2, 2), channels=(128, 256), stem_chs=32, num_classes=5)
    plain = without_skips(model, x).eval()
    net = with_skips(plain, x)
    assert around(net)[1] == ("stages.0.blocks.1.norm1", "stages.0.blocks.1.conv3")
    assert inspect(net, x, training=False).totals == {"projection": 2, "identity": 2}
    assert torch.equal(net(x), plain(x))
    assert torch.equal(without_skips(net, x)(x), plain(x))


@pytest.mark.parametrize(
    ("blocks", "count"),
    [((2, 3), 5), pytest.param((6, 12, 24, 16), 58, marks=pytest.mark.slow)],
)
def test_dense_blocks_without_their_concatenations(blocks, count):
    x = torch.randn(1, 3, 32, 32)
    model = tv.DenseNet(block_config=blocks, num_init_features=8, growth_rate=4, num_classes=5)
    plain = without_skips(model, x, which="dense").eval()
    net = with_skips(plain, x)
    assert len(around(net)) == count
    assert torch.equal(net(x), plain(x))
    assert torch.equal(without_skips(net, x, which="*added_skip*")(x), plain(x))


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ((4, "r", 4, "r", 4, "r"), [("2", "4")]),
        ((4, "b", "r", 4, "b", "r", 4, "b", "r"), [("3", "7")]),
        ((4, "r", 4, "r", "p", 4, "r", 8, "r", 8, "r"), [("5", "9")]),
        ((4, 4, 4, 4, 4), [("1", "2"), ("3", "4")]),
        (("b", 4, "r", 4, 4, "p", 8, 8), [("3", "4"), ("6", "7")]),
    ],
)
def test_chains(parts, expected):
    net = check(chain(*parts), torch.randn(2, 3, 10, 10))
    assert around(net) == expected


@pytest.mark.parametrize(
    "norm", [lambda: nn.GroupNorm(2, 4), lambda: nn.InstanceNorm2d(4), nn.Identity]
)
def test_norms_whose_record_holds_their_sizes(norm):
    layers = [nn.Conv2d(3, 4, 3)]
    for stride in (1, 1, 2, 1):
        layers += [nn.Conv2d(4, 4, 3, stride, padding=1), norm(), nn.ReLU()]
    net = check(nn.Sequential(*layers), torch.randn(2, 3, 15, 15))
    assert [last for _, last in around(net)] == (
        ["4", "10"] if norm is nn.Identity else ["5", "11"]
    )


class Causal(nn.Module):
    """Two dilated convolutions that look back only: the cut's end is the example's length."""

    def __init__(self):
        super().__init__()
        self.convs = nn.ModuleList(nn.Conv1d(3, 3, 3, padding=2 * d, dilation=d) for d in (1, 2))

    def forward(self, x):
        for conv in self.convs:
            x = conv(x)[..., : x.shape[-1]].relu()
        return x


class Channels(nn.Module):
    """The second half of a ConvNeXt block: linear layers over the channels, last."""

    def __init__(self):
        super().__init__()
        self.widen, self.narrow = nn.Linear(3, 6), nn.Linear(6, 3)

    def forward(self, x):
        return self.narrow(self.widen(x.movedim(1, -1)).relu()).movedim(-1, 1)


@pytest.mark.parametrize("make", [Causal, Channels])
def test_a_stretch_whose_record_holds_its_sizes(make):
    shape = (2, 3, 11) if make is Causal else (2, 3, 8, 8)
    net = check(nn.Sequential(make(), nn.Identity()), torch.randn(shape), around=[("0", "0")])
    assert isinstance(net.get_submodule("0.added_skip").shortcut, nn.Identity)


def test_a_stretch_of_other_sizes_whose_record_holds_them():
    with pytest.raises(SurgeryError) as error:
        with_skips(Causal(), torch.randn(2, 3, 11), around=[("convs.0", "convs.1")])
    assert str(error.value) == (
        "the way from 'convs.0' to 'convs.1' tells no geometry, only (2, 3, 11) to (2, 3, 15)\n"
        "  mend: go around layers that keep the shape, or around convolutions alone"
    )


def test_a_block_that_runs_twice_says_so():
    model = nn.Sequential(nn.Conv2d(3, 4, 1), Twice())
    with pytest.raises(SurgeryError, match=r"'1.f.1' runs 2 times in one pass"):
        with_skips(model, torch.randn(1, 3, 8, 8))


class Twice(nn.Module):
    def __init__(self):
        super().__init__()
        self.f = nn.Sequential(nn.Conv2d(4, 4, 1), nn.Conv2d(4, 4, 1))

    def forward(self, x):
        return self.f(self.f(x))


def test_every_and_around():
    x = torch.randn(1, 3, 8, 8)
    model = chain(4, "r", 4, "r", 4, "r", 4, "r", 6)
    assert around(check(model, x, every=1)) == [("2", "2"), ("4", "4"), ("6", "6"), ("8", "8")]
    assert around(check(model, x, every=4)) == [("2", "8")]
    net = check(model, x, around=[("0", "4"), ("6", "6")])
    assert around(net) == [("0", "4"), ("6", "6")]
    assert around(check(model, x, around=[("6", "8")], shortcut="pad")) == [("6", "8")]


def test_random_chains():
    generator = torch.Generator().manual_seed(3)

    def draw(n):
        return int(torch.randint(n, (), generator=generator))

    added = 0
    for _ in range(12):
        layers, before = [nn.Conv2d(3, 4, 3, padding=1)], 4
        for _ in range(3 + draw(4)):
            width, kernel = (4, 4, 6)[draw(3)], (1, 3, 5)[draw(3)]
            stride, padding = (1, 1, 2)[draw(3)], draw(kernel // 2 + 2)
            layers += [nn.Conv2d(before, width, kernel, stride, padding), nn.ReLU(inplace=True)]
            if draw(2):
                layers.insert(-1, nn.BatchNorm2d(width))
            before = width
        net = check(nn.Sequential(*layers), torch.randn(2, 3, 37, 37, generator=generator))
        added += len(around(net))
    assert added > 15


def test_the_shortcut_takes_a_value_before_it_is_overwritten():
    x = torch.randn(2, 4, 8, 8)
    model = nn.Sequential(nn.ReLU(inplace=True), nn.Conv2d(4, 4, 1), nn.Conv2d(4, 4, 1))
    net = with_skips(model, x.clone(), around=[("0", "2")])
    with torch.no_grad():
        net.get_submodule("2.added_skip").gate.alpha.fill_(1.0)
    assert torch.equal(net(x.clone()), x + model(x.clone()))


def test_a_training_step_moves_towards_the_shortcut():
    x = torch.randn(2, 3, 8, 8)
    model = chain(4, 4, 4)
    net = with_skips(model, x)
    skip = net.get_submodule("2.added_skip")
    with torch.no_grad():
        skip.gate.alpha.fill_(0.5)
    head = model[0](x)
    torch.testing.assert_close(net(x), model[2](model[1](head)) + 0.5 * head)


def test_projections_follow_from_the_seed_and_leave_the_generator_as_it_was():
    model, x = chain(4, 4, 6), torch.randn(2, 3, 8, 8)

    def project(seed):
        torch.manual_seed(seed)
        before = torch.get_rng_state()
        one, other = (with_skips(model, x).get_submodule("2.added_skip") for _ in range(2))
        assert torch.equal(before, torch.get_rng_state())
        assert torch.equal(one.shortcut.weight, other.shortcut.weight)
        return one.shortcut.weight

    assert not torch.equal(project(1), project(2))


def test_the_equality_is_said(caplog):
    with caplog.at_level(logging.INFO, logger="torchskip"):
        with_skips(chain(4, 4, 4), torch.randn(1, 3, 8, 8))
        with_skips(chain(4, 4, 4).to("meta"), torch.randn(1, 3, 8, 8, device="meta"))
    assert caplog.messages == [
        "Sequential: 1 shortcuts added; the output is equal before training",
        "Sequential: 1 shortcuts added; not run, because there is no data",
    ]


def test_a_model_that_overflows_is_refused():
    model = chain(4, 4, 6)
    with torch.no_grad():
        model[0].bias.fill_(3e38)
        model[1].weight.zero_()
    with pytest.raises(SurgeryError, match="gives another output"):
        with_skips(model, torch.ones(1, 3, 8, 8))


def test_nowhere_to_go_around():
    x = torch.randn(1, 4, 8, 8)
    with pytest.raises(SurgeryError) as error:
        with_skips(nn.Sequential(Residual(), Skip(nn.Conv2d(4, 4, 1), nn.Conv2d(4, 4, 1))), x)
    assert str(error.value) == (
        "Sequential has no stretch of 2 convolutions in a row without a skip; it has 2 skips\n"
        "  mend: every=1, or around=[(first module, last module)]"
    )
    for pair in (("0", "0"), ("1", "0"), ("0.f.0", "1")):
        with pytest.raises(ArgumentError, match="is no way through Sequential"):
            with_skips(nn.Sequential(Residual(), Residual()), x, around=[pair])
    with pytest.raises(SurgeryError, match=r"skips\n  mend: around="):
        with_skips(nn.Sequential(nn.Flatten(), nn.Linear(256, 2)), x, every=1)
    with pytest.raises(ArgumentError, match="every=0 layers is no stretch"):
        with_skips(Residual(), x, every=0)
    with pytest.raises(SurgeryError, match="does not run on the example"):
        with_skips(chain(4, 4, 4), x)


def test_parts_run_alone_say_what_is_missing():
    x = torch.randn(1, 3, 8, 8)
    net = with_skips(chain(4, 4, 4), x)
    with pytest.raises(SurgeryError) as error:
        net[2](torch.randn(1, 4, 8, 8))
    assert str(error.value) == (
        "'2' runs without '1' before it, where its shortcut leaves\n"
        "  mend: run the model as a whole, without checkpoints between the two"
    )
