"""Every rule in several wirings, and silent on their nearest neighbours.

Wirings: functional, Sequential, nested, module reuse; one, two and three dimensions.
"""

import pytest
import torch
import torch.nn.functional as F
from net import Net, c1, c2, c3, nested, seq
from torch import nn

from torchskip.lint.check import check

D1, D2, D3 = (2, 4, 16), (2, 4, 16, 16), (1, 4, 8, 8, 8)


def relu_first(conv, inplace):
    body = seq(nn.ReLU(inplace=inplace), conv())
    return seq(conv(), Net(lambda s, x: x + s.body(x), body=body))


def drop(x, axes, training):
    if not training:
        return x
    shape = [n if i in axes else 1 for i, n in enumerate(x.shape)]
    return x * (torch.rand(shape) < 0.8).to(x.dtype) / 0.8


class Named(nn.Module):
    def __init__(self, flag):
        super().__init__()
        self.use_residual = flag
        self.conv = c2()

    def forward(self, x):
        return x + self.conv(x) if self.use_residual else self.conv(x)


class Config(nn.Module):
    def __init__(self, inner):
        super().__init__()
        self.use_residual = True
        self.blocks = seq(Named(inner), Named(inner))

    def forward(self, x):
        return self.blocks(x)


class ResidualUnit(nn.Module):
    def __init__(self, add, conv=c2):
        super().__init__()
        self.a, self.b, self.add = conv(), conv(), add

    def forward(self, x):
        y = self.b(F.relu(self.a(x)))
        return x + y if self.add else y


class Rectified(nn.Module):
    """A convolution behind a rectifier in place; `run` joins before it, as no forward."""

    def __init__(self):
        super().__init__()
        self.a, self.relu = c2(), nn.ReLU(inplace=True)

    def forward(self, x):
        return self.a(self.relu(x))

    def run(self, x):
        return self.relu(self.a(x) + x)


def listed(method):
    """Blocks in a list, whose caller joins what goes in and what comes out, or calls `run`."""

    def forward(s, x):
        for block in s.blocks:
            x = block.run(x) if method == "run" else block(x) + x
        return x

    return seq(c2(), Net(forward, blocks=nn.ModuleList([Rectified(), Rectified()])))


