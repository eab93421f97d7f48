"""A shortcut that is saved, and added only where something else is there."""

import pytest
import torch
import torch.nn.functional as F
from net import c2, seq
from torch import nn

from torchskip.lint.check import check


class Block(nn.Module):
    def __init__(self, stride=1, part=None):
        super().__init__()
        self.conv1, self.conv2 = c2(stride=stride), c2()
        self.part = part


class Indented(Block):
    """The sum stands inside the condition on the projection."""

    def forward(self, x):
        residual = x
        out = self.conv2(F.relu(self.conv1(x)))
        if self.part is not None:
            residual = self.part(x)
            out += residual
        return F.relu(out)


class Gated(Block):
    def forward(self, x):
        identity = x
        x = self.conv2(F.relu(self.conv1(x)))
        if self.part is not None:
            x = self.part(x)
            x = torch.add(x, identity)
        return x


class Dropped(Block):
    def forward(self, x):
        shortcut = x
        x = self.conv1(x)
        if self.part is not None:
            return shortcut + self.part(self.conv2(x))
        return self.conv2(x)


class Otherwise(Block):
    """Both cases add: what is read in one case alone is something else."""

    def forward(self, x):
        shortcut = x
        x = self.conv2(F.relu(self.conv1(x)))
        if self.part is not None:
            x = self.part(x)
            x = shortcut + x
        else:
            x = shortcut + x
        return x


class Switch(Block):
    """A switch says what is wanted."""

    def forward(self, x):
        identity = x
        x = self.conv2(F.relu(self.conv1(x)))
        if self.part:
            x = x + identity
        return x


class Elsewhere(Block):
    """What saves it hands it on."""

    def forward(self, x):
        residual = x
        x = self.conv1(x)
        return self.finish(x, residual)

    def finish(self, x, residual):
        if self.part is not None:
            residual = self.part(residual)
        return self.conv2(x) + residual


def findings(block, *args):
    torch.manual_seed(0)
    model = seq(c2(), block(*args), block(*args))
    return check(model, torch.zeros(2, 4, 8, 8), select=["TS201"]).findings


@pytest.mark.parametrize(
    ("block", "word"), [(Indented, "residual"), (Gated, "identity"), (Dropped, "shortcut")]
)
def test_a_sum_that_needs_another_part_is_missing_without_it(block, word):
    (finding,) = findings(block)
    assert finding.message == (
        f"{word!r} is saved in {block.__name__}.forward and read only where self.part is there, "
        "and it is not: the shortcut is not added"
    )


@pytest.mark.parametrize(
    ("block", "args"),
    [
        (Indented, (2,)),
        (Indented, (1, c2())),
        (Gated, (1, c2())),
        (Otherwise, ()),
        (Switch, ()),
        (Elsewhere, ()),
    ],
)
def test_other_shapes_other_cases_and_switches_are_meant(block, args):
    assert findings(block, *args) == ()


class Projected(Block):
    """The projection reads the saved value, and nobody reads what it makes."""

    def forward(self, x):
        identity = x
        x = self.conv2(F.relu(self.conv1(x)))
        if self.part is not None:
            identity = self.part(identity)
        return F.relu(x)


class Defaulted(Block):
    """A highway that carries `x`, and was given another value to carry."""

    def forward(self, x, residual=None):
        residual = x if residual is None else residual
        gate = torch.sigmoid(self.conv1(x))
        return gate * self.conv2(x) + (1 - gate) * x


class Remade(Block):
    """What makes itself anew is added all the same."""

    def forward(self, x):
        residual = x
        residual = residual * 0.5
        x = self.conv2(F.relu(self.conv1(x)))
        x += residual
        return x


class Running(Block):
    """Written in place, a name may stand for a tensor that another name reads."""

    def forward(self, x):
        saved = skip = torch.zeros_like(x)
        skip += self.conv1(x)
        skip = skip * 1
        return self.conv2(x) + saved


@pytest.mark.parametrize(("block", "word"), [(Projected, "identity"), (Defaulted, "residual")])
def test_what_only_makes_itself_is_never_read(block, word):
    found = [f for f in findings(block) if repr(word) in f.message]
    assert [f.message for f in found] == [
        f"{word!r} is saved in {block.__name__}.forward and never read: the shortcut is not added"
    ]


def test_a_block_that_joins_another_value_is_told_so():
    (finding,) = findings(Defaulted)
    assert finding.mends[0].text.endswith(", or join it where another value is joined")


@pytest.mark.parametrize("block", [Remade, Running])
def test_what_is_read_later_or_written_in_place_is_read(block):
    assert not any("never read" in f.message for f in findings(block))


# ---- lists of features that nobody joins


class Levels(nn.Module):
    def __init__(self):
        super().__init__()
        self.enc = nn.ModuleList((c2(4, 4), c2(4, 4)))
        self.dec, self.joined = nn.ModuleList((c2(4, 4), c2(4, 4))), c2(8, 4)


class Hoarded(Levels):
    def forward(self, x):
        skips = []
        for layer in self.enc:
            x = layer(x)
            skips.append(x)
            x = F.max_pool2d(x, 2)
        for layer in self.dec:
            x = layer(F.interpolate(x, scale_factor=2))
        return x


class Named(Levels):
    def forward(self, x):
        encoder_features = {}
        for i, layer in enumerate(self.enc):
            x = F.max_pool2d(encoder_features.setdefault(i, layer(x)), 2)
        for layer in self.dec:
            x = layer(F.interpolate(x, scale_factor=2))
        return x


class Keyed(Levels):
    def forward(self, x):
        skip_features = {}
        for i, layer in enumerate(self.enc):
            x = F.max_pool2d(layer(x), 2)
            skip_features[i] = x
        for layer in self.dec:
            x = layer(F.interpolate(x, scale_factor=2))
        return x


class Encoder(Levels):
    def forward(self, x):
        features = []
        for layer in self.enc:
            features.append(layer(x))
            x = F.max_pool2d(features[-1], 2)
        return x, features


class Ignored(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder, self.dec = Encoder(), nn.ModuleList((c2(4, 4), c2(4, 4)))

    def forward(self, x):
        x, skips = self.encoder(x)  # noqa: RUF059
        for layer in self.dec:
            x = layer(F.interpolate(x, scale_factor=2))
        return x


class Joined(Levels):
    """What a list holds is joined by other names as well."""

    def forward(self, x):
        skips = []
        fine = self.enc[0](x)
        skips.append(fine)
        x = self.enc[1](F.max_pool2d(fine, 2))
        return self.joined(torch.cat([F.interpolate(x, scale_factor=2), fine], 1))


class Sizes(Levels):
    def forward(self, x):
        skip_sizes = []
        for layer in self.enc:
            skip_sizes.append(x.shape)
            x = layer(x)
        return x


def collected(model):
    return check(model, torch.zeros(2, 4, 16, 16), select=["TS201"]).findings


@pytest.mark.parametrize(
    ("model", "word"), [(Hoarded, "skips"), (Keyed, "skip_features"), (Ignored, "skips")]
)
def test_a_list_of_features_that_nobody_reads_is_told(model, word):
    (finding,) = collected(seq(c2(), model()))
    assert finding.message == (
        f"{word!r} collects values in {model.__name__}.forward, and nobody reads it: "
        f"{model.__name__} joins none of them"
    )


@pytest.mark.parametrize("model", [Named, Encoder, Joined, Sizes])
def test_lists_that_are_read_or_hold_something_else_are_not(model):
    assert not collected(model())
