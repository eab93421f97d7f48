"""Models that read values, change with them, or resist meta tensors otherwise."""

import pytest
import torch
from torch import nn

from torchskip.trace import trace
from torchskip.trace.tracer import witnessed


class Model(nn.Module):
    def __init__(self, run):
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 3, padding=1)
        self.register_buffer("flag", torch.tensor(1))
        self.register_buffer("grid", torch.arange(64.0))
        self.anchors = torch.ones(1, 1, 8, 8)
        self.run = run

    def forward(self, x):
        return self.run(self, x)


def test_a_pass_may_start_where_another_one_came_to():
    seen, x = [], torch.ones(1, 4, 8, 8)

    def run(m, x):
        seen.append(x.device.type if type(x) is torch.Tensor else "fake")
        return x + float(m.conv(x).mean())

    assert trace(Model(run), x).device == "real"
    assert seen == ["meta", "fake", "cpu"]
    graph = witnessed(Model(run), (x,), {}, start="real")
    assert (graph.device, graph.failure) == ("real", None)
    assert seen == ["meta", "fake", "cpu", "cpu"]


def numpy(m, x):
    return x + torch.from_numpy(m.conv(x).detach().cpu().numpy())


def branch(m, x):
    y = m.conv(x)
    return x + y if y.abs().sum() > 0 else x


def scatter(m, x):
    y = m.conv(x)
    rows = (y > 0).nonzero()[:, 1]
    return x + y.mean() * rows.float().mean()


@pytest.mark.parametrize(
    "run", [numpy, branch, scatter, lambda m, x: x * float(m.conv(x).mean()) + x]
)
def test_values_read_in_forward_run_for_real(run):
    model = Model(run).eval()
    graph = trace(model, torch.randn(1, 4, 8, 8))
    assert graph.failure is None
    assert graph.device == "real"
    assert [a.device for a in graph.attempts] == ["meta", "fake"]
    assert graph.nodes[0].module == "conv"
    assert graph.nodes[-1].op == "aten.add.Tensor"
    assert graph.nodes[0].constants[0].name == "conv.weight"


def test_without_data_the_partial_graph_comes_back():
    graph = trace(Model(branch).to("meta"), torch.zeros(1, 4, 8, 8))
    assert graph.failure is not None
    assert graph.device in ("meta", "fake")
    assert graph.nodes[0].op == "aten.convolution.default"


def test_fake_inputs_go_where_a_model_without_data_is():
    model = Model(lambda m, x: m.conv(x) * m.grid[:8]).to("meta")
    assert trace(model, torch.zeros(1, 4, 8, 8), device="fake").failure is None


@pytest.mark.parametrize(
    "run",
    [
        lambda m, x: x + m.conv(x) if m.flag.item() else x,
        lambda m, x: x + m.conv(x) * m.anchors,
        lambda m, x: x.cpu() + m.conv(x).to("cpu"),
        lambda m, x: x + m.conv(x) * torch.tensor([2.0]) if x.device else x,
        lambda m, x: x + m.conv(x) if torch.arange(3).sum() == 3 else x,
        lambda m, x: m.conv(x) + x.new_zeros(1) + x,
        lambda m, x: torch.vmap(lambda t: t * 2)(m.conv(x)) + x,
        lambda m, x: torch.fft.irfft2(torch.fft.rfft2(m.conv(x)), s=(8, 8)) + x,
        lambda m, x: torch.einsum("bchw,bdhw->bchw", m.conv(x), x) + x,
        lambda m, x: torch.func.grad(lambda t: (t**2).sum())(m.conv(x)) + x,
        lambda m, x: x[:, [1, 0, 3, 2]] + m.conv(x),
        lambda m, x: x[torch.zeros(1, dtype=torch.long)] + m.conv(x),
        lambda m, x: torch.where(m.anchors > 0, m.conv(x), x) + x,
    ],
)
def test_what_meta_tensors_manage(run):
    graph = trace(Model(run).eval(), torch.randn(1, 4, 8, 8))
    assert graph.failure is None, graph.failure
    assert (graph.device, graph.attempts) == ("meta", ())
    assert graph.nodes[-1].op == "aten.add.Tensor"
    assert 0 in graph.nodes[-1].inputs or graph.nodes[-1].inputs


def test_autocast_needs_fake_tensors():
    def run(m, x):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            y = m.conv(x)
        return x + y

    graph = trace(Model(run), torch.zeros(1, 4, 8, 8))
    assert (graph.failure, graph.device) == (None, "fake")
    assert graph.attempts[0].message == "autocast does nothing on meta tensors"
    join = graph.nodes[-1]
    assert [graph.values[v].dtype for v in join.inputs] == ["float32", "bfloat16"]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        graph = trace(Model(lambda m, x: m.conv(x)), torch.zeros(1, 4, 8, 8))
    assert graph.values[graph.outputs[0]].dtype == "bfloat16"


def test_inference_code_that_autograd_refuses():
    def run(m, x):
        a, b = m.conv(x).chunk(2, 1)
        a.relu_()
        return torch.cat([a, b], 1) + x

    graph = trace(Model(run).eval(), torch.zeros(1, 4, 8, 8))
    assert (graph.failure, graph.device, graph.grad) == (None, "meta", False)
    assert "is a view and is being modified inplace" in graph.attempts[0].message
    assert not any(n.grad for n in graph.nodes)


def test_an_input_that_must_not_require_grad():
    def run(m, x):
        a, b = x.chunk(2, 1)
        a.relu_()
        return torch.cat([a, b], 1) + m.conv(x)

    graph = trace(Model(run).eval(), torch.zeros(1, 4, 8, 8))
    assert (graph.failure, graph.device, graph.grad) == (None, "meta", True)


def test_compiled_models_run_their_original_code():
    inner = Model(lambda m, x: x + m.conv(x))
    plain = trace(inner, torch.zeros(1, 4, 8, 8))
    assert trace(torch.compile(inner, backend="eager"), torch.zeros(1, 4, 8, 8)) == plain
    outer = nn.Sequential(torch.compile(inner, backend="eager"))
    graph = trace(outer, torch.zeros(1, 4, 8, 8))
    assert [n.module for n in graph.nodes] == ["0.conv", "0"]
    assert [p.name for p in graph.parameters][:2] == ["0.conv.weight", "0.conv.bias"]
    inner.compile(backend="eager")
    assert [n.op for n in trace(inner, torch.zeros(1, 4, 8, 8)).nodes] == [
        n.op for n in plain.nodes
    ]


def test_hooks_of_the_model_run():
    model = Model(lambda m, x: x + m.conv(x))
    model.conv.register_forward_hook(lambda m, i, o: o.detach())
    graph = trace(model, torch.zeros(1, 4, 8, 8))
    assert [n.op for n in graph.nodes] == [
        "aten.convolution.default",
        "aten.detach.default",
        "aten.add.Tensor",
    ]
    assert graph.nodes[1].module == "conv"
    assert graph.values[graph.nodes[2].inputs[1]].requires_grad is False
