"""Fusing: what becomes what, what is refused, and what a fused model is."""

import copy
import gc
import pickle
import sys

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import torchskip
from torchskip.deploy import fuse
from torchskip.deploy.kernels import Convolution
from torchskip.deploy.onednn import convolves
from torchskip.deploy.proof import largest_difference
from torchskip.errors import FuseError
from torchskip.nn import Skip


def settle(net):
    """Give every normalisation statistics that show when they are lost."""
    generator = torch.Generator().manual_seed(1)
    for m in net.modules():
        if isinstance(m, (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)):
            m.running_mean.copy_(torch.randn(m.num_features, generator=generator))
            m.running_var.copy_(torch.rand(m.num_features, generator=generator) + 0.5)
            m.weight.data.copy_(torch.randn(m.num_features, generator=generator))
            m.bias.data.copy_(torch.randn(m.num_features, generator=generator))
    return net.eval()


def bottleneck(channels=16):
    return Skip(
        nn.Conv2d(channels, 8, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU(inplace=True),
        nn.Conv2d(8, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU(inplace=True),
        nn.Conv2d(8, channels, 1, bias=False), nn.BatchNorm2d(channels),
    )  # fmt: skip


def targets(fused):
    return [n.target if n.op == "call_function" else n.op for n in fused.code.graph.nodes]


def check(net, x, **options):
    fused = fuse(net, x, **options)
    with torch.no_grad():
        assert largest_difference(fused(x), net(x)) <= (1e-2 if options.get("dtype") else 1e-5)
    return fused


def test_a_residual_stage_is_one_call_per_convolution():
    net = settle(nn.Sequential(bottleneck(), nn.ReLU(inplace=True), bottleneck(), nn.ReLU()))
    fused = check(net, torch.randn(2, 16, 12, 12))
    assert targets(fused) == ["placeholder", *["call_module"] * 6, "output"]
    joins = [m for m in fused.code.children() if m.binary]
    assert [m.unary.name for m in joins] == ["relu", "relu"]
    # The first shortcut is the caller's tensor; the second dies at its join.
    assert [m.overwrite for m in joins] == [False, True]


def test_repvgg_and_skip_become_one_kernel():
    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.three = nn.Sequential(nn.Conv2d(8, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8))
            self.one = nn.Sequential(nn.Conv2d(8, 8, 1, bias=False), nn.BatchNorm2d(8))
            self.zero = nn.BatchNorm2d(8)

        def forward(self, x):
            return F.relu(self.three(x) + self.one(x) + self.zero(x))

    net = settle(nn.Sequential(Block(), Skip(nn.Conv2d(8, 8, 3, padding=1)), Block()))
    fused = check(net, torch.randn(1, 8, 9, 9))
    assert targets(fused) == ["placeholder", *["call_module"] * 3, "output"]
    # bfloat16 would lose w in 1 + w: identities stay outside, and the report says so.
    low = fuse(net, torch.randn(1, 8, 9, 9), dtype=torch.bfloat16, tolerance=0.05)
    assert any("loses the digits" in e.why for e in low.report.kept)


def test_preactivation_becomes_a_clamp():
    norm = nn.BatchNorm2d(8)
    net = settle(nn.Sequential(nn.MaxPool2d(2), norm, nn.ReLU(), nn.Conv2d(8, 4, 1)))
    norm.weight.data.copy_(torch.tensor([1.0, -2, 0.5, 3, -0.3, 1, 1, 1]))
    fused = check(net, torch.randn(2, 8, 8, 8))
    assert torch.ops.aten.clamp.Tensor in targets(fused) or torch.ops.aten.clamp_.Tensor in targets(
        fused
    )
    assert torch.ops.aten.relu.default not in targets(fused)
    norm.weight.data[0] = 1e-6  # the threshold would be a million away
    kept = check(net, torch.randn(2, 8, 8, 8)).report.kept
    assert any("close to zero" in e.why for e in kept)


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_every_rank_and_transposed(rank):
    conv = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[rank - 1]
    back = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)[rank - 1]
    norm = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)[rank - 1]
    net = settle(nn.Sequential(
        conv(2, 6, 3, stride=2, padding=1, bias=False), norm(6), nn.ReLU(),
        Skip(conv(6, 6, 3, padding=1), norm(6)), nn.ReLU(inplace=True),
        back(6, 4, 4, stride=2, padding=1, groups=2), norm(4), nn.SiLU(),
    ))  # fmt: skip
    fused = check(net, torch.randn(2, 2, *(8,) * rank))
    assert len(targets(fused)) == 5
    check(net, torch.randn(2, 2, *(8,) * rank), dtype=torch.bfloat16)


