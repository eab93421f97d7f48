"""Families of the faults that people asked about, each with its nearest neighbours."""

import pytest
import torch
import torch.nn.functional as F
from net import Net, c1, c2, seq
from torch import nn

from torchskip.lint.check import check

X = torch.zeros(2, 4, 8, 8)
T = torch.zeros(2, 5, 4)


def found(code, model, *example):
    return check(model, *(example or (X,)), select=[code]).findings


# ---- a value meets what was written over it in the one join that reads both

OVER = {
    "sum": lambda s, x: (y := s.a(x)) + F.relu(y, inplace=True),
    "swish": lambda s, x: (y := s.a(x)) * y.sigmoid_(),
    "concatenation": lambda s, x: s.b(torch.cat([y := s.a(x), F.silu(y, inplace=True)], 1)),
}


@pytest.mark.parametrize("kind", OVER)
def test_a_value_joined_with_what_was_written_over_it_is_overwritten(kind):
    model = seq(c2(), Net(OVER[kind], a=c2(), b=c2(8, 4)))
    (finding,) = found("TS104", model)
    assert "overwrites the shortcut (2, 4, 8, 8) before it is joined" in finding.message
    assert found("TS106", model) == ()  # added to itself only because it was overwritten


def test_a_square_of_a_rectifier_in_place_overwrites_nothing():
    for function in (
        lambda s, x: (y := F.relu_(s.a(x))) * y,
        lambda s, x: (y := s.a(x)) + F.relu(y),
        lambda s, x: s.b(torch.cat([F.relu_(s.a(x)), x], 1)),
        lambda s, x: (y := s.b(x.repeat(1, 2, 1, 1)))[:, :2] * y[:, 2:].sigmoid_(),
    ):
        assert found("TS104", seq(c2(), Net(function, a=c2(), b=c2(8, 4)))) == ()


def test_a_value_added_to_itself_stays_one():
    (finding,) = found("TS106", seq(c2(), Net(lambda s, x: (y := s.a(x).relu_()) + y, a=c2())))
    assert "a value is added to itself" in finding.message


# ---- one normalisation, called for the query and again for the key


class Asks(nn.Module):
    def __init__(self, raw, forms=False):
        super().__init__()
        self.norm, self.q, self.k, self.v = nn.LayerNorm(4), *(nn.Linear(4, 4) for _ in range(3))
        self.raw, self.forms = raw, forms

    def forward(self, x):
        given = x.transpose(0, 1) if self.forms else x
        query, key = self.norm(given), self.norm(given)
        mixed = (self.q(query) @ self.k(key).transpose(1, 2)).softmax(-1) @ self.v(self.norm(given))
        out = mixed + (given if self.raw else query)
        return out.transpose(0, 1) if self.forms else out


@pytest.mark.parametrize("forms", [False, True])
def test_a_norm_called_for_query_and_key_hides_the_raw_stream(forms):
    blocks = seq(nn.Linear(4, 4), Asks(False, forms), Asks(False, forms))
    assert found("TS202", blocks, T)
    assert not found("TS202", seq(nn.Linear(4, 4), Asks(True, forms), Asks(True, forms)), T)


def test_two_norms_of_one_value_are_two_uses():
    def forward(s, x):
        query = F.layer_norm(x, (4,), s.one)
        return s.q(query) * s.k(F.layer_norm(x, (4,), s.two)).sigmoid() + query

    def block():
        net = Net(forward, q=nn.Linear(4, 4), k=nn.Linear(4, 4))
        net.one, net.two = nn.Parameter(torch.ones(4)), nn.Parameter(torch.ones(4))
        return net

    assert found("TS202", seq(nn.Linear(4, 4), block(), block()), T) == ()


# ---- a stream kept in float32 that a layer of the model's own dtype reads


def wide(cast, linear):
    def forward(s, x):
        stream = x.float()
        for layer in s.layers:
            stream = stream + layer(stream.to(x.dtype))
        return s.head(stream.to(x.dtype) if cast else stream)

    make, example = ((lambda: nn.Linear(4, 4)), T) if linear else (c1, torch.zeros(2, 4, 8))
    return Net(forward, layers=nn.ModuleList(make() for _ in range(2)), head=make()), example


