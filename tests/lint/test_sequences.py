"""Rules on sequences, tokens, graphs and several inputs, and silent on their nearest neighbours."""

import pytest
import torch
import torch.nn.functional as F
from net import Net, c1, seq
from torch import nn

from torchskip.lint.check import check

SERIES, TOKENS, ROWS = ((2, 4, 16),), ((2, 6, 8),), ((5, 8),)


def linear(a=8, b=8):
    return nn.Linear(a, b)


class Temporal(nn.Module):
    """Projects its input where the width changes; `whole` adds its input elsewhere too."""

    def __init__(self, layer, a, b, whole=True):
        super().__init__()
        self.first, self.last, self.whole = layer(a, b), layer(b, b), whole
        self.down = layer(a, b) if a != b else None

    def forward(self, x):
        y = self.last(F.elu(self.first(x)))
        if self.down is not None:
            return F.elu(y + self.down(x))
        return F.elu(y + x if self.whole else y)


class Refuses(Temporal):
    """Says that it has no skip."""

    def __init__(self, *args):
        super().__init__(*args)
        self.residual = self.down is not None


def temporal(layer, kind=Temporal, whole=False):
    return seq(kind(layer, 4, 8, whole), kind(layer, 8, 8, whole))


class Outside(nn.Module):
    """A block whose caller adds where the width stays."""

    def __init__(self):
        super().__init__()
        self.one, self.two = Temporal(c1, 4, 8, False), Temporal(c1, 8, 8, False)

    def forward(self, x):
        x = self.one(x)
        return x + self.two(x)


class Part(nn.Module):
    """One block of a stack that explains its input part by part."""

    def __init__(self, layer):
        super().__init__()
        self.hidden, self.out = layer(), layer()

    def forward(self, x):
        return self.out(torch.tanh(self.hidden(x)))


def peeled(layer, first, sign=-1):
    def forward(s, x):
        part = s.a(x)
        rest, total = (x + sign * part if first else part), part
        for block in (s.b, s.c):
            part = block(rest)
            rest, total = rest + part if sign > 0 else rest - part, total + part
        return total, rest

    return Net(forward, a=Part(layer), b=Part(layer), c=Part(layer))


def halves(second, same=False):
    def forward(s, x):
        y = x + s.f(s.norm(x))
        return (x if second else y) + (s.f if same else s.g)(s.norm(y))

    block = Net(forward, norm=nn.LayerNorm(8), f=linear(), g=linear())
    return seq(linear(), block, nn.LayerNorm(8))


def doubled(s, x):
    y = x + s.a(x).double()
    return (y + s.b(y.float())).float()


def cast_back(s, x):
    y = (x + s.a(x).double()).float()
    return y + s.b(y)


class Doubling(nn.Module):
    def __init__(self, forward):
        super().__init__()
        self.a, self.b, self.function = linear(), linear(), forward

    def forward(self, x):
        return self.function(self, x)


def levels(again):
    """Blocks that add their input, in a caller that adds it once more."""
    block = [Net(lambda s, x: x + s.a(x), a=c1()) for _ in range(2)]

    def forward(s, x):
        one = s.one(x)
        two = s.two(x + one)
        return two if again else torch.cat([one, two], 1)

    return seq(c1(), Net(forward, one=block[0], two=block[1]))


def classed(part):
    """The second half processes the first token alone, or all of them."""

    def forward(s, x):
        x = s.norm2(x + s.a(s.norm1(x)))
        rest = s.b(x[:, :1]) if part else s.b(x)
        return x + (torch.cat([rest, x[:, 1:]], 1) if part else rest)

    def block():
        norms = {"norm1": nn.LayerNorm(8), "norm2": nn.LayerNorm(8)}
        return Net(forward, a=linear(), b=linear(), **norms)

    return seq(linear(), block(), block())


class Listed(nn.Module):
    """Sums in a loop, and a list of layers that nobody calls."""

    def __init__(self, name, width=8, training=False):
        super().__init__()
        self.stem, self.head = c1(4, 8), c1(8, 2)
        self.convs = nn.ModuleList(c1(8, 8) for _ in range(3))
        self.name, self.in_training = name, training
        setattr(self, name, nn.ModuleList(c1(width, width, 1) for _ in range(3)))

    def forward(self, x):
        x = self.stem(x)
        for conv, spare in zip(self.convs, getattr(self, self.name), strict=True):
            x = conv(x) + (spare(x) if self.in_training and self.training else x)
        return self.head(x)


class Steps(nn.Module):
    """Decision steps with layers of their own behind one that all are given under a name."""

    def __init__(self, name):
        super().__init__()
        one = linear()
        self.steps = nn.ModuleList(
            Net(
                lambda s, x: x + s.own(torch.tanh(getattr(s, name)[0](x))),
                own=linear(),
                **{name: nn.ModuleList([one])},
            )
            for _ in range(3)
        )

    def forward(self, x):
        for step in self.steps:
            x = step(x)
        return x