def test_sizes_other_than_the_example():
    net = settle(
        nn.Sequential(bottleneck(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 3))
    )
    fused = fuse(net, torch.randn(1, 16, 8, 8))
    for shape in ((1, 16, 8, 8), (7, 16, 9, 5), (0, 16, 8, 8), (300, 16, 31, 33)):
        x = torch.randn(shape)
        with torch.no_grad():
            torch.testing.assert_close(fused(x), net(x), rtol=1e-4, atol=1e-4)


def test_a_fixed_size_is_an_error_that_says_so():
    net = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.Flatten(), nn.Linear(4 * 64, 2)).eval()
    fused = fuse(net, torch.randn(2, 3, 8, 8))
    assert fused(torch.randn(5, 3, 8, 8)).shape == (5, 2)
    with pytest.raises(FuseError, match=r"fused for \(2, 3, 8, 8\), got \(2, 3, 9, 8\)") as error:
        fused(torch.randn(2, 3, 9, 8))
    assert "takes any batch size, the example's height and width only" in str(error.value)
    with pytest.raises(FuseError, match=r"fused for torch\.float32 inputs, got torch\.float64"):
        fused(torch.randn(2, 3, 8, 8).double())


class Padded(nn.Module):
    """Pads to a multiple of 4 in Python, as many decoders do."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)

    def forward(self, x):
        height, width = x.shape[-2:]
        return self.conv(F.pad(x, (0, -width % 4, 0, -height % 4)))[..., :height, :width]


def test_sizes_that_python_reads_are_taken_only_where_proved():
    net, x = Padded().eval(), torch.randn(2, 3, 8, 8)
    fused = fuse(net, x)
    again = torch.randn(3, 3, 40, 72)
    torch.testing.assert_close(fused(again), net(again))
    with pytest.raises(FuseError, match="multiples of 32"):
        fused(torch.randn(2, 3, 9, 8))


def test_batches_that_mix_samples_go_through_whole():
    class Mixer(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 3)

        def forward(self, x):
            y = self.conv(x)
            return y - y.mean(0, keepdim=True)

    x = torch.randn(9, 3, 8, 8)
    fused = check(Mixer().eval(), x)
    assert fused.samples == 0


class ByBatch(nn.Module):
    """Computes something else for more than four samples."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3)

    def forward(self, x):
        y = self.conv(x)
        return 2 * y if x.shape[0] > 4 else y


@torch.no_grad()
def test_one_sample_stands_for_a_batch_only_if_the_whole_agrees():
    net, x = ByBatch().eval(), torch.randn(8, 3, 8, 8)
    fast = fuse(net, x)
    torch.testing.assert_close(fast(x), net(x))
    with pytest.raises(FuseError, match="the example's batch size only"):
        fast(x[:2])


@torch.no_grad()
def test_the_proof_is_on_a_part_of_the_example_that_runs_at_once():
    net, x = nn.Conv2d(3, 8, 3).eval(), torch.randn(6, 3, 8, 8)
    checks = {check.inputs: check.shapes for check in fuse(net, x).report.checks}
    assert checks["the given input's first sample, among others"] == ((6, 3, 8, 8),)


def test_the_garbage_collector_is_as_it_was():
    before = gc.get_threshold()
    fuse(nn.Conv2d(3, 4, 1).eval(), torch.randn(1, 3, 8, 8))
    with pytest.raises(FuseError):
        fuse(Draws(), torch.randn(1, 3, 8, 8))
    assert gc.get_threshold() == before


def test_large_batches_in_parts_are_the_same():
    net = settle(nn.Sequential(nn.Conv2d(3, 64, 3, padding=1), nn.BatchNorm2d(64), nn.ReLU()))
    x = torch.randn(9, 3, 200, 200)
    fused = check(net, x)
    assert 0 < fused.samples < 9


