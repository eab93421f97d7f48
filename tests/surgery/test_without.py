"""Plain twins against networks whose plain form is written by hand."""

import copy
import pickle
import random
import re

import pytest
import torch
import torch.nn.functional as F
import torchvision.models as tv
from nets import (
    JOINS,
    Block,
    Checkpointed,
    Dynamic,
    EarlyReturn,
    Functional,
    Residual,
    Shared,
)
from torch import nn

from torchskip import inspect
from torchskip.errors import ArgumentError, SurgeryError
from torchskip.models.cifar import plainnet, resnet
from torchskip.nn import Skip
from torchskip.surgery import without_branches, without_skips

SMALL = torch.randn(2, 4, 12, 12, generator=torch.Generator().manual_seed(1))


class PlainBlock(nn.Module):
    """torchvision's BasicBlock without its addition."""

    def __init__(self, block):
        super().__init__()
        self.b = block

    def forward(self, x):
        b = self.b
        return b.relu(b.bn2(b.conv2(b.relu(b.bn1(b.conv1(x))))))


def plain_by_hand(model):
    model = copy.deepcopy(model)
    for layer in (model.layer1, model.layer2, model.layer3, model.layer4):
        for i in range(len(layer)):
            layer[i] = PlainBlock(layer[i])
    return model


def gradients(model, x):
    model.zero_grad()
    x = x.clone().requires_grad_()
    y = model(x)
    y.square().sum().backward()
    named = {n.replace(".b.", "."): p.grad for n, p in model.named_parameters()}
    return y.detach(), x.grad, {n: g for n, g in named.items() if g is not None}


@pytest.mark.parametrize("training", [False, True])
def test_resnet18_has_the_outputs_and_gradients_of_its_plain_form(training, untouched):
    model, x = tv.resnet18(num_classes=10), torch.randn(2, 3, 40, 40)
    before = untouched.snapshot(model)
    twin = without_skips(model, x)
    untouched(model, before)
    hand = plain_by_hand(model).train(training)
    y, dx, grads = gradients(twin.train(training), x)
    y_hand, dx_hand, grads_hand = gradients(hand, x)
    assert torch.equal(y, y_hand)
    assert torch.equal(dx, dx_hand)
    assert grads.keys() == grads_hand.keys()
    assert all(torch.equal(grads[n], grads_hand[n]) for n in grads)
    assert all(p.grad is not None for p in twin.parameters())


def test_the_twin_lacks_the_projections_and_nothing_else():
    model = tv.resnet18()
    twin = without_skips(model, torch.zeros(1, 3, 32, 32))
    gone = {n for n in model.state_dict() if ".downsample." in n}
    assert len(gone) == 18
    assert list(twin.state_dict()) == [n for n in model.state_dict() if n not in gone]
    assert {n for n, _ in twin.named_parameters()} == {
        n for n, _ in model.named_parameters() if ".downsample." not in n
    }
    assert inspect(twin, torch.zeros(1, 3, 32, 32), training=False).totals == {}


@pytest.mark.parametrize("name", JOINS)
def test_every_way_to_write_a_join(name, untouched):
    join, plain = JOINS[name]
    block = Block(join, plain)
    before = untouched.snapshot(block)
    twin = without_skips(block, SMALL)
    untouched(block, before)
    assert inspect(twin, SMALL).totals == {}
    for training in (False, True):
        hand = copy.deepcopy(twin).train(training)
        hand.forward = lambda x, f=hand.f: F.relu(plain(f(x)))
        hand.__class__ = Block
        for shape in ((3, 4, 9, 7), (2, 4, 12, 12)):  # another size and batch
            x = torch.randn(shape)
            y, dx, grads = gradients(twin.train(training), x)
            y_hand, dx_hand, grads_hand = gradients(hand, x)
            torch.testing.assert_close(y, y_hand)
            torch.testing.assert_close(dx, dx_hand)
            torch.testing.assert_close(grads, grads_hand)


def test_the_sum_keeps_memory_of_its_own():
    class Net(Residual):
        def forward(self, x):
            branch = torch.sigmoid(self.f(x))  # saves its result for the backward pass
            y = x + branch
            return F.relu_(y.sub_(0.5)) + 0 * branch.detach()

    net, x = Net(), SMALL.clone().requires_grad_()
    y = without_skips(net, SMALL, which=0)(x)
    assert torch.equal(y, F.relu(torch.sigmoid(net.f(x)) - 0.5))
    y.sum().backward()
    assert x.grad.abs().sum() > 0


def test_a_network_in_one_function():
    net, x = Functional(), torch.randn(2, 3, 8, 8)
    twin = without_skips(net, x)
    assert torch.equal(twin(x), net(x, skip=False))
    assert set(net.state_dict()) - set(twin.state_dict()) == {"project"}