def in_place_first():
    """A residual unit whose branch begins in place (TS104): its shortcut is there all the same."""

    class ResBlock(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = c2(), c2()

        def forward(self, x):
            return self.b(F.relu(self.a(F.relu_(x))))

    return seq(c2(), Net(lambda s, x: s.body(x) + x, body=ResBlock()))


def lending():
    """Residual units, added outside, whose last convolution is one for all of them."""
    units = [ResidualUnit(False) for _ in range(3)]
    for unit in units[1:]:
        unit.b = units[0].b
    return seq(*(Net(lambda s, x: x + s.unit(x), unit=unit) for unit in units))


class Saved(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = c1()

    def forward(self, x):
        identity = x  # noqa: F841
        return F.relu(self.a(x))


class MadeInForward(nn.Module):
    def __init__(self, conv=nn.Conv2d):
        super().__init__()
        self.kind, self.body = conv, conv(4, 4, 3, padding=1)

    def forward(self, x):
        return self.body(x) + self.kind(4, 4, 1)(x)


class KeptOutside(MadeInForward):
    """A frozen layer hidden from the state dict on purpose."""

    def __init__(self):
        super().__init__()
        self.hidden = [nn.Conv2d(4, 4, 1).requires_grad_(False)]

    def forward(self, x):
        return self.body(x) + self.hidden[0](x)


class Store(nn.Module):
    """Keeps a feature by hook."""

    def __init__(self, detach):
        super().__init__()
        self.a, self.b = c1(), c1()
        self.kept = {}
        self.a.register_forward_hook(
            lambda m, i, o: self.kept.update(a=o.detach() if detach else o)
        )

    def forward(self, x):
        return torch.cat([self.b(F.relu(self.a(x))), self.kept["a"]], 1)


def unet(conv, pool, size):
    def forward(s, x):
        e = F.relu(s.enc(x))
        m = s.mid(s.pool(e))
        up = F.interpolate(m, **({"size": e.shape[2:]} if size else {"scale_factor": 2}))
        return s.dec(torch.cat([e, up], 1))

    return Net(forward, enc=conv(), mid=conv(), pool=pool, dec=conv(8, 4))


def cat_net(conv, dim):
    return Net(lambda s, x: torch.cat([x, s.b(s.a(x))], dim), a=conv(), b=conv())


class Asked(nn.Module):
    """Adds to the memory what another stream asks of it, in windows or as a whole."""

    def __init__(self):
        super().__init__()
        self.q, self.k, self.v = (nn.Linear(8, 8) for _ in range(3))

    def forward(self, memory, asking):
        windows = len(memory) // len(asking)
        q = self.q(asking)
        if windows > 1:
            q = q.repeat(windows, 1, 1)
        scores = torch.softmax(q @ self.k(memory).transpose(1, 2), -1)
        return memory + scores @ self.v(memory)


def asked(windows):
    def forward(s, x):
        memory, asking = s.a(x), s.b(x)
        memory = s.first(memory, asking[: len(asking) // windows])
        return s.second(memory, asking)

    parts = {"a": nn.Linear(8, 8), "b": nn.Linear(8, 8), "first": Asked(), "second": Asked()}
    return Net(forward, **parts)


def cropping(cells):
    """A projection of every second pixel with a border that sees none, and an upsampling."""
    down = nn.Conv2d(4, 4, 1, stride=2, padding=2)
    return {"a": down, "b": nn.ConvTranspose2d(4, 4, 2, stride=2, padding=cells)}


def handed_down(block):
    layer = c2()
    blocks = seq(*(block(layer) for _ in range(2)))
    return Net(lambda s, x: s.blocks(x) + x, layer=layer, blocks=blocks)


class Wrapped(nn.Module):
    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, x):
        return x + self.layer(x)


def refined(s, x):
    guesses = [torch.zeros(x.shape)]
    for _ in range(3):
        guess = guesses[-1].detach()
        guesses.append(guess + s.b(torch.cat([s.a(x), guess], 1)))
    return guesses[1:]


def stack(conv, n, scale):
    def block():
        c = conv()
        with torch.no_grad():
            c.weight.mul_(scale)
        return Net(lambda s, x: x + s.c(x), c=c)

    return seq(*(block() for _ in range(n)))


def bad(rule, model, shape=D2):
    return rule, model, (shape,) if isinstance(shape[0], int) else shape


def gated(y, squash, layer):
    return y * squash(layer(y.mean((2, 3), keepdim=True)))


FIRES = {
    "TS100 conv after a wrong cat": bad("TS100", lambda: seq(cat_net(c2, 1), c2())),
    "TS100 1-D": bad("TS100", lambda: seq(cat_net(c1, 1), c1()), D1),
    "TS100 nested": bad("TS100", lambda: nested(seq(c2(4, 6), c2()))),
    "TS101 functional": bad("TS101", lambda: Net(lambda s, x: x + F.relu(s.a(x)), a=c2(stride=2))),
    "TS101 channels 1-D": bad("TS101", lambda: Net(lambda s, x: s.a(x).add(x), a=c1(4, 6)), D1),
    "TS101 concat 3-D": bad(
        "TS101", lambda: Net(lambda s, x: torch.cat([x, s.a(x)], 1), a=c3(stride=2)), D3
    ),
    "TS101 nested, multiplied": bad(
        "TS101", lambda: nested(Net(lambda s, x: x * s.a(x), a=seq(nn.Conv2d(4, 4, 4), nn.ReLU())))
    ),
    "TS102 2-D": bad("TS102", lambda: unet(c2, nn.MaxPool2d(2), False)),
    "TS102 1-D": bad("TS102", lambda: unet(c1, nn.AvgPool1d(2), False), D1),
    "TS102 3-D, nested": bad("TS102", lambda: seq(seq(unet(c3, nn.MaxPool3d(2), False))), D3),
    "TS103 batch": bad(
        "TS103", lambda: Net(lambda s, x: s.a(x) + x.mean(1), a=nn.Linear(6, 1)), (3, 6)
    ),
    "TS103 pooled shortcut 1-D": bad(
        "TS103", lambda: seq(Net(lambda s, x: s.a(x) + x.mean(2, keepdim=True), a=c1())), D1
    ),
    "TS103 one channel, nested": bad(
        "TS103", lambda: nested(Net(lambda s, x: x + s.a(x), a=seq(c2(), nn.ReLU(), c2(4, 1))))
    ),
    "TS103 batch 1": bad(
        "TS103",
        lambda: Net(lambda s, x: s.a(x) + s.b(x).flatten(), a=nn.Linear(6, 1), b=nn.Linear(6, 1)),
        (1, 6),
    ),
    "TS104 Sequential 1-D": bad("TS104", lambda: relu_first(c1, True), D1),
    "TS104 Sequential 3-D": bad("TS104", lambda: relu_first(c3, True), D3),
    "TS104 method": bad(
        "TS104", lambda: seq(c2(), Net(lambda s, x: s.a(x.clamp_(0, 6)) + x, a=c2()))
    ),
    "TS104 functional, concat": bad(
        "TS104",
        lambda: seq(c2(), Net(lambda s, x: torch.cat([s.a(F.elu(x, inplace=True)), x], 1), a=c2())),
    ),
    "TS104 block in a list": bad("TS104", lambda: listed("forward")),
    "TS104 nested, view": bad(
        "TS104",
        lambda: nested(Net(lambda s, x: s.a(x.view(x.shape).mul_(2)) + x, a=c2())),
    ),
    "TS105 hook 1-D": bad("TS105", lambda: Store(True), D1),
    "TS105 detach": bad("TS105", lambda: seq(c2(), Net(lambda s, x: s.a(x) + x.detach(), a=c2()))),
    "TS105 nested .data": bad("TS105", lambda: nested(Net(lambda s, x: x.data + s.a(x), a=c2()))),
    "TS105 3-D no_grad": bad(
        "TS105",
        lambda: seq(c3(), Net(lambda s, x: x + torch.no_grad()(s.a)(x), a=seq(c3(), nn.ReLU()))),
        D3,
    ),
    "TS106 functional": bad("TS106", lambda: Net(lambda s, x: torch.add(y := s.a(x), y), a=c2())),
    "TS106 in place 1-D": bad(
        "TS106", lambda: seq(Net(lambda s, x: (y := s.a(x)).add_(y), a=c1())), D1
    ),
    "TS106 shortcut twice, 3-D": bad(
        "TS106", lambda: Net(lambda s, x: x + (s.a(x) + x), a=c3()), D3
    ),
    "TS106 caller too, nested": bad(
        "TS106", lambda: nested(Net(lambda s, x: s.b(x) + x, b=ResidualUnit(True)))
    ),
    "TS107 1-D": bad(
        "TS107", lambda: Net(lambda s, x: (s.b(x), x + s.a(x))[1], a=c1(), b=c1()), D1
    ),
    "TS107 nested": bad(
        "TS107", lambda: nested(Net(lambda s, x: (s.b(s.a(x)), x + s.a(x))[1], a=c2(), b=c2()))
    ),
    "TS107 3-D join": bad(
        "TS107", lambda: seq(c3(), Net(lambda s, x: (x + s.a(x), s.a(x))[1], a=c3()), c3()), D3
    ),
    "TS108 1-D": bad(
        "TS108", lambda: Net(lambda s, x: x + s.a(x), a=c1(), shortcut=c1(4, 4, 1)), D1
    ),
    "TS108 3-D": bad(
        "TS108", lambda: seq(c3(), Net(lambda s, x: s.a(x), a=c3(), downsample=c3(4, 4, 1))), D3
    ),
    "TS108 nested": bad(
        "TS108", lambda: nested(Net(lambda s, x: x + s.a(x), a=c2(), conv3=c2(4, 4, 1)))
    ),
    "TS109 1-D": bad("TS109", lambda: cat_net(c1, 0), D1),
    "TS109 3-D": bad("TS109", lambda: seq(cat_net(c3, -5)), D3),
    "TS109 nested": bad("TS109", lambda: nested(cat_net(c2, 0))),
    "TS110 1-D": bad("TS110", lambda: Net(lambda s, x: x + s.a(x).double(), a=c1()), D1),
    "TS110 concat": bad(
        "TS110", lambda: Net(lambda s, x: torch.cat([x, s.a(x).double()], 1), a=c2())
    ),
    "TS110 only in half": bad(
        "TS110",
        lambda: nested(Net(lambda s, x: x + (s.a(x) * torch.ones(4, 1, 1)), a=c2())),
    ),
    "TS111 channels": bad(
        "TS111", lambda: seq(c2(), Net(lambda s, x: x + drop(s.a(x), (1,), s.training), a=c2()))
    ),
    "TS111 sum 1-D": bad(
        "TS111", lambda: Net(lambda s, x: drop(x + s.a(x), (0,), s.training), a=c1()), D1
    ),
    "TS111 identity, nested": bad(
        "TS111", lambda: nested(Net(lambda s, x: drop(x, (0,), s.training) + s.a(x), a=c2()))
    ),
    "TS112 sigmoid": bad(
        "TS112", lambda: Net(lambda s, x: torch.sigmoid(s.a(x)).add_(s.b(x)), a=c2(), b=c2())
    ),
    "TS112 relu 1-D": bad(
        "TS112",
        lambda: seq(Net(lambda s, x: s.a(x).__iadd__(s.b(x)), a=seq(c1(), nn.ReLU()), b=c1())),
        D1,
    ),
    "TS112 nested tanh": bad(
        "TS112", lambda: nested(Net(lambda s, x: torch.tanh(s.a(x)).mul_(s.b(x)), a=c2(), b=c2()))
    ),
    "TS201 name 1-D": bad("TS201", lambda: seq(c1(), ResidualUnit(False, c1)), D1),
    "TS201 siblings 3-D": bad(
        "TS201", lambda: seq(*(ResidualUnit(i != 1, c3) for i in range(3))), D3
    ),
    "TS201 saved": bad("TS201", lambda: seq(Saved()), D1),
    "TS201 flag": bad("TS201", lambda: Config(False)),
    "TS202 1-D": bad(
        "TS202",
        lambda: seq(
            c1(), Net(lambda s, x: (y := s.n(x)) + s.a(y), n=nn.GroupNorm(1, 4), a=c1()), c1()
        ),
        D1,
    ),
    "TS202 nested": bad(
        "TS202",
        lambda: nested(Net(lambda s, x: (y := s.n(x)) + s.a(y), n=nn.BatchNorm2d(4), a=c2())),
    ),
    "TS202 3-D": bad(
        "TS202",
        lambda: seq(c3(), Net(lambda s, x: (y := s.n(x)) + s.a(y), n=nn.InstanceNorm3d(4), a=c3())),
        D3,
    ),
    "TS203 list": bad("TS203", lambda: seq(*([ResidualUnit(True)] * 3))),
    "TS203 handed to containers": bad("TS203", lambda: handed_down(seq)),
    "TS203 1-D both arms": bad(
        "TS203", lambda: Net(lambda s, x: s.a(x) + s.b(F.relu(s.a(x))), a=c1(), b=c1()), D1
    ),
    "TS203 norm": bad(
        "TS203", lambda: (lambda n: seq(c2(), n, nn.ReLU(), c2(), n))(nn.BatchNorm2d(4))
    ),
    "TS204 the memory's stream": bad("TS204", lambda: asked(1), (4, 6, 8)),
    "TS204 1-D": bad(
        "TS204",
        lambda: seq(
            c1(), Net(lambda s, x: (h := s.a(x)) + s.shortcut(h), a=c1(), shortcut=c1(4, 4, 1))
        ),
        D1,
    ),
    "TS204 nested": bad(
        "TS204",
        lambda: nested(
            Net(lambda s, x: (h := s.a(x)) + s.skip(h), a=seq(c2(), nn.ReLU()), skip=c2(4, 4, 1))
        ),
    ),
    "TS204 3-D": bad(
        "TS204",
        lambda: seq(
            c3(),
            Net(lambda s, x: (h := s.a(x)) + s.downsample(h), a=c3(), downsample=seq(c3(4, 4, 1))),
        ),
        D3,
    ),
    "TS205 constant zero": bad(
        "TS205", lambda: seq(c2(), Net(lambda s, x: x + 0.0 * s.a(x), a=c2()))
    ),
    "TS206 1-D": bad(
        "TS206",
        lambda: Net(
            lambda s, x: s.p(x) + s.a(x),
            a=nn.Conv1d(4, 4, 3, padding=3),
            p=nn.Conv1d(4, 4, 1, padding=2),
        ),
        D1,
    ),
    "TS206 cropped in part": bad(
        "TS206", lambda: Net(lambda s, x: F.pad(x, [1] * 4) + s.b(s.a(x)), **cropping(1))
    ),
    "TS206 failed": bad(
        "TS206", lambda: Net(lambda s, x: x + s.a(x), a=nn.Conv2d(4, 4, 2, stride=2, padding=2))
    ),
    "TS206 nested": bad(
        "TS206",
        lambda: nested(
            Net(
                lambda s, x: torch.cat([s.a(x), s.b(x)], 1),
                a=nn.Conv2d(4, 4, 1, padding=2),
                b=nn.Conv2d(4, 4, 5, padding=4),
            )
        ),
    ),
    "TS207 2-D": bad("TS207", MadeInForward),
    "TS207 1-D": bad("TS207", lambda: MadeInForward(nn.Conv1d), D1),
    "TS207 nested": bad("TS207", lambda: nested(MadeInForward())),
    "TS301 functional": bad("TS301", lambda: Net(lambda s, x: x + F.relu(s.a(x)), a=c2())),
    "TS301 1-D": bad("TS301", lambda: Net(lambda s, x: x + s.a(x), a=seq(c1(), nn.ReLU6())), D1),
    "TS301 dropout after": bad(
        "TS301",
        lambda: nested(Net(lambda s, x: s.a(x) + x, a=seq(c2(), nn.ReLU(), nn.Dropout(0.1)))),
    ),
    "TS301 gate after": bad(
        "TS301",
        lambda: Net(
            lambda s, x: x + gated(F.relu(s.a(x)), torch.sigmoid, s.g), a=c2(), g=c2(4, 4, 1)
        ),
    ),
    "TS301 softmax over places": bad(
        "TS301",
        lambda: Net(
            lambda s, x: (y := s.a(x)) * s.g(y).flatten(2).softmax(-1).view_as(y) + x,
            a=seq(c2(), nn.ReLU()),
            g=c2(),
        ),
    ),
    "TS302 1-D": bad(
        "TS302",
        lambda: Net(
            lambda s, x: s.a(x) + s.p(x), a=seq(c1(stride=2), c1()), p=nn.Conv1d(4, 4, 1, stride=2)
        ),
        D1,
    ),
    "TS302 3-D": bad(
        "TS302",
        lambda: Net(
            lambda s, x: s.a(x) + s.p(x), a=seq(c3(stride=2), c3()), p=nn.Conv3d(4, 4, 1, stride=2)
        ),
        D3,
    ),
    "TS302 nested": bad(
        "TS302",
        lambda: nested(
            Net(
                lambda s, x: s.a(x) + s.p(x),
                a=seq(c2(stride=2), c2()),
                p=nn.Conv2d(4, 4, 1, stride=2),
            )
        ),
    ),
    "TS303 pool": bad(
        "TS303", lambda: Net(lambda s, x: s.a(x) + s.p(x), a=c2(stride=2), p=nn.AvgPool2d(2))
    ),
    "TS303 1-D": bad(
        "TS303", lambda: Net(lambda s, x: s.a(x) + s.p(x), a=c1(stride=2), p=nn.AvgPool1d(2)), D1
    ),
    "TS303 3-D": bad(
        "TS303",
        lambda: seq(Net(lambda s, x: s.a(x) + s.p(x), a=c3(stride=2), p=nn.AvgPool3d(2))),
        D3,
    ),
    "TS304 2-D": bad("TS304", lambda: stack(c2, 5, 3.0)),
    "TS304 1-D": bad("TS304", lambda: stack(c1, 6, 3.0), D1),
    "TS304 nested": bad("TS304", lambda: nested(stack(c2, 5, 3.0))),
}

SILENT = {
    "TS100 channels counted": bad("TS100", lambda: seq(cat_net(c2, 1), c2(8, 4))),
    "TS101 strided projection": bad(
        "TS101", lambda: Net(lambda s, x: s.p(x) + s.a(x), a=c2(stride=2), p=c2(4, 4, 1, stride=2))
    ),
    "TS102 resized": bad("TS102", lambda: unet(c2, nn.MaxPool2d(2), True)),
    "TS102 same strides": bad(
        "TS102", lambda: Net(lambda s, x: s.p(x) + s.a(x), a=c2(stride=2), p=c2(4, 4, 1, stride=2))
    ),
    "TS103 bias per sample": bad(
        "TS103",
        lambda: Net(lambda s, x: s.a(x) + s.b(x.mean((2, 3), keepdim=True)), a=c2(), b=c2(4, 4, 1)),
    ),
    "TS103 gate": bad(
        "TS103", lambda: Net(lambda s, x: x * torch.sigmoid(s.a(x) + s.b(x)), a=c2(4, 1), b=c2())
    ),
    "TS104 out of place": bad("TS104", lambda: relu_first(c2, False)),
    "TS104 another method of blocks in a list": bad("TS104", lambda: listed("run")),
    "TS104 after a norm": bad(
        "TS104", lambda: Net(lambda s, x: x + s.b(x), b=seq(nn.BatchNorm2d(4), nn.ReLU(True), c2()))
    ),
    "TS104 both arms after it": bad(
        "TS104", lambda: seq(c2(), Net(lambda s, x: (y := F.relu_(x)) + s.a(y), a=c2()))
    ),
    "TS104 as a statement": bad(
        "TS104", lambda: seq(c2(), Net(lambda s, x: (x.clamp_(0), x + s.a(x))[1], a=c2()))
    ),
    "TS104 idempotent": bad(
        "TS104", lambda: seq(c2(), nn.ReLU(), Net(lambda s, x: x + s.a(F.relu_(x)), a=c2()))
    ),
    "TS105 straight through": bad(
        "TS105", lambda: seq(c2(), Net(lambda s, x: x + (torch.round(x) - x).detach()))
    ),
    "TS105 a statistic": bad(
        "TS105", lambda: seq(c2(), Net(lambda s, x: s.a(x - x.mean().detach()) + x, a=c2()))
    ),
    "TS105 a guess refined": bad("TS105", lambda: Net(refined, a=c2(), b=c2(8, 4))),
    "TS105 hook that keeps": bad("TS105", lambda: Store(False), D1),
    "TS106 doubled on purpose": bad("TS106", lambda: Net(lambda s, x: 2 * x + s.a(x), a=c2())),
    "TS106 two branches": bad(
        "TS106", lambda: Net(lambda s, x: x + s.a(x) + s.b(x), a=c2(), b=c2())
    ),
    "TS107 returned": bad("TS107", lambda: Net(lambda s, x: (s.b(x), x + s.a(x)), a=c2(), b=c2())),
    "TS108 used in training": bad(
        "TS108",
        lambda: Net(
            lambda s, x: x + (s.shortcut(s.a(x)) if s.training else s.a(x)),
            a=c2(),
            shortcut=c2(4, 4, 1),
        ),
    ),
    "TS108 a head": bad("TS108", lambda: Net(lambda s, x: x + s.a(x), a=c2(), head=c2(4, 10, 1))),
    "TS109 channels": bad("TS109", lambda: cat_net(c2, 1)),
    "TS109 two views": bad(
        "TS109", lambda: Net(lambda s, x: s.a(torch.cat([x, x.flip(-1)], 0)), a=c2())
    ),
    "TS110 cast back": bad(
        "TS110", lambda: Net(lambda s, x: x + s.a(x).double().to(x.dtype), a=c2())
    ),
    "TS111 per sample": bad(
        "TS111", lambda: Net(lambda s, x: x + drop(s.a(x), (0,), s.training), a=c2())
    ),
    "TS111 dropout2d": bad(
        "TS111", lambda: Net(lambda s, x: x + s.d(s.a(x)), a=c2(), d=nn.Dropout2d(0.2))
    ),
    "TS111 dropout of the sum": bad(
        "TS111", lambda: Net(lambda s, x: s.d(x + s.a(x)), a=c2(), d=nn.Dropout(0.2))
    ),
    "TS111 branch that ends with a sum": bad(
        "TS111",
        lambda: Net(
            lambda s, x: x + drop((h := s.a(x)) + s.b(h), (0,), s.training), a=c2(), b=c2()
        ),
    ),
    "TS112 after a convolution": bad("TS112", lambda: Net(lambda s, x: s.a(x).add_(x), a=c2())),
    "TS112 after a norm": bad(
        "TS112", lambda: Net(lambda s, x: s.n(s.a(x)).add_(x), a=c2(), n=nn.BatchNorm2d(4))
    ),
    "TS201 strided": bad(
        "TS201", lambda: seq(ResidualUnit(True), Net(lambda s, x: s.a(x), a=c2(stride=2)))
    ),
    "TS201 in place first": bad("TS201", in_place_first),
    "TS201 a layer shared by all blocks": bad("TS201", lending),
    "TS201 flag passed on": bad("TS201", lambda: Config(True)),
    "TS202 on the branch": bad(
        "TS202", lambda: seq(c2(), Net(lambda s, x: x + s.a(s.n(x)), n=nn.BatchNorm2d(4), a=c2()))
    ),
    "TS202 with activation": bad(
        "TS202",
        lambda: seq(
            c2(), Net(lambda s, x: (y := F.relu(s.n(x))) + s.a(y), n=nn.BatchNorm2d(4), a=c2())
        ),
    ),
    "TS203 recurrence": bad(
        "TS203", lambda: Net(lambda s, x: [x := x + s.a(x) for _ in range(3)][-1], a=c2())
    ),
    "TS203 handed to blocks": bad("TS203", lambda: handed_down(Wrapped)),
    "TS203 two inputs": bad("TS203", lambda: Net(lambda s, x: s.a(x) - s.a(x.flip(-1)), a=c2())),
    "TS203 shared activation": bad("TS203", lambda: (lambda r: seq(c2(), r, c2(), r))(nn.ReLU())),
    "TS204 one question for all windows": bad("TS204", lambda: asked(2), (4, 6, 8)),
    "TS204 projection": bad(
        "TS204", lambda: Net(lambda s, x: s.a(x) + s.shortcut(x), a=c2(), shortcut=c2(4, 4, 1))
    ),
    "TS205 rezero": bad(
        "TS205", lambda: seq(c2(), Net(lambda s, x: x + s.g(s.a(x)), a=c2(), g=nn.BatchNorm2d(4)))
    ),
    "TS206 cropped again": bad("TS206", lambda: Net(lambda s, x: x + s.b(s.a(x)), **cropping(2))),
    "TS206 same": bad("TS206", lambda: Net(lambda s, x: x + s.a(x), a=c2(4, 4, 5))),
    "TS206 dilated": bad(
        "TS206", lambda: Net(lambda s, x: x + s.a(x), a=nn.Conv2d(4, 4, 3, padding=4, dilation=4))
    ),
    "TS207 kept outside": bad("TS207", KeptOutside),
    "TS301 after": bad("TS301", lambda: Net(lambda s, x: F.relu(x + s.a(x)), a=c2())),
    "TS301 gate of two signs": bad(
        "TS301",
        lambda: Net(lambda s, x: x + gated(F.relu(s.a(x)), torch.tanh, s.g), a=c2(), g=c2(4, 4, 1)),
    ),
    "TS301 gated before": bad(
        "TS301",
        lambda: Net(lambda s, x: x + gated(s.a(x), torch.sigmoid, s.g), a=c2(), g=c2(4, 4, 1)),
    ),
    "TS301 product of two": bad(
        "TS301", lambda: Net(lambda s, x: x + F.relu(s.a(x)) * s.b(x), a=c2(), b=c2())
    ),
    "TS301 leaky": bad("TS301", lambda: Net(lambda s, x: x + F.leaky_relu(s.a(x)), a=c2())),
    "TS302 kernel 2": bad(
        "TS302",
        lambda: Net(
            lambda s, x: s.a(x) + s.p(x), a=seq(c2(stride=2), c2()), p=nn.Conv2d(4, 4, 2, stride=2)
        ),
    ),
    "TS303 aligned": bad(
        "TS303", lambda: Net(lambda s, x: s.a(x) + s.p(x), a=c2(stride=2), p=nn.AvgPool2d(3, 2, 1))
    ),
    "TS304 small": bad("TS304", lambda: stack(c2, 5, 0.3)),
}


def found(rule, model, shapes):
    torch.manual_seed(0)
    report = check(model(), *(torch.zeros(s) for s in shapes), select=[rule])
    return [f.message for f in report.findings]


@pytest.mark.parametrize(("rule", "model", "shapes"), FIRES.values(), ids=FIRES)
def test_fires(rule, model, shapes):
    assert found(rule, model, shapes)


@pytest.mark.parametrize(("rule", "model", "shapes"), SILENT.values(), ids=SILENT)
def test_is_silent(rule, model, shapes):
    assert found(rule, model, shapes) == []