class Draws(nn.Module):
    def forward(self, x):
        return x + torch.randn_like(x)


class Counts(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("calls", torch.zeros(1))

    def forward(self, x):
        self.calls += 1
        return x * self.calls


class Branches(nn.Module):
    def forward(self, x):
        return x.relu() if x.sum() > 0 else x.neg()


class Restrides(nn.Module):
    def forward(self, x):
        return x.relu().as_strided((2, 3), (1, 2))


@pytest.mark.parametrize(
    ("net", "why"),
    [
        (Draws(), "draws random numbers"),
        (nn.Dropout(0.5).train(), "drops values at random|random numbers"),
        (
            nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)).train(),
            "writes to its own|normalises by the batch",
        ),
        (Counts(), "writes to its own 'calls'"),
        (Branches(), "reads a value"),
        (Restrides(), "as_strided"),
    ],
    ids=lambda v: type(v).__name__ if isinstance(v, nn.Module) else "",
)
def test_refused_with_the_reason_and_left_as_it_was(net, why):
    state = {k: v.clone() for k, v in net.state_dict().items()}
    x = torch.rand(2, 3, 8, 8)
    rng = torch.get_rng_state()
    with pytest.raises(FuseError, match=why):
        fuse(net, x)
    assert torch.equal(torch.get_rng_state(), rng)
    assert all(torch.equal(v, state[k]) for k, v in net.state_dict().items())


def test_training_mode_without_consequence_is_fused():
    check(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()).train(), torch.randn(1, 3, 8, 8))


def test_hooks_shared_modules_and_weight_norm():
    conv = nn.utils.parametrizations.weight_norm(nn.Conv2d(8, 8, 3, padding=1))
    net = nn.Sequential(conv, nn.ReLU(), conv, nn.BatchNorm2d(8), nn.ReLU(inplace=True))
    settle(net)
    seen = []
    net[1].register_forward_hook(lambda m, i, o: o * 2)
    net[0].register_forward_hook(lambda m, i, o: seen.append(o.shape))
    fused = check(net, torch.randn(2, 8, 6, 6))
    assert "2 modules have hooks" in str(fused.report)
    assert len(net[1]._forward_hooks) == 1
    before = len(seen)
    fused(torch.randn(2, 8, 6, 6))
    assert len(seen) == before


class Views(nn.Module):
    """An activation in place, and a view of what it writes to before it or after it."""

    def __init__(self, way):
        super().__init__()
        self.conv, self.way = nn.Conv2d(3, 8, 1), getattr(self, way)

    def forward(self, x):
        return self.way(self.conv(x))

    def after(self, y):
        left, right = F.hardswish(y, inplace=True).chunk(2, 1)
        return left.flatten(1) + y.flatten(1)[:, : right[0].numel()]

    def through(self, y):
        rows = y.flatten(2)
        return F.leaky_relu(rows, 0.1, inplace=True) + 1

    def twice(self, y):
        rows = F.relu(y.flatten(2), inplace=True)
        return F.hardswish(rows.unflatten(2, (-1, 2)), inplace=True)

    def stale(self, y):
        rows = y.flatten(1)
        F.hardswish(y, inplace=True)
        return rows

    def base(self, y):
        F.leaky_relu(y.flatten(2), 0.1, inplace=True)
        return y + 1

    def part(self, y):
        F.relu(y[:, :4], inplace=True)
        return y


@pytest.mark.parametrize("way", ["after", "through", "twice", "stale", "base", "part"])
def test_views_are_in_no_layers_way_where_nothing_read_is_stale(way):
    fused = check(Views(way).eval(), torch.randn(2, 3, 6, 6))
    literal = any("through views" in event.why for event in fused.report.kept)
    assert literal == (way in ("stale", "base", "part"))


def test_an_activation_behind_instance_normalisation_is_fused_as_any_other():
    torch.manual_seed(0)
    block = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.InstanceNorm2d(8, affine=True), nn.LeakyReLU(inplace=True)
    )
    fused = check(block.eval(), torch.randn(2, 3, 160, 140))
    assert not fused.report.kept
    assert sum("by columns" in event.why for event in fused.report.fused) == 1