def test_cifar_twins_agree_with_the_hand_written_plain_net():
    x = torch.randn(2, 3, 16, 16)
    for shortcut in ("pad", "auto"):
        torch.manual_seed(1)
        net = resnet(14, shortcut=shortcut)
        torch.manual_seed(1)
        plain = plainnet(14)
        twin = without_skips(net, x)
        assert torch.equal(twin(x), plain(x))
        assert twin.state_dict().keys() == plain.state_dict().keys()


@pytest.mark.parametrize(
    ("make", "which", "gone"),
    [
        (tv.mobilenet_v2, ("identity", "projection"), 0),
        pytest.param(tv.resnet50, ("identity", "projection"), 24, marks=pytest.mark.slow),
        pytest.param(tv.densenet121, "dense", 0, marks=pytest.mark.slow),
        (tv.regnet_y_400mf, ("identity", "projection"), 24),
        (tv.regnet_y_400mf, "gate", 0),
        (tv.shufflenet_v2_x0_5, "split-concat", 0),
    ],
)
def test_networks_of_torchvision(make, which, gone, untouched):
    model, x = make(), torch.randn(2, 3, 33, 33)
    before = untouched.snapshot(model)
    found = inspect(model, x, training=False).totals
    twin = without_skips(model, x, which=which)
    untouched(model, before)
    left = inspect(twin, x, training=False).totals
    assert left == {k: n for k, n in found.items() if k not in which}
    assert len(model.state_dict()) - len(twin.state_dict()) == gone
    twin.train()(torch.randn(3, 3, 40, 33)).square().mean().backward()
    assert all(p.grad is not None for p in twin.parameters())


def test_pre_activation_of_timm():
    timm = pytest.importorskip("timm")
    model, x = timm.create_model("resnetv2_50", drop_path_rate=0.5), torch.randn(2, 3, 33, 33)
    twin = without_skips(model, x)
    assert inspect(twin, x, training=False).totals == {}
    assert set(model.state_dict()) - set(twin.state_dict()) == {
        f"stages.{i}.blocks.0.downsample.conv.weight" for i in range(4)
    }


def test_the_newest_features_alone_go_on_in_a_dense_block():
    class Dense(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Conv2d(4, 2, 1), nn.Conv2d(6, 2, 1)
            self.head = nn.Conv2d(8, 3, 1)

        def forward(self, x):
            a = self.a(x)
            b = self.b(torch.cat((x, a), 1))
            return self.head(torch.cat((x, a, b), 1))

    net = Dense()
    twin = without_skips(net, SMALL, which=("dense", "concat"))
    zeros = torch.zeros_like(SMALL)
    b = net.b(torch.cat((zeros, net.a(SMALL)), 1))
    expected = net.head(torch.cat((zeros, torch.zeros_like(b), b), 1))
    assert torch.equal(twin(SMALL), expected)


def test_gates_lose_what_they_scale():
    class Squeeze(nn.Module):
        def __init__(self):
            super().__init__()
            self.g = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(4, 4, 1), nn.Sigmoid())

        def forward(self, x):
            return x * self.g(x)

    class Highway(Residual):
        def __init__(self):
            super().__init__()
            self.t = nn.Conv2d(4, 4, 1)

        def forward(self, x):
            t = torch.sigmoid(self.t(x))
            return t * self.f(x) + (1 - t) * x

    net = Squeeze()
    twin = without_skips(net, SMALL, which="gate")
    assert torch.equal(twin(SMALL), net.g(SMALL).expand(SMALL.shape))
    net = Highway()
    twin = without_skips(net, SMALL, which="gate")
    assert torch.equal(twin(SMALL), torch.sigmoid(net.t(SMALL)) * net.f(SMALL))
    with pytest.raises(ArgumentError, match="it has   1 gate"):
        without_skips(net, SMALL)