@pytest.mark.parametrize("linear", [False, True])
def test_a_layer_that_reads_the_wide_stream_fails_in_half(linear):
    model, example = wide(False, linear)
    (finding,) = found("TS110", model, example)
    assert "in 'head' has narrower weights and fails on it" in finding.message
    assert finding.severity == "warning"
    model, example = wide(True, linear)
    assert found("TS110", model, example) == ()


def test_a_wide_norm_beside_its_input_fails_in_the_next_layer():
    def forward(s, x):
        wide = F.layer_norm(x.float(), x.shape[1:])
        return s.b(torch.cat([x, wide.to(x.dtype) if s.cast else wide], 1))

    for cast in (False, True):
        net = Net(forward, b=c2(8, 4))
        net.cast = cast
        assert bool(found("TS110", seq(c2(), net))) != cast


# ---- blocks of which others call the layers


class Block(nn.Module):
    def __init__(self, a=4, b=4):
        super().__init__()
        self.conv1, self.conv2 = c2(a, b), c2(b, b)
        self.shortcut = c2(a, b, 1) if a != b else nn.Identity()

    def forward(self, x):
        return self.conv2(F.relu(self.conv1(x))) + self.shortcut(x)


class SkipMLP(nn.Module):
    def __init__(self, a, b):
        super().__init__()
        self.up, self.down, self.skip = nn.Linear(a, 8), nn.Linear(8, b), nn.Linear(a, b)

    def forward(self, x):
        out = self.down(self.up(x).tanh())
        out += self.skip(x)
        return out


def stepped(s, x):
    for block in s.blocks:
        x = block.conv2(F.relu(block.conv1(x)))
    return x


def by_hand_with_sum(s, x):
    for block in s.blocks:
        x = block.shortcut(x) + block.conv2(F.relu(block.conv1(x)))
    return x


def test_blocks_run_layer_by_layer_lose_their_shortcuts():
    model = Net(stepped, blocks=nn.ModuleList([Block(), Block(4, 6)]))
    (unused,) = found("TS108", model)
    assert unused.message == (
        "'shortcut' of Block 'blocks.1' never runs: the block's layers are called one by one, "
        "without its forward and without its shortcut"
    )
    (missing,) = found("TS201", model)
    assert "the layers of 'blocks.0' are, one by one" in missing.message


def test_linear_blocks_run_layer_by_layer_too():
    model = Net(lambda s, x: s.block.down(s.block.up(x).relu()), block=SkipMLP(4, 6))
    (finding,) = found("TS108", model, T)
    assert "'skip' of SkipMLP 'block' never runs" in finding.message


def test_blocks_that_are_called_or_added_by_hand_are_not_named():
    blocks = nn.ModuleList([Block(), Block(4, 6)])
    for function in (by_hand_with_sum, lambda s, x: s.blocks[1](s.blocks[0](x))):
        for code in ("TS108", "TS201"):
            assert found(code, Net(function, blocks=blocks)) == ()