def test_the_input_is_not_written_to():
    net = nn.Sequential(nn.ReLU(inplace=True), nn.Conv2d(3, 3, 1), nn.ReLU(inplace=True)).eval()
    x = torch.randn(2, 3, 4, 4)
    kept = x.clone()
    fuse(net, x)(x)
    assert torch.equal(x, kept)


def test_results_of_two_calls_are_apart():
    net = settle(nn.Sequential(bottleneck(), nn.ReLU()))
    fused = fuse(net, torch.randn(1, 16, 8, 8))
    first = fused(torch.randn(1, 16, 8, 8))
    kept = first.clone()
    fused(torch.randn(1, 16, 8, 8))
    assert torch.equal(first, kept)


def test_nested_inputs_and_outputs():
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 1)

        def forward(self, pair, *, scale):
            a, b = self.conv(pair["a"]), self.conv(pair["b"])
            return {"sum": a + b, "parts": [a, (b, scale)], "name": "two"}

    net = Two().eval()
    example = {"pair": {"a": torch.randn(2, 3, 4, 4), "b": torch.randn(2, 3, 4, 4)}, "scale": 2.5}
    fused = fuse(net, example)
    ours, theirs = fused(**example), net(**example)
    assert (ours["name"], ours["parts"][1][1]) == ("two", 2.5)
    torch.testing.assert_close(ours["sum"], theirs["sum"])
    torch.testing.assert_close(ours["parts"][1][0], theirs["parts"][1][0])


def test_other_arguments_that_are_not_tensors_are_refused():
    class Scaled(nn.Module):
        def forward(self, x, factor=1.0):
            return x * factor

    fused = fuse(Scaled().eval(), (torch.rand(1, 2), 3.0))
    torch.testing.assert_close(fused(torch.ones(1, 2), 3.0), torch.full((1, 2), 3.0))
    with pytest.raises(FuseError, match="fused for other arguments"):
        fused(torch.ones(1, 2), 4.0)


@pytest.mark.parametrize("again", [copy.deepcopy, lambda f: pickle.loads(pickle.dumps(f))])  # noqa: S301
def test_copies(again):
    net = settle(nn.Sequential(bottleneck(), nn.ReLU(), nn.Flatten(), nn.LazyLinear(3)))
    x = torch.randn(2, 16, 8, 8)
    net(x)
    fused = fuse(net, x)
    other = again(fused)
    assert torch.equal(other(x), fused(x))
    assert str(other.report) == str(fused.report)


def test_a_fused_model_is_for_inference_as_it_is():
    fused = torchskip.fuse(nn.Conv2d(3, 4, 1), torch.rand(1, 3, 4, 4))
    assert fused.eval() is fused
    assert not fused(torch.rand(1, 3, 4, 4, requires_grad=True)).requires_grad
    assert list(fused.parameters()) == []
    fused.to("cpu")
    for change in (fused.half, fused.double, fused.train, lambda: fused.to("meta")):
        with pytest.raises(FuseError):
            change()
    with pytest.raises(FuseError, match="fused already"):
        fuse(fused, torch.rand(1, 3, 4, 4))


def test_beyond_the_tolerance_is_refused():
    net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8)).eval()
    with pytest.raises(FuseError, match=r"differs from the original by .* more than 1e-09"):
        fuse(net, torch.randn(1, 3, 8, 8), dtype=torch.bfloat16, tolerance=1e-9)


def test_without_onednn_the_same(monkeypatch):
    net = settle(nn.Sequential(bottleneck(), nn.ReLU(), bottleneck(), nn.Hardswish()))
    x = torch.randn(2, 16, 8, 8)
    monkeypatch.setattr("torchskip.deploy.kernels.convolves", lambda *_: False)
    monkeypatch.setattr("torchskip.deploy.kernels.multiplies", lambda *_: False)
    fused = check(net, x)
    assert not any(m.native or m.flat for m in fused.code.children() if isinstance(m, Convolution))


def test_onednn_is_tried_where_it_is():
    if torch.backends.mkldnn.is_available():
        assert convolves(None, True, torch.float32, 2)
        assert convolves(None, False, torch.bfloat16, 3)