def dense(named, late):
    """Two layers and a projection of their result or of the input."""

    def forward(s, x):
        y = s.b(F.silu(s.a(x)))
        return y + getattr(s, named)(y if late else x)

    return seq(linear(), Net(forward, a=linear(), b=linear(), **{named: linear()}))


def matched(named):
    """The input is added as it is, and a layer ends the branch."""
    block = Net(lambda s, x: x + getattr(s, named)(F.relu(s.a(x))), a=c1(), **{named: c1(k=1)})
    return seq(c1(), block)


def fused(join, stride=2):
    def forward(s, x, y):
        x, y = s.slow(x), s.fuse(s.fast(y))
        return torch.cat([x, y], 1) if join == "cat" else x + y

    return Net(forward, slow=c1(), fast=c1(), fuse=c1(4, 4, stride=stride))


def distances(s, x):
    x = s.a(x)
    square = x.square()
    gaps = square.sum(-1, keepdim=True) + square.sum(-1) - 2 * x @ x.t()
    return x + torch.softmax(-gaps, -1) @ x


def graph_attention(s, x):
    x = s.a(x)
    scores = F.leaky_relu(s.b(x) + s.c(x).t(), 0.2)
    return x + torch.softmax(scores, -1) @ x


def pooled(s, x):
    return s.b(s.a(x)) + s.a(x).mean(-1)


def token(s, x):
    """A class token of its own layer is added to every token."""
    return s.a(x) + x[:, :1]


TWO = ((2, 4, 8), (2, 4, 32))
FIRES = {
    "TS107 behind a dropout": (
        "TS107",
        lambda: Net(lambda s, x: (s.drop(F.elu(s.a(x))), x + s.b(x))[1], a=c1(), b=c1(), drop=D()),
        SERIES,
    ),
    "TS107 behind two": (
        "TS107",
        lambda: Net(lambda s, x: (s.drop(s.a(s.drop(x))), s.b(x))[1], a=c1(), b=c1(), drop=D()),
        SERIES,
    ),
    "TS201 projection alone": ("TS201", lambda: temporal(c1), SERIES),
    "TS201 projection alone, linear": ("TS201", lambda: temporal(linear), ((3, 4),)),
    "TS201 first part kept": ("TS201", lambda: peeled(linear, False), ROWS),
    "TS201 first part kept, 1-D": ("TS201", lambda: peeled(c1, False), SERIES),
    "TS103 one lead": ("TS103", lambda: Net(lambda s, x: x + s.a(x), a=c1(1, 8)), ((2, 1, 16),)),
    "TS103 one channel made": (
        "TS103",
        lambda: Net(lambda s, x: s.b(x) + s.a(x), a=seq(c1(), c1(4, 8)), b=c1(4, 1)),
        SERIES,
    ),
    "TS103 rows against columns": ("TS103", lambda: Net(pooled, a=linear(), b=linear(8, 1)), ROWS),
    "TS110 stream of doubles": ("TS110", lambda: Doubling(doubled), TOKENS),
    "TS204 halves with one norm": ("TS204", lambda: halves(True), TOKENS),
    "TS101 two inputs": ("TS101", lambda: fused("cat"), TWO),
    "TS101 two inputs added": ("TS101", lambda: fused("add"), TWO),
    "TS106 added by the caller": ("TS106", lambda: levels(True), SERIES),
    "TS108 a list of shortcuts": ("TS108", lambda: Listed("skip_convs"), SERIES),
    "TS204 residual layer behind": ("TS204", lambda: dense("residual_layer", True), TOKENS),
    "TS204 matching layer behind": ("TS204", lambda: matched("matching_conv"), SERIES),
    "TS203 one layer in every step": ("TS203", lambda: Steps("first"), ROWS),
    "TS202 all tokens": ("TS202", lambda: classed(False), TOKENS),
}
SILENT = {
    "TS107 dropout used": (
        "TS107",
        lambda: Net(lambda s, x: x + s.drop(F.elu(s.a(x))), a=c1(), drop=D()),
        SERIES,
    ),
    "TS201 identity too": ("TS201", lambda: temporal(c1, whole=True), SERIES),
    "TS201 configured without": ("TS201", lambda: temporal(c1, Refuses), SERIES),
    "TS201 the caller adds": ("TS201", Outside, SERIES),
    "TS201 every part taken": ("TS201", lambda: peeled(linear, True), ROWS),
    "TS201 parts added from the second on": ("TS201", lambda: peeled(linear, False, 1), ROWS),
    "TS103 a token": ("TS103", lambda: Net(token, a=linear()), TOKENS),
    "TS103 pairs of a graph": (
        "TS103",
        lambda: Net(graph_attention, a=linear(), b=linear(8, 1), c=linear(8, 1)),
        ROWS,
    ),
    "TS103 distances": ("TS103", lambda: Net(distances, a=linear()), ROWS),
    "TS110 cast back": ("TS110", lambda: Doubling(cast_back), TOKENS),
    "TS204 halves in a row": ("TS204", lambda: halves(False), TOKENS),
    "TS204 one layer twice": ("TS204", lambda: halves(True, same=True), TOKENS),
    "TS101 two inputs that meet": ("TS101", lambda: fused("cat", 4), TWO),
    "TS100 two inputs": ("TS100", lambda: fused("cat"), TWO),
    "TS102 sizes that belong together": ("TS102", lambda: fused("cat", 4), TWO),
    "TS106 read beside": ("TS106", lambda: levels(False), SERIES),
    "TS108 used in training": ("TS108", lambda: Listed("skip_convs", training=True), SERIES),
    "TS108 of another width": ("TS108", lambda: Listed("skip_convs", 6), SERIES),
    "TS108 without the name": ("TS108", lambda: Listed("heads"), SERIES),
    "TS204 residual layer beside": ("TS204", lambda: dense("residual_layer", False), TOKENS),
    "TS204 a branch called residual": ("TS204", lambda: dense("residual", True), TOKENS),
    "TS204 WaveNet's layer": ("TS204", lambda: matched("res_conv"), SERIES),
    "TS203 one layer called shared": ("TS203", lambda: Steps("shared_layers"), ROWS),
    "TS202 the first token alone": ("TS202", lambda: classed(True), TOKENS),
}