class Halves(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(4), nn.LayerNorm(4)
        self.attn, self.mlp = nn.Linear(4, 4), nn.Linear(4, 4)

    def forward(self, x):
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


def halves(added):
    def forward(s, x):
        for block in s.blocks:
            y = block.attn(block.norm1(x))
            x = x + y if added else y
            y = block.mlp(block.norm2(x))
            x = x + y if added else y
        return x

    return Net(forward, blocks=nn.ModuleList([Halves(), Halves()]))


def test_halves_may_be_added_from_outside():
    assert found("TS201", halves(True), T) == ()
    (finding,) = found("TS201", halves(False), T)
    assert "Halves.forward adds a shortcut and is not called" in finding.message


def test_a_block_that_adds_nothing_may_be_run_layer_by_layer():
    class Plain(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv1, self.conv2 = c2(), c2()

        def forward(self, x):
            return self.conv2(F.relu(self.conv1(x)))

    assert found("TS201", Net(stepped, blocks=nn.ModuleList([Plain(), Plain()]))) == ()


# ---- a wrapper that does not call what it wraps


class Scaled(nn.Module):
    def __init__(self, inner, calls):
        super().__init__()
        self.inner, self.calls, self.g = inner, calls, nn.Parameter(torch.zeros(1))

    def forward(self, x):
        return (self.inner(x) if self.calls else x) * self.g


def test_a_wrapper_is_told_to_call_what_it_wraps():
    def model(calls):
        wrapped = Scaled(seq(c2(4, 8, 1), c2(8, 4, 1)), calls)
        return seq(c2(), Net(lambda s, x: x + s.fn(x), fn=wrapped))

    (finding,) = found("TS108", model(False))
    assert "'inner' of Scaled never runs: what it wraps has no part in its result" in (
        finding.message
    )
    assert found("TS108", model(True)) == ()


# ---- weights of a shortcut that are the block's own parameters


class OwnWeights(nn.Module):
    def __init__(self, *names, used=False):
        super().__init__()
        self.weight, self.skip_connect, self.used = nn.Parameter(torch.eye(4)), True, used
        for word in names:
            setattr(self, word, nn.Parameter(torch.eye(4)))
        self.names = names

    def forward(self, x, before=None):
        out = x @ self.weight
        if before is not None or self.used:
            gate = torch.sigmoid(x @ getattr(self, self.names[0]))
            out = gate * out + (1 - gate) * x
        return out


def test_a_shortcuts_own_weights_that_nobody_reads_are_named():
    model = seq(nn.Linear(4, 4), OwnWeights("skip_weight", "skip_gate"))
    (finding,) = found("TS108", model, T)
    assert finding.message == (
        "'skip_weight' and 'skip_gate' of OwnWeights are never read, though skip_connect is True: "
        "no shortcut is made with them"
    )


def test_weights_that_are_read_or_named_otherwise_are_not():
    for block in (OwnWeights("residual_weight", used=True), OwnWeights("memory")):
        assert found("TS108", seq(nn.Linear(4, 4), block), T) == ()


# ---- a loop in a loop, of which the inner one's last round is of no use


class Dense(nn.Module):
    """A decoder of dense blocks, which hand on their new features alone, but for the last one."""

    def __init__(self, carried=True):
        super().__init__()
        self.stem, self.head, self.carried = c2(), c2(12 if carried else 8, 2), carried
        self.ups = nn.ModuleList(c2(8 if i else 4) for i in range(2))
        widths = (4, 8) if carried else (4, 4)
        self.blocks = nn.ModuleList(nn.ModuleList(c2(w, 4) for w in widths) for _ in range(2))

    def forward(self, x):
        features = [self.stem(x)]
        for up, block in zip(self.ups, self.blocks, strict=True):
            stack, features = up(torch.cat(features, 1)), []
            for layer in block:
                new = layer(stack)
                features.append(new)
                wider = torch.cat([stack, new], 1)
                if self.carried:
                    stack = wider
        return self.head(wider)


def test_an_inner_loop_may_drop_its_last_round():
    assert found("TS107", Dense()) == ()


def test_an_inner_loop_may_not_go_on_without_its_rounds():
    assert any(
        f.message.endswith("the skip connection has no effect (other rounds of this line are used)")
        for f in found("TS107", Dense(carried=False))
    )


class Grown(nn.Module):
    """A dense block that returns what it grew to, and its new features apart."""

    def __init__(self, layers=2):
        super().__init__()
        self.layers = nn.ModuleList(c2(4 * (i + 1), 4) for i in range(layers))

    def forward(self, x):
        features = []
        for layer in self.layers:
            features.append(layer(x))
            x = torch.cat([x, features[-1]], 1)
        return x, features


def tiramisu(pick):
    def forward(net, x):
        wide, _ = net.down(x)
        low = pick(*net.low(F.avg_pool2d(net.narrow(wide), 2)))
        up, _ = net.up(net.tune(F.interpolate(low, scale_factor=2)))
        return net.head(torch.cat([up, wide], 1))

    width = pick(torch.zeros(1, 12, 1, 1), [torch.zeros(1, 4, 1, 1)] * 2).shape[1]
    parts = {name: Grown() for name in ("down", "low", "up")}
    return Net(forward, **parts, narrow=c2(12), tune=c2(width), head=c2(24, 2))


def test_a_block_may_hand_on_its_new_features_together():
    assert found("TS107", tiramisu(lambda wide, features: torch.cat(features, 1))) == ()


def test_a_block_may_not_hand_on_its_last_layer_alone():
    (finding,) = found("TS107", tiramisu(lambda wide, features: features[-1]))
    assert finding.module == "low"
    assert "joins two arms and nobody reads it" in finding.message