def test_u_net_loses_its_encoder_features():
    class UNet(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
            self.c = nn.Conv2d(8, 2, 1)

        def forward(self, x):
            a = F.relu(self.a(x))
            b = F.interpolate(F.relu(self.b(F.max_pool2d(a, 2))), scale_factor=2.0)
            return self.c(torch.cat([a, b], 1))

    net = UNet()
    twin = without_skips(net, SMALL, which="long")
    b = F.interpolate(F.relu(net.b(F.max_pool2d(F.relu(net.a(SMALL)), 2))), scale_factor=2.0)
    assert torch.equal(twin(SMALL), net.c(torch.cat([torch.zeros_like(b), b], 1)))


def test_a_skip_that_looks_like_two_parallel_convolutions():
    block, x = Skip(nn.Conv2d(4, 6, 3, stride=2, padding=1)), SMALL
    assert inspect(block, x).totals == {}
    plain = without_skips(block, x)
    assert torch.equal(plain(x), block.branch(x))
    assert [*plain.state_dict()] == ["branch.weight", "branch.bias"]
    assert torch.equal(without_branches(block, x)(x), block.shortcut(x))


def test_one_of_several():
    net = nn.Sequential(Residual(), Residual(), Residual())
    expected = net[2](net[1].f(net[0](SMALL)))
    found = inspect(net, SMALL)
    for which in (
        1,
        -2,
        "1",
        "[1]",
        found.skips[1],
        [found.skips[1]],
        lambda s: s.join == found.skips[1].join,
    ):
        assert torch.equal(without_skips(net, SMALL, which=which)(SMALL), expected)


def test_one_call_of_a_shared_block():
    net = Shared(3)
    f = net.block.f
    assert torch.equal(without_skips(net, SMALL)(SMALL), f(f(f(SMALL))))
    twin = without_skips(net, SMALL, which=1)
    expected = net.block(f(net.block(SMALL)))
    for _ in range(2):
        assert torch.equal(twin(SMALL), expected)
    twin = without_skips(twin, SMALL, which=0)
    assert torch.equal(twin(SMALL), net.block(f(f(SMALL))))
    twin.times = 4
    message = "'block' runs for the 4. time in one pass; it ran 3 times when it was cut"
    with pytest.raises(SurgeryError, match=re.escape(message)):
        twin(SMALL)


def test_twice_cut_is_cut_once_and_again():
    net = nn.Sequential(Residual(), Residual())
    once = without_skips(net, SMALL, which=0)
    again = without_skips(once, SMALL)
    assert torch.equal(again(SMALL), net[1].f(net[0].f(SMALL)))
    assert torch.equal(once(SMALL), net[1](net[0].f(SMALL)))


@pytest.mark.parametrize("reentrant", [False, True])
def test_checkpointed_blocks_are_cut_in_the_backward_pass_too(reentrant):
    net = Checkpointed(reentrant)
    twin = without_skips(net, SMALL)
    hand = nn.Sequential(net.a.f, net.b.f)
    y, dx, grads = gradients(twin, SMALL)
    y_hand, dx_hand, grads_hand = gradients(hand, SMALL)
    assert torch.equal(y, y_hand)
    assert torch.equal(dx, dx_hand)
    assert list(map(torch.equal, grads.values(), grads_hand.values())) == [True] * 8
    with pytest.raises(SurgeryError, match="it runs in a checkpointed function, which runs again"):
        without_skips(Checkpointed(reentrant, bare=True), SMALL)


def test_stochastic_depth_cannot_drop_the_only_way():
    net = nn.Sequential(Skip(nn.Conv2d(4, 4, 3, padding=1), drop_path=0.9))
    twin = without_skips(net, SMALL).train()
    assert torch.equal(twin(SMALL), net[0].branch(SMALL))
    model, x = tv.efficientnet_b0(stochastic_depth_prob=0.9, dropout=0.0), torch.randn(2, 3, 32, 32)
    twin = without_skips(model, x).train()
    assert torch.equal(twin(x), twin(x))


def test_copies_of_the_twin_are_twins():
    model, x = tv.resnet18(num_classes=3).eval(), torch.randn(1, 3, 32, 32)
    twin = without_skips(model, x)
    y = twin(x)
    other = copy.deepcopy(twin)
    assert torch.equal(other(x), y)
    assert torch.equal(pickle.loads(pickle.dumps(twin))(x), y)  # noqa: S301
    with torch.no_grad():
        other.conv1.weight.zero_()
    assert torch.equal(twin(x), y)
    fresh = without_skips(tv.resnet18(num_classes=3).eval(), x)
    fresh.load_state_dict(twin.state_dict())
    assert torch.equal(fresh(x), y)
    assert torch.equal(twin.layer1(twin.conv1(x)), fresh.layer1(fresh.conv1(x)))
    assert isinstance(twin.layer1[0], tv.resnet.BasicBlock)


def test_graph_modules_and_hooks():
    net = Residual()
    twin = without_skips(torch.fx.symbolic_trace(net), SMALL)
    for other in (copy.deepcopy(twin), pickle.loads(pickle.dumps(twin))):  # noqa: S301
        assert torch.equal(other(SMALL), net.f(SMALL))
    twin = without_skips(net, SMALL)
    twin.register_forward_hook(lambda m, a, y: y + 1)  # one frame more between call and forward
    assert torch.equal(twin(SMALL), net.f(SMALL) + 1)


@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")
@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
def test_other_modes_of_torch_stand_between():
    twin = without_skips(Residual(), SMALL)
    with torch.device("cpu"), torch.inference_mode():
        assert torch.equal(twin(SMALL), twin.f(SMALL))
    assert torch.equal(torch.jit.trace(twin, SMALL)(SMALL), twin.f(SMALL))
    with torch.autocast("cpu", torch.bfloat16):
        assert twin(SMALL).dtype is torch.bfloat16
    exported = torch.export.export(twin, (SMALL,)).module()
    assert torch.equal(exported(SMALL), twin.f(SMALL))


def test_a_call_that_the_interpreter_specialises_stays_cut():
    join, plain = JOINS["sum"]
    twin = without_skips(Block(join, plain), SMALL).eval()
    for _ in range(64):
        twin(SMALL)


def test_loops_may_take_other_turns_unless_one_alone_is_cut():
    net = Dynamic()
    twin = without_skips(net, torch.randn(1, 4, 16, 8))
    x = torch.randn(1, 4, 32, 8)
    f = net.f
    assert torch.equal(twin(x), f(f(f(f(x)))))
    twin = without_skips(net, torch.randn(1, 4, 16, 8), which=0)
    with pytest.raises(SurgeryError) as error:
        twin(x)
    assert str(error.value) == (
        "the forward of the model takes another way than on the example it was cut on\n"
        "  the join `x = x + self.f(x)` ran 4 times now, 2 then\n"
        "  mend: cut it on an example of this kind; where it returns early at random "
        "(stochastic depth), set that probability to 0"
    )


def test_a_join_that_is_not_met_is_an_error():
    twin = without_skips(EarlyReturn(), SMALL)
    random.seed(1)  # the first number is below a half
    with pytest.raises(SurgeryError, match="ran 0 times now, 1 then"):
        twin.train()(SMALL)
    assert torch.equal(twin.eval()(SMALL), twin.f(SMALL))


@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")
def test_what_cannot_be_cut_says_why():
    with pytest.raises(SurgeryError) as error:
        without_skips(Residual(), torch.randn(1, 3, 8, 8))
    lines = str(error.value).splitlines()
    assert lines[0] == "Residual does not run on the example in 'f.0'"
    assert lines[1].startswith("  RuntimeError: Given groups=1, weight of size [4, 4, 3, 3]")
    assert lines[3] == (
        "  mend: give an example that the model accepts; surgery follows one forward pass"
    )
    with pytest.raises(SurgeryError, match="it runs in TorchScript or inside another torch"):
        without_skips(torch.jit.script(nn.Sequential(Residual())), SMALL)
    with pytest.raises(SurgeryError, match=r"needs a torch\.nn\.Module, got function"):
        without_skips(lambda x: x, SMALL)
    holder = Residual()
    holder.cache = holder.f(SMALL)  # a tensor with a history
    with pytest.raises(SurgeryError, match="Residual cannot be copied"):
        without_skips(holder, SMALL)


def test_a_hand_written_backward_is_not_cut():
    class Sum(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, y):
            return x + y

        @staticmethod
        def backward(ctx, g):
            return g, g

    class Net(Residual):
        def forward(self, x):
            return Sum.apply(x, self.f(x))

    with pytest.raises(SurgeryError, match=r"torch\.autograd\.Function, whose backward is written"):
        without_skips(Net(), SMALL)


def test_which_must_mean_something():
    net = nn.Sequential(Residual(), Residual())
    with pytest.raises(ArgumentError) as error:
        without_skips(net, SMALL, which="dense")
    assert str(error.value) == (
        "which='dense' is none of the skips of Sequential\n"
        "  it has   2 identity\n"
        "  mend: which='identity', or a number from 0 to 1, or the path of a join's module "
        "such as '0'"
    )
    for which in (2, "2", [0, 7], lambda s: False, "concat", []):
        with pytest.raises(ArgumentError, match="is none of the skips"):
            without_skips(net, SMALL, which=which)


def test_lesions_drop_branches_of_any_model(untouched):
    net = nn.Sequential(Residual(), Residual())
    before = untouched.snapshot(net)
    assert torch.equal(without_branches(net, SMALL, which=0)(SMALL), net[1](SMALL))
    assert torch.equal(without_branches(net, SMALL)(SMALL), SMALL)
    untouched(net, before)
    model, x = tv.resnet18(num_classes=3).eval(), torch.randn(1, 3, 32, 32)
    twin = without_branches(model, x, which="layer2.0")
    block = model.layer2[0]
    y = F.relu(block.downsample(model.layer1(model.maxpool(model.relu(model.bn1(model.conv1(x)))))))
    y = model.fc(model.avgpool(model.layer4(model.layer3(model.layer2[1](y)))).flatten(1))
    assert torch.equal(twin(x), y)
    assert twin.state_dict().keys() == model.state_dict().keys()