def D():
    return nn.Dropout(0.1)


def found(rule, model, shapes):
    torch.manual_seed(0)
    report = check(model(), *(torch.zeros(s) for s in shapes), select=[rule])
    return list(report.findings)


@pytest.mark.parametrize(("rule", "model", "shapes"), FIRES.values(), ids=FIRES)
def test_fires(rule, model, shapes):
    assert found(rule, model, shapes)


@pytest.mark.parametrize(("rule", "model", "shapes"), SILENT.values(), ids=SILENT)
def test_is_silent(rule, model, shapes):
    assert found(rule, model, shapes) == []


class Lost(nn.Module):
    """Attention of several heads whose result is overwritten."""

    def __init__(self):
        super().__init__()
        self.qkv, self.out, self.mlp = linear(8, 24), linear(), linear()

    def forward(self, x):
        n, t, c = x.shape
        q, k, v = self.qkv(x).view(n, t, 3, 2, c // 2).permute(2, 0, 3, 1, 4)
        scores = torch.softmax(q @ k.transpose(-2, -1), -1)
        y = self.out((scores @ v).transpose(1, 2).reshape(n, t, c))
        y = self.mlp(x)
        return x + y


def test_a_lost_attention_is_one_finding_with_the_users_shape():
    (finding,) = found("TS107", Lost, TOKENS)
    assert finding.severity == "error"
    assert finding.message.startswith("the result (2, 6, 8) of linear in 'out' is never used")


class Padded(nn.Module):
    def __init__(self, pad):
        super().__init__()
        self.pad, self.conv = pad, nn.Conv1d(8, 8, 4)

    def forward(self, x):
        return x + self.conv(F.pad(x.transpose(1, 2), self.pad)).transpose(1, 2)


class Windows(nn.Module):
    def __init__(self):
        super().__init__()
        self.mix = linear()

    def forward(self, x):
        parts = torch.stack([x[:, i : i + 4] for i in range(0, x.shape[1] - 3, 4)], 1)
        return x + self.mix(parts).flatten(1, 2)


class Folded(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = c1()

    def forward(self, x):
        n, c, t = x.shape
        return x + self.conv(x.view(n, c, 2, t // 2).transpose(1, 2).reshape(n * 2, c, t // 2))


MENDS = {
    "even kernel": (
        lambda: Padded((2, 2)),
        TOKENS,
        "pad by 3 in all in front of 'conv', `F.pad(x, (2, 1))`: then it keeps the length",
    ),
    "rest of the windows": (
        Windows,
        TOKENS,
        "the branch leaves out 2 of 6 along axis 1: pad its input and cut its result back",
    ),
    "width of another axis": (
        lambda: Net(lambda s, x: x + s.a(x.transpose(1, 2)).transpose(1, 2), a=linear(6, 5)),
        TOKENS,
        "build 'a' with 6 outputs, not 5",
    ),
    "folded batch": (
        Folded,
        SERIES,
        "give both arms one batch: undo what folds an axis into it, on both or on none",
    ),
}


@pytest.mark.parametrize(("model", "shapes", "text"), MENDS.values(), ids=MENDS)
def test_mend_where_no_skip_can_be_derived(model, shapes, text):
    (finding,) = found("TS101", model, shapes)
    assert [mend.text for mend in finding.mends] == [text]


def test_mend_of_two_inputs():
    torch.manual_seed(0)
    example = (torch.zeros(s) for s in TWO)
    report = check(fused("cat"), *example, select=["TS101"], verify_mends=True)
    (finding,) = report.findings
    assert finding.message == (
        "cannot concatenate branch (2, 4, 16) and shortcut (2, 4, 8): 16 against 8 on axis 2; "
        "they come from the inputs (2, 4, 32) and (2, 4, 8)"
    )
    assert [(m.text, m.verified) for m in finding.mends] == [
        ("set stride=(4,) on 'fuse', not (2,)", True)
    ]
