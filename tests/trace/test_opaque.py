"""Recurrent and attention layers are one node; encoder layers stay open."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from torchskip.trace import trace


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU, nn.RNN])
@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize("bidirectional", [True, False])
@pytest.mark.parametrize("layers", [1, 2])
def test_recurrent_layers(kind, batch_first, bidirectional, layers):
    model = kind(4, 5, layers, batch_first=batch_first, bidirectional=bidirectional)
    x = torch.zeros(3, 7, 4)
    graph = trace(model, x)
    assert [n.op for n in graph.nodes] == [f"module.{kind.__name__}"]
    assert graph.nodes[0].places == ("input",)
    assert graph.nodes[0].constants[0].name == "weight_ih_l0"
    real = trace(model, x, device="real")
    assert [graph.values[v].shape for v in graph.outputs] == [
        real.values[v].shape for v in real.outputs
    ]
    assert graph.output_names == real.output_names


def test_a_projected_lstm_and_an_unbatched_one():
    graph = trace(nn.LSTM(4, 6, proj_size=2), torch.zeros(3, 7, 4))
    assert [graph.values[v].shape for v in graph.outputs] == [(3, 7, 2), (1, 7, 2), (1, 7, 6)]
    graph = trace(nn.GRU(4, 6), torch.zeros(3, 4))
    assert [graph.values[v].shape for v in graph.outputs] == [(3, 6), (1, 6)]


def test_cells_and_initial_states():
    graph = trace(nn.LSTMCell(4, 5), torch.zeros(2, 4), (torch.zeros(2, 5), torch.zeros(2, 5)))
    assert graph.nodes[0].op == "module.LSTMCell"
    assert graph.nodes[0].places == ("input", "hx[0]", "hx[1]")


def test_gradients_pass_an_opaque_layer():
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn = nn.LSTM(4, 4)

        def forward(self, x):
            return x + self.rnn(x)[0]

    graph = trace(Model(), torch.zeros(3, 2, 4))
    assert [n.op for n in graph.nodes] == ["module.LSTM", "aten.add.Tensor"]
    assert [graph.values[v].requires_grad for v in graph.nodes[1].inputs] == [True, True]


def test_attention_keeps_the_order_of_its_inputs():
    class Cross(nn.Module):
        def __init__(self):
            super().__init__()
            self.attention = nn.MultiheadAttention(8, 2, batch_first=True)

        def forward(self, q, kv):
            return q + self.attention(q, key=kv, value=kv)[0]

    graph = trace(Cross(), torch.zeros(1, 3, 8), torch.zeros(1, 5, 8))
    attention, add = graph.nodes
    assert attention.op == "module.MultiheadAttention"
    assert (attention.inputs, attention.places) == ((0, 1, 1), ("query", "key", "value"))
    assert add.inputs == (0, attention.outputs[0])


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("frozen", [True, False])
def test_encoder_layers_show_their_residuals(training, frozen):
    layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True)
    layer.requires_grad_(not frozen)
    for device in ("meta", "real"):
        graph = trace(layer, torch.zeros(2, 3, 8), training=training, device=device)
        assert [n.op for n in graph.nodes].count("aten.add.Tensor") == 2
        assert [n.op for n in graph.nodes].count("module.MultiheadAttention") == 1
    assert torch.backends.mha.get_fastpath_enabled()


def test_fused_attention_is_one_node_on_every_rung():
    class Model(nn.Module):
        def forward(self, x):
            return F.scaled_dot_product_attention(x, x, x * 2, is_causal=True)

    for device in ("meta", "fake", "real"):
        graph = trace(Model(), torch.zeros(1, 2, 5, 4), device=device)
        assert graph.failure is None
        assert [n.op for n in graph.nodes] == [
            "aten.mul.Tensor",
            "aten.scaled_dot_product_attention.default",
        ]
        assert graph.nodes[1].places == ("query", "key", "value")
        assert graph.nodes[1].argument("is_causal") is True


def test_a_failing_opaque_layer():
    graph = trace(nn.Sequential(nn.ReLU(), nn.LSTM(5, 5)), torch.zeros(3, 2, 4))
    assert graph.failure.node == 1
    assert graph.nodes[1].op == "module.LSTM"
    assert graph.nodes[1].outputs == ()
    assert graph.failure.module == "1"
    assert "Expected 5, got 4" in graph.failure.message


def test_the_fast_path_of_inference_stays_off():
    class Infer(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)

        @torch.no_grad()
        def forward(self, x):
            return self.layer(x)

    graph = trace(Infer().eval(), torch.zeros(2, 3, 8), device="real")
    assert [n.op for n in graph.nodes].count("aten.add.Tensor") == 2
