"""Each trap that breaks naive finders, beside the nearest network that is none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from tests.skips.nets import IMAGE, conv, kinds, net, skips_of
from torch import nn
from torch.utils.checkpoint import checkpoint

Case = tuple[str, Callable[[], nn.Module], list[str]]


def _stage(m: Any, x: torch.Tensor) -> torch.Tensor:
    y = x.clone()
    y[:, :4] = m.f(x[:, :4])
    return y


def _narrowed_stage(m: Any, x: torch.Tensor) -> torch.Tensor:
    y = x.clone()
    y.narrow(0, 0, 1).narrow(1, 0, 4).copy_(m.f(x.narrow(0, 0, 1).narrow(1, 0, 4)))
    return y


def _assigned(m: Any, x: torch.Tensor) -> torch.Tensor:
    y = x.new_zeros(1, 16, 16, 16)
    y[:, :8] = x
    y[:, 8:] = m.f(x)
    return m.g(y)


def _assigned_parallel(m: Any, x: torch.Tensor) -> torch.Tensor:
    y = x.new_zeros(1, 16, 16, 16)
    y[:, :8] = m.f(x)
    y[:, 8:] = m.g(x)
    return m.h(y)


def _add_to_slice(m: Any, x: torch.Tensor) -> torch.Tensor:
    y = m.f(x)
    y[:, :4] += x[:, :4]
    return m.g(y)


def _loop(m: Any, x: torch.Tensor) -> torch.Tensor:
    for _ in range(3):
        x = x + m.f(x)
    return x


def _highway(m: Any, x: torch.Tensor) -> torch.Tensor:
    t = torch.sigmoid(m.g(x))
    return t * m.f(x) + (1 - t) * x


def _se(m: Any, x: torch.Tensor) -> torch.Tensor:
    return x * torch.sigmoid(m.f(F.adaptive_avg_pool2d(x, 1)))


def _hard_se(m: Any, x: torch.Tensor) -> torch.Tensor:
    return x * (F.relu6(m.f(x.mean((2, 3), keepdim=True)) + 3) / 6)


def _hourglass(m: Any, x: torch.Tensor) -> torch.Tensor:
    y = F.interpolate(m.f(F.max_pool2d(x, 2)), scale_factor=2)
    return m.g(torch.cat([x, y], 1))


def _attention_gate(m: Any, x: torch.Tensor) -> torch.Tensor:
    low = F.interpolate(m.f(F.max_pool2d(x, 2)), scale_factor=2)
    psi = torch.sigmoid(m.h(torch.relu(m.a(x) + m.b(low))))
    return m.g(torch.cat([x * psi, low], 1))


def _gelu_by_hand(m: Any, x: torch.Tensor) -> torch.Tensor:
    x = m.f(x)
    return 0.5 * x * (1 + torch.tanh(0.797 * (x + 0.044 * x**3)))


def _layer_norm_by_hand(m: Any, x: torch.Tensor) -> torch.Tensor:
    x = m.f(x)
    u = x.mean(1, keepdim=True)
    return (x - u) / ((x - u) ** 2).mean(1, keepdim=True).sqrt()


def _rms_norm_by_hand(m: Any, x: torch.Tensor) -> torch.Tensor:
    x = m.f(x)
    return x * torch.rsqrt(x.pow(2).mean(1, keepdim=True) + 1e-6)


def _split(m: Any, x: torch.Tensor) -> torch.Tensor:
    a, b = x.chunk(2, 1)
    return torch.cat([a, m.f(b)], 1)


def _split_all(m: Any, x: torch.Tensor) -> torch.Tensor:
    a, b = x.chunk(2, 1)
    return torch.cat([m.f(a), m.g(b)], 1)


def _dense(m: Any, x: torch.Tensor) -> torch.Tensor:
    x = torch.cat([x, m.f(x)], 1)
    return torch.cat([x, m.g(x)], 1)


def _pool_concat(m: Any, x: torch.Tensor) -> torch.Tensor:
    return torch.cat([F.avg_pool2d(x, 3, 2, 1), m.g(m.f(x))], 1)


def _pool_parallel(m: Any, x: torch.Tensor) -> torch.Tensor:
    return torch.cat([F.max_pool2d(x, 3, 2, 1), m.f(x)], 1)


def _aspp(m: Any, x: torch.Tensor) -> torch.Tensor:
    return torch.cat([m.one(x), m.f(m.g(x)), m.g(m.h(x))], 1)


def _inception_residual(m: Any, x: torch.Tensor) -> torch.Tensor:
    return torch.cat([m.one(x), m.h(m.g(m.f(x)))], 1)


def _cross_stage(m: Any, x: torch.Tensor) -> torch.Tensor:
    y = m.two(x)
    y = y + m.g(m.f(y))
    return torch.cat([m.one(x), y], 1)


def _attention(m: Any, x: torch.Tensor) -> torch.Tensor:
    q, k, v = m.qkv(x.flatten(2).transpose(1, 2)).chunk(3, -1)
    logits = q @ k.transpose(1, 2) + q @ m.positions
    return logits.softmax(-1) @ v


def _glu(m: Any, x: torch.Tensor) -> torch.Tensor:
    return m.f(x) * torch.sigmoid(m.g(x))


def _radix(m: Any, x: torch.Tensor) -> torch.Tensor:
    y = torch.stack([m.f(x), m.g(x)], 1)
    w = m.h(y.sum(1).mean((2, 3), keepdim=True))
    return (y * torch.stack([w, -w], 1).softmax(1)).sum(1)


def _unet_plus_plus(m: Any, x: torch.Tensor) -> torch.Tensor:
    down = m.f(F.max_pool2d(x, 2))
    lower = m.g(F.max_pool2d(down, 2))
    first = m.n(torch.cat([x, F.interpolate(down, scale_factor=2)], 1))
    mid = m.n(torch.cat([down, F.interpolate(lower, scale_factor=2)], 1))
    again = torch.cat([x, first], 1)
    return m.o(torch.cat([F.interpolate(mid, scale_factor=2), again], 1))


def _fusion(m: Any, x: torch.Tensor) -> torch.Tensor:
    high, low = m.f(x), m.down(x)
    return m.h(m.g(high)) + F.interpolate(m.g(m.h(low)), scale_factor=2)


def _option_a(m: Any, x: torch.Tensor) -> torch.Tensor:
    return F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 4, 4)) + m.wide(m.f(x))


def _stacked_sum(m: Any, x: torch.Tensor) -> torch.Tensor:
    return torch.stack([x, m.f(x)]).sum(0)


def _drop_path(m: Any, x: torch.Tensor) -> torch.Tensor:
    keep = x.new_empty(x.shape[0], 1, 1, 1).bernoulli_(0.9)
    return x + m.f(x).div(0.9) * keep


def _two_branches(m: Any, x: torch.Tensor) -> torch.Tensor:
    return x + m.f(x) + m.g(x)


def _global(m: Any, x: torch.Tensor) -> torch.Tensor:
    y = m.f(x)
    y = y + m.g(y)
    return y + x


def _resized_gate(m: Any, x: torch.Tensor) -> torch.Tensor:
    gate = torch.sigmoid(m.g(F.avg_pool2d(x, 2)))
    return x + m.f(x) * F.interpolate(gate, size=x.shape[-2:], mode="nearest")


def _low_attention(m: Any, x: torch.Tensor) -> torch.Tensor:
    low = m.f(F.avg_pool2d(x, 2)).flatten(2).transpose(1, 2)
    low = F.scaled_dot_product_attention(low, low, low).transpose(1, 2).reshape(1, 8, 8, 8)
    return x + F.interpolate(m.g(low), scale_factor=2, mode="bilinear")


def _low_convolutions(m: Any, x: torch.Tensor) -> torch.Tensor:
    low = m.h(m.f(F.avg_pool2d(x, 2)))
    return x + F.interpolate(m.g(low), scale_factor=2, mode="bilinear")


def _reparametrised(m: Any, x: torch.Tensor) -> torch.Tensor:
    mixed = m.one(x) + m.n(x)
    mixed = mixed + m.f(x)
    return x + 0.1 * (mixed - m.m(x))


def _moved_padding(m: Any, x: torch.Tensor) -> torch.Tensor:
    return m.wide(x) + F.pad(x.transpose(1, -1), (0, 8)).transpose(1, -1)


def _spatial_padding(m: Any, x: torch.Tensor) -> torch.Tensor:
    return m.f(F.pad(x, (1, 1))) + F.pad(x, (1, 1))


def _pooled_pyramid(m: Any, x: torch.Tensor) -> torch.Tensor:
    y = F.max_pool2d(x, 5, 1, 2)
    return m.g(torch.cat([x, y, F.max_pool2d(y, 5, 1, 2)], 1))


def _statistic(m: Any, x: torch.Tensor) -> torch.Tensor:
    return m.g(torch.cat([x, x.var((2, 3), keepdim=True).expand_as(x)], 1))


def _straight_through(m: Any, x: torch.Tensor) -> torch.Tensor:
    x = m.f(x)
    code = m.codes(torch.cdist(x.permute(0, 2, 3, 1), m.codes.weight).argmin(-1))
    return m.g(x + (code.permute(0, 3, 1, 2) - x).detach())


def _level(m: Any, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    low = m.f(F.max_pool2d(x, 2))
    return low, F.interpolate(low, scale_factor=2)


def _heads(m: Any, x: torch.Tensor) -> torch.Tensor:
    low, up = _level(m, x)
    small = m.h(F.interpolate(m.h(m.h(F.max_pool2d(up, 2))), scale_factor=2))
    return torch.cat([F.interpolate(m.one(low), scale_factor=2), m.one(small)], 1)


def _levels(m: Any, x: torch.Tensor) -> torch.Tensor:
    low, _ = _level(m, x)
    return torch.cat([m.one(x), F.interpolate(m.one(low), scale_factor=2)], 1)


def _cascade(m: Any, x: torch.Tensor) -> torch.Tensor:
    one, two = x.chunk(2, 1)
    one = m.f(one)
    return m.h(torch.cat([one, m.g(one + two)], 1))


def _cascade_of_all(m: Any, x: torch.Tensor) -> torch.Tensor:
    one = m.f(x)
    return torch.cat([one, m.g(one + x)], 1)


_HALF = {"f": conv(4, 4), "g": conv(4, 4)}
_CASES: list[Case] = [
    ("plain add", lambda: net(lambda m, x: x + m.f(x)), ["identity"]),
    ("two convolutions of one value", lambda: net(lambda m, x: m.f(x) + m.g(x)), []),
    ("method add", lambda: net(lambda m, x: x.add(m.f(x))), ["identity"]),
    ("in place", lambda: net(lambda m, x: m.f(x).add_(x)), ["identity"]),
    ("with alpha", lambda: net(lambda m, x: torch.add(x, m.f(x), alpha=0.2)), ["identity"]),
    ("python sum", lambda: net(lambda m, x: sum([x, m.f(x)])), ["identity"]),
    ("stacked sum", lambda: net(_stacked_sum), ["identity"]),
    (
        "stacked sum of convolutions",
        lambda: net(lambda m, x: torch.stack([m.f(x), m.g(x)]).sum(0)),
        [],
    ),
    ("stack alone", lambda: net(lambda m, x: torch.stack([x, m.f(x)])), []),
    ("constant", lambda: net(lambda m, x: m.f(x) + 0.5), []),
    ("parameter", lambda: net(lambda m, x: m.f(x) + m.p, p=nn.Parameter(torch.zeros(1))), []),
    (
        "scaled branch",
        lambda: net(lambda m, x: x + m.p * m.f(x), p=nn.Parameter(torch.zeros(8, 1, 1))),
        ["identity"],
    ),
    ("difference", lambda: net(lambda m, x: x - m.f(x)), ["identity"]),
    ("pooling less identity", lambda: net(lambda m, x: m.f(F.avg_pool2d(x, 3, 1, 1) - x)), []),
    ("same value twice", lambda: net(lambda m, x: m.f(x + x)), []),
    ("lerp", lambda: net(lambda m, x: torch.lerp(x, m.f(x), 0.3)), ["identity"]),
    ("interpolated", lambda: net(lambda m, x: x + 0.3 * (m.f(x) - x)), ["identity"]),
    ("highway", lambda: net(_highway), ["gate"]),
    ("two branches and the identity", lambda: net(_two_branches), ["identity"]),
    ("block inside a global skip", lambda: net(_global), ["identity", "identity"]),
    ("weight-shared loop", lambda: net(_loop), ["identity"] * 3),
    ("drop path", lambda: net(_drop_path), ["identity"]),
    (
        "two layers against a projection",
        lambda: net(lambda m, x: m.one(x) + m.g(m.f(x)), one=conv(8, 8, 1)),
        ["projection"],
    ),
    (
        "one layer against a projection",
        lambda: net(lambda m, x: m.one(x) + m.f(x), one=conv(8, 8, 1)),
        [],
    ),
    (
        "padded shortcut",
        lambda: net(_option_a, f=conv(8, 8, 3, 2), wide=conv(8, 16)),
        ["projection"],
    ),
    (
        "pooled shortcut",
        lambda: net(lambda m, x: F.max_pool2d(x, 2) + m.g(m.f(x)), f=conv(8, 8, 3, 2)),
        ["projection"],
    ),
    (
        "padded on a moved axis",
        lambda: net(_moved_padding, wide=conv(8, 16)),
        ["projection"],
    ),
    ("padded positions", lambda: net(_spatial_padding), ["identity"]),
    ("poolings beside their input", lambda: net(_pooled_pyramid, g=conv(24)), ["concat"]),
    ("a statistic beside its values", lambda: net(_statistic, g=conv(16)), []),
    ("straight through", lambda: net(_straight_through, codes=nn.Embedding(5, 8)), []),
    ("heads of two levels", lambda: net(_heads, one=conv(8, 2, 1)), []),
    ("two levels, projected", lambda: net(_levels, one=conv(8, 2, 1)), ["long"]),
    ("squeeze-excitation", lambda: net(_se), ["gate"]),
    ("hard squeeze-excitation", lambda: net(_hard_se), ["gate"]),
    ("silu", lambda: net(lambda m, x: F.silu(m.f(x))), []),
    ("silu by hand", lambda: net(lambda m, x: (y := m.f(x)) * torch.sigmoid(y)), []),
    ("gelu by hand", lambda: net(_gelu_by_hand), []),
    ("layer norm by hand", lambda: net(_layer_norm_by_hand), []),
    ("rms norm by hand", lambda: net(_rms_norm_by_hand), []),
    ("unit norm", lambda: net(lambda m, x: F.normalize(m.f(x))), []),
    ("gated linear unit", lambda: net(_glu), []),
    ("gated halves", lambda: net(lambda m, x: F.glu(m.f(x), 1)), []),
    ("spatial gate", lambda: net(lambda m, x: x * torch.sigmoid(m.s(x)), s=conv(8, 1)), ["gate"]),
    ("split attention", lambda: net(_radix), ["gate"]),
    ("concatenation", lambda: net(lambda m, x: torch.cat([x, m.f(x)], 1)), ["concat"]),
    ("parallel concatenation", lambda: net(lambda m, x: torch.cat([m.f(x), m.g(x)], 1)), []),
    ("dense", lambda: net(_dense, g=conv(16)), ["dense", "dense"]),
    ("u-net", lambda: net(_hourglass, g=conv(16)), ["long"]),
    ("u-net++", lambda: net(_unet_plus_plus, n=conv(16), o=conv(24)), ["long"] * 3),
    (
        "attention u-net",
        lambda: net(_attention_gate, a=conv(8, 8, 1), b=conv(8, 8, 1), h=conv(8, 1, 1), g=conv(16)),
        ["gate", "long"],
    ),
    ("resolutions fused", lambda: net(_fusion, down=conv(8, 8, 3, 2)), []),
    ("channel split", lambda: net(_split, **_HALF), ["split-concat"]),
    ("channel groups one after the other", lambda: net(_cascade, **_HALF), []),
    ("all channels one after the other", lambda: net(_cascade_of_all), ["identity", "concat"]),
    ("channel split, both convolved", lambda: net(_split_all, **_HALF), []),
    ("pooled concatenation", lambda: net(_pool_concat, f=conv(8, 8, 3, 2)), ["pool-concat"]),
    ("pooling beside one convolution", lambda: net(_pool_parallel, f=conv(8, 8, 3, 2)), []),
    ("aspp", lambda: net(_aspp, one=conv(8, 8, 1)), []),
    ("inception of two", lambda: net(_inception_residual, one=conv(8, 8, 1)), []),
    (
        "cross stage",
        lambda: net(_cross_stage, one=conv(8, 8, 1), two=conv(8, 8, 1)),
        ["identity", "split-concat"],
    ),
    (
        "halves without blocks",
        lambda: net(
            lambda m, x: torch.cat([m.one(x), m.g(m.f(m.two(x)))], 1),
            one=conv(8, 8, 1),
            two=conv(8, 8, 1),
        ),
        ["split-concat"],
    ),
    (
        "a narrow 1x1 beside a chain",
        lambda: net(
            lambda m, x: torch.cat([m.one(x), m.g(m.f(m.two(x)))], 1),
            one=conv(8, 4, 1),
            two=conv(8, 8, 1),
        ),
        [],
    ),
    ("resized gate", lambda: net(_resized_gate), ["gate", "identity"]),
    ("attention at lower resolution", lambda: net(_low_attention), ["identity"]),
    ("convolutions at lower resolution", lambda: net(_low_convolutions), ["long"]),
    (
        "reparametrised mixer",
        lambda: net(_reparametrised, one=conv(8, 8, 1), n=nn.BatchNorm2d(8), m=nn.BatchNorm2d(8)),
        ["identity"],
    ),
    ("slice assignment", lambda: net(_stage, **_HALF), ["split-concat"]),
    ("slice of a whole slice", lambda: net(_narrowed_stage, **_HALF), ["split-concat"]),
    ("concatenation by assignment", lambda: net(_assigned, g=conv(16)), ["concat"]),
    ("parallel by assignment", lambda: net(_assigned_parallel, h=conv(16)), []),
    ("sum into a slice", lambda: net(_add_to_slice), ["identity"]),
    (
        "attention logits",
        lambda: net(_attention, qkv=nn.Linear(8, 24), positions=nn.Parameter(torch.zeros(8, 256))),
        [],
    ),
    ("tokens", lambda: net(lambda m, x: torch.cat([x, m.f(x)], 2)), []),
]


@pytest.mark.parametrize(("make", "truth"), [c[1:] for c in _CASES], ids=[c[0] for c in _CASES])
def test_traps(make: Callable[[], nn.Module], truth: list[str]) -> None:
    assert kinds(make()) == truth


def _embedded(m: Any, x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
    e = m.e(t)
    for _ in range(2):
        y = F.silu(m.f(x)) + m.w(e)[:, :, None, None]
        x = x + m.g(y)
    return x


def test_a_time_embedding_is_a_condition_and_no_skip() -> None:
    model = net(_embedded, e=nn.Linear(4, 8), w=nn.Linear(8, 8))
    assert kinds(model, torch.randn(*IMAGE), torch.randn(1, 4)) == ["identity", "identity"]


def test_the_latest_common_value_is_the_split() -> None:
    model = net(lambda m, x: (y := F.relu(m.f(x))) + m.h(F.relu(m.g(y))))
    graph, (skip,) = skips_of(model)
    assert graph.nodes[graph.values[skip.split].producer or 0].op == "aten.relu.default"
    assert [(arm.role, arm.layers) for arm in skip.arms] == [("branch", 2), ("shortcut", 0)]
    assert skip.arms[1].values == (skip.split,)
    branch = skip.arms[0]
    assert branch.values[0] == skip.split
    assert graph.nodes[skip.join].inputs == (skip.split, branch.values[-1])
    assert [graph.nodes[n].module for n in branch.nodes if "conv" in graph.nodes[n].op] == [
        "g",
        "h",
    ]


class _Dead(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.f = conv()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        _ = x + self.f(x)
        return x + self.f(x)


def test_a_join_nothing_depends_on_is_dead() -> None:
    _, skips = skips_of(_Dead())
    assert [skip.live for skip in skips] == [False, True]


def test_a_detached_shortcut_is_told() -> None:
    _, (cut,) = skips_of(net(lambda m, x: m.g(x).detach() + m.f(m.h(m.g(x)))))  # two values
    _, (plain,) = skips_of(net(lambda m, x: (y := m.g(x)) + m.f(y)))
    _, (told,) = skips_of(net(lambda m, x: (y := m.g(x)).detach() + m.f(y)))
    assert [arm.detached for arm in plain.arms] == [False, False]
    assert [(a.role, a.detached) for a in told.arms] == [("branch", False), ("shortcut", True)]
    assert cut.kind == "projection"


def test_no_grad_detaches_a_branch() -> None:
    def frozen(m: Any, x: torch.Tensor) -> torch.Tensor:
        y = m.g(x)
        with torch.no_grad():
            z = m.f(y)
        return y + z

    _, (skip,) = skips_of(net(frozen))
    assert [(a.role, a.detached) for a in skip.arms] == [("branch", True), ("shortcut", False)]


@pytest.mark.parametrize(
    ("forward", "kind"),
    [
        (lambda m, x: x + m.f(x), "identity"),
        (lambda m, x: m.one(x) + m.g(m.f(x)), "projection"),
        (lambda m, x: torch.cat([x, m.f(x)], 1), "concat"),
    ],
)
def test_a_failing_join_is_reported(forward: Callable[..., Any], kind: str) -> None:
    model = net(forward, f=conv(8, 16, 3, 2), g=conv(16, 16), one=conv(8, 8, 1))
    graph, (skip,) = skips_of(model)
    assert graph.failure is not None
    assert (skip.kind, skip.join, skip.notes[-1]) == (kind, graph.failure.node, "failed")
    branch, shortcut = (graph.values[arm.values[-1]].shape for arm in skip.arms)
    assert (branch, shortcut) == ((1, 16, 8, 8), (1, 8, 16, 16))


def test_an_empty_skip_is_none() -> None:
    model = net(lambda m, x: m.g(torch.cat([m.f(x), x[:, :0]], 1)))
    assert kinds(model) == []


def test_checkpointed_and_scripted_blocks() -> None:
    block = net(lambda m, x: x + m.f(x))
    model = net(lambda m, x: checkpoint(block, x, use_reentrant=False), block=block)
    assert kinds(model) == ["identity"]


def test_dictionaries_tuples_and_several_inputs() -> None:
    model = net(lambda m, x, y: {"a": x + m.f(x), "b": (y + m.g(y), [torch.cat([x, y], 1)])})
    assert kinds(model, torch.randn(*IMAGE), torch.randn(*IMAGE)) == ["identity", "identity"]


@pytest.mark.parametrize("training", [False, True])
def test_training_mode_changes_nothing(training: bool) -> None:
    model = net(lambda m, x: x + m.d(m.n(m.f(x))), n=nn.BatchNorm2d(8), d=nn.Dropout(0.5))
    _, skips = skips_of(model.train(training))
    assert [skip.kind for skip in skips] == ["identity"]


def test_batch_axis_is_noted() -> None:
    _, (skip,) = skips_of(net(lambda m, x: torch.cat([x, m.f(x)], 0)))
    assert skip.notes == ("concatenates along the batch axis",)