def test_the_report_accounts_for_every_place():
    net = settle(nn.Sequential(bottleneck(), nn.ReLU()))
    report = fuse(net, torch.randn(1, 16, 8, 8)).report
    assert report.operators_before > report.operators_after == 3
    assert {e.where for e in report.fused} >= {"0.branch.1", "0.branch.4", "0.branch.7"}
    assert [c.inputs for c in report.checks] == [
        "the given input", "another batch size and odd sizes",
    ]  # fmt: skip
    text = str(report)
    assert "folded: affine map into the layer before it" in text
    assert "takes any batch size, any height and width" in text


class Attention(nn.Module):
    """A convolution, and attention over its pixels beside a shortcut."""

    def __init__(self, dropout=0.0):
        super().__init__()
        self.stem, self.dropout = nn.Conv2d(3, 16, 4, stride=4), dropout

    def forward(self, x):
        x = self.stem(x).flatten(2).transpose(1, 2)
        return x + torch.nn.functional.scaled_dot_product_attention(x, x, x, None, self.dropout)


@torch.no_grad()
def test_attention_is_random_only_where_it_drops():
    net, x = Attention().eval(), torch.randn(2, 3, 16, 16)
    fast = fuse(net, x)
    for shape in [(2, 3, 16, 16), (1, 3, 24, 16)]:
        x = torch.randn(shape)
        torch.testing.assert_close(fast(x), net(x), atol=1e-5, rtol=1e-5)
    with pytest.raises(FuseError, match="random"):
        fuse(Attention(0.5).eval(), x)


class Rows(nn.Module):
    """ConvNeXt's order: normalisation and linear layers over rows of pixels, then as images."""

    def __init__(self, mixed=False):
        super().__init__()
        self.stem, self.mixed = nn.Conv2d(3, 16, 3, padding=1), mixed
        self.norm, self.wide, self.back = nn.LayerNorm(16), nn.Linear(16, 32), nn.Linear(32, 16)

    def forward(self, x):
        x = self.stem(x)
        y = self.norm(x.permute(0, 2, 3, 1))
        y = torch.relu(self.wide(y))
        if self.mixed:
            rows = y.flatten(0, 2)
            y = (rows - rows.mean(0)).view(y.shape)
        return x + self.back(y).permute(0, 3, 1, 2)


@torch.no_grad()
def test_rows_of_pixels_keep_samples_apart_unless_they_are_mixed(monkeypatch):
    monkeypatch.setattr(
        sys.modules["torchskip.deploy.fuse"], "WORKING_SET", 2**18
    )  # two or three samples
    for mixed in (False, True):
        net, x = Rows(mixed).eval(), torch.randn(8, 3, 16, 16)
        fast = fuse(net, x)
        assert any("samples at once" in note for note in fast.report.notes) is not mixed
        for shape in [(8, 3, 16, 16), (7, 3, 12, 20)] if not mixed else [(8, 3, 16, 16)]:
            x = torch.randn(shape)
            torch.testing.assert_close(fast(x), net(x), atol=1e-5, rtol=1e-5)


class Volumes(nn.Module):
    def __init__(self, groups=1, bias=True):
        super().__init__()
        self.stem = nn.Conv3d(1, 16, 3, padding=1, bias=bias)
        self.one = nn.Conv3d(16, 16, 3, padding=1, groups=groups, bias=bias)
        self.two = nn.Conv3d(16, 16, (1, 3, 3), padding=(0, 1, 1), bias=bias)

    def forward(self, x):
        x = torch.relu(self.stem(x))
        return torch.relu(x + self.two(torch.relu(self.one(x))))


@pytest.mark.parametrize("dtype", [None, torch.bfloat16])
@pytest.mark.parametrize("groups", [1, 2, 16])
def test_volumes_run_on_packed_weights_with_their_channels_last(groups, dtype):
    net, x = Volumes(groups).eval(), torch.randn(2, 1, 5, 8, 9)
    fused = check(net, x, dtype=dtype)
    layers = [m for m in fused.code.children() if isinstance(m, Convolution)]
    assert [m.native for m in layers] == [True] * 3
    with torch.no_grad():
        for layer in layers[:1]:
            y = layer(x.to(layer.kernel.weight.dtype))
            assert y.is_contiguous(memory_format=torch.channels_last_3d)
            assert y.stride(1) == 1
