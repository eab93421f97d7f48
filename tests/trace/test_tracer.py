"""What the graph says about operations, values and their origin."""

import dataclasses
from collections import OrderedDict
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.checkpoint import checkpoint

from torchskip.trace import trace


class Block(nn.Module):
    """A convolution that keeps the shape, with a forward given as a function."""

    def __init__(self, forward=None):
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 3, padding=1)
        self.scale = nn.Parameter(torch.ones(1))
        self.run = forward

    def forward(self, x):
        return self.run(self, x)


def traced(forward, **options):
    graph = trace(Block(forward).eval(), torch.randn(1, 4, 8, 8), **options)
    assert graph.failure is None, graph.failure
    return graph


def short(graph):
    return [node.op.split(".")[1] for node in graph.nodes]


def ancestors(graph, value):
    """Every value that `value` depends on, itself included."""
    seen, todo = set(), [value]
    while todo:
        index = todo.pop()
        if index not in seen:
            seen.add(index)
            producer = graph.values[index].producer
            if producer is not None:
                todo.extend(graph.nodes[producer].inputs)
    return seen


def test_a_residual_block():
    graph = traced(lambda m, x: x + m.conv(x))
    conv, add = graph.nodes
    assert conv.op == "aten.convolution.default"
    assert (conv.module, conv.module_type, conv.call) == ("conv", "Conv2d", 0)
    assert conv.argument("stride") == (1, 1)
    assert conv.argument("padding") == (1, 1)
    assert conv.argument("transposed") is False
    assert [(c.argument, c.name, c.shape) for c in conv.constants] == [
        ("weight", "conv.weight", (4, 4, 3, 3)),
        ("bias", "conv.bias", (4,)),
    ]
    assert add.inputs == (0, 1)
    assert add.places == ("self", "other")
    assert add.argument("alpha") == 1
    assert (add.module, add.module_type) == ("", "Block")
    assert graph.inputs == (0,)
    assert graph.outputs == (2,)
    assert graph.output_names == ("",)
    assert graph.values[0].name == "x"
    assert graph.values[2].shape == (1, 4, 8, 8)
    assert graph.values[2].dtype == "float32"
    assert graph.device == "meta"
    assert graph.model == "Block"
    assert (graph.attempts, graph.grad, graph.training) == ((), True, False)


def test_the_source_is_the_line_outside_torch():
    graph = traced(lambda m, x: x + m.conv(x))
    for node in graph.nodes:
        assert node.source.file == __file__
        line = Path(__file__).read_text().splitlines()[node.source.line - 1]
        assert line.strip() == node.source.text
    conv, add = (node.source for node in graph.nodes)
    assert line[conv.column - 1 : conv.end_column - 1] == "m.conv(x)"
    assert line[add.column - 1 : add.end_column - 1] == "x + m.conv(x)"
    assert add.function.endswith("<lambda>")


def test_an_expression_over_several_lines():
    graph = traced(
        lambda m, x: torch.cat(
            [x, m.conv(x)],
            dim=1,
        )
    )
    source = graph.nodes[-1].source
    assert source.text == "lambda m, x: torch.cat( [x, m.conv(x)], dim=1, )"
    assert source.end_line == source.line + 3


def test_the_mark_of_a_continued_line_is_no_text():
    def forward(m, x):
        return x \
            + m.conv(x)  # fmt: skip

    assert traced(forward).nodes[-1].source.text == "return x + m.conv(x) # fmt: skip"


@pytest.mark.parametrize(
    ("forward", "ops", "inputs"),
    [
        (lambda m, x: x + m.scale * m.conv(x), ["convolution", "mul", "add"], (0, 2)),
        (lambda m, x: m.conv(x).add(x), ["convolution", "add"], (1, 0)),
        (lambda m, x: x - m.conv(x), ["convolution", "sub"], (0, 1)),
        (lambda m, x: m.conv(x) - x, ["convolution", "sub"], (1, 0)),
        (lambda m, x: torch.stack([x, m.conv(x)]).sum(0), ["convolution", "stack", "sum"], (2,)),
        (lambda m, x: torch.cat([m.conv(x), x], 1), ["convolution", "cat"], (1, 0)),
        (lambda m, x: x + x, ["add"], (0, 0)),
        (lambda m, x: x + 0.5, ["add"], (0,)),
        (lambda m, x: x + m.scale, ["add"], (0,)),
        (lambda m, x: torch.lerp(x, m.conv(x), 0.5), ["convolution", "lerp"], (0, 1)),
        (lambda m, x: F.silu(x), ["silu"], (0,)),
        (lambda m, x: x + torch.zeros_like(x), ["add"], (0,)),
        (lambda m, x: x + x.new_ones(x.shape), ["add"], (0,)),
        (lambda m, x: x + torch.arange(x.shape[-1]), ["add"], (0,)),
        (lambda m, x: torch.add(x, m.conv(x), alpha=2), ["convolution", "add"], (0, 1)),
    ],
)
def test_joins_and_the_order_of_their_arms(forward, ops, inputs):
    graph = traced(forward)
    assert short(graph) == ops
    assert graph.nodes[-1].inputs == inputs


def test_places_tell_lists_and_constants_apart():
    graph = traced(lambda m, x: torch.cat([m.scale.expand(1, 4, 8, 8), x, m.conv(x)], 1))
    cat = graph.nodes[-1]
    assert cat.places == ("tensors[1]", "tensors[2]")
    assert [(c.argument, c.name) for c in cat.constants] == [("tensors[0]", "scale")]
    assert cat.argument("dim") == 1


def test_a_standardised_weight_keeps_its_name():
    def forward(m, x):
        weight = m.conv.weight
        weight = (weight - weight.mean((1, 2, 3), keepdim=True)) * m.scale
        return F.conv2d(x, weight.to(torch.float32), m.conv.bias, padding=1)

    graph = traced(forward)
    weight, bias = graph.nodes[0].constants
    assert (weight.name, weight.names) == ("", ("conv.weight", "scale"))
    assert (bias.name, bias.names) == ("conv.bias", ("conv.bias",))
    readers = {p.name: p.readers for p in graph.parameters}
    assert readers == {"conv.weight": (0,), "conv.bias": (0,), "scale": (0,)}


def test_unused_modules_and_parameters_have_no_calls_and_no_readers():
    graph = traced(lambda m, x: x * 2)
    assert {m.path: m.calls for m in graph.modules} == {"": 1, "conv": 0}
    assert all(p.readers == () for p in graph.parameters)


def test_tied_weights_share_their_readers():
    model = nn.ModuleDict({"a": nn.Linear(4, 4), "b": nn.Linear(4, 4)})
    model["b"].weight = model["a"].weight
    model.forward = lambda x: model["b"](x)
    graph = trace(model, torch.zeros(1, 4))
    readers = {p.name: p.readers for p in graph.parameters}
    assert readers["a.weight"] == readers["b.weight"] == (0,)
    assert readers["a.bias"] == ()


def test_calls_of_a_shared_module_are_counted():
    def forward(m, x):
        for _ in range(3):
            x = x + m.conv(x)
        return x

    graph = traced(forward)
    assert [n.call for n in graph.nodes if n.module == "conv"] == [0, 1, 2]
    assert {m.path: m.calls for m in graph.modules}["conv"] == 3


def test_a_module_outside_the_tree_gets_a_path_in_brackets():
    graph = traced(lambda m, x: nn.ReLU()(x))
    assert [(n.module, n.module_type) for n in graph.nodes] == [("(ReLU)", "ReLU")]


def test_modules_tell_their_settings():
    model = nn.Sequential(nn.Dropout(0.25), nn.ReLU(inplace=True), nn.Conv2d(3, 4, (3, 1)))
    model[0].eval()
    graph = trace(model, torch.zeros(1, 3, 8, 8))
    root, dropout, relu, conv = graph.modules
    assert (root.type, root.leaf, root.training) == ("Sequential", False, True)
    assert (dropout.leaf, dropout.training) == (True, False)
    assert dict(dropout.attributes) == {"p": 0.25, "inplace": False}
    assert dict(relu.attributes)["inplace"] is True
    assert dict(conv.attributes)["kernel_size"] == (3, 1)
    assert relu.source is None
    own = trace(Block(lambda m, x: x), torch.zeros(1, 4, 8, 8)).modules[0].source
    assert own.file == __file__


# ---- memory


def test_inplace_makes_a_version_and_aliases_follow():
    def forward(m, x):
        y = m.conv(x)
        half = y[:, :2]
        half.neg()
        y.relu_()
        return half * 2

    graph = traced(forward)
    assert [n.op for n in graph.nodes] == [
        "aten.convolution.default",
        "aten.slice.Tensor",
        "aten.neg.default",
        "aten.relu_.default",
        "torchskip.alias",
        "aten.mul.Tensor",
    ]
    conv, half, _, relu, alias = graph.values[1:6]
    assert graph.nodes[3].inplace
    assert (relu.previous, relu.memory) == (conv.index, conv.memory)
    assert (half.base, half.memory) == (conv.index, conv.memory)
    assert (alias.previous, alias.base, alias.memory) == (half.index, conv.index, conv.memory)
    assert graph.nodes[4].inputs == (relu.index,)
    assert graph.nodes[5].inputs == (alias.index,)
    assert graph.nodes[4].source == graph.nodes[3].source


def test_other_chunks_do_not_follow():
    def forward(m, x):
        a, b = m.conv(x).split(2, 1)
        with torch.no_grad():
            a.relu_()
        return b * 2

    graph = traced(forward)
    assert short(graph) == ["convolution", "split", "relu_", "mul"]
    assert graph.nodes[-1].inputs == (graph.nodes[1].outputs[1],)


@pytest.mark.parametrize("part", [lambda y: y.chunk(2, 1), lambda y: y.split([1, 3], 1)])
def test_what_was_cut_is_read_as_it_was(part):
    def forward(m, x):
        y = m.conv(x)
        a, b = part(y)
        return y + torch.cat([a, b * 2], 1)

    graph = traced(forward)
    assert not any("alias" in op for op in short(graph))
    assert graph.nodes[-1].inputs[0] == graph.nodes[0].outputs[0]
    assert all(graph.values[v].base == graph.nodes[0].outputs[0] for v in graph.nodes[1].outputs)


def test_what_was_cut_follows_what_is_written_into_a_part():
    def forward(m, x):
        y = m.conv(x)
        with torch.no_grad():
            y.chunk(2, 1)[0].relu_()
        return y * 2

    graph = traced(forward)
    assert "alias" in short(graph)[-2]
    assert graph.nodes[-1].inputs == graph.nodes[-2].outputs


def test_slice_assignment_is_a_join():
    def forward(m, x):
        out = torch.zeros(1, 8, 8, 8)
        out[:, :4] = x
        out[:, 4:] = m.conv(x)
        return out * 1

    graph = traced(forward)
    assert ancestors(graph, graph.outputs[0]) >= {0, 2}
    join = next(n for n in reversed(graph.nodes) if n.op == "torchskip.alias")
    assert len(join.inputs) == 2
    assert graph.values[join.outputs[0]].shape == (1, 8, 8, 8)
    assert [graph.nodes[graph.values[v].producer].op for v in join.inputs] == [
        "torchskip.alias",
        "aten.copy_.default",
    ]


def test_augmented_slice_assignment():
    def forward(m, x):
        y = x.clone()
        y[:, :2] += m.conv(x)[:, :2]
        return y

    graph = traced(forward)
    add = next(n for n in graph.nodes if n.op == "aten.add_.Tensor")
    assert len(add.inputs) == 2
    assert not [n for n in graph.nodes if n.op == "aten.copy_.default"]
    assert add.outputs[0] in ancestors(graph, graph.outputs[0])


def test_out_arguments_and_copies_do_not_read_what_they_overwrite():
    def forward(m, x):
        y = m.conv(x)
        with torch.no_grad():
            torch.mul(x, 2, out=y)
        return y

    graph = traced(forward)
    mul = graph.nodes[-1]
    assert mul.inputs == (0,)
    assert mul.inplace
    assert graph.values[mul.outputs[0]].previous == graph.nodes[0].outputs[0]


def test_a_value_overwritten_by_constants_depends_on_nothing():
    graph = traced(lambda m, x: m.conv(x).zero_())
    zero = graph.nodes[-1]
    assert (zero.op, zero.inputs, zero.inplace) == ("aten.zero_.default", (), True)
    assert graph.values[zero.outputs[0]].previous == graph.nodes[0].outputs[0]


def test_running_statistics_carry_nothing_to_the_output():
    model = nn.Sequential(nn.BatchNorm2d(4))
    model.append(model[0])
    graph = trace(model, torch.zeros(2, 4, 8, 8), training=True)
    assert [n.inputs for n in graph.nodes] == [(0,), (graph.nodes[0].outputs[0],)]
    assert graph.nodes[1].argument("training") is True
    assert graph.training


# ---- gradients


def test_detached_values_do_not_require_grad():
    def forward(m, x):
        y = m.conv(x).detach()
        z = m.conv(x).data
        with torch.no_grad():
            w = m.conv(x)
        return x + y + z + w

    graph = traced(forward)
    sums = [n for n in graph.nodes if n.op == "aten.add.Tensor"]
    assert [graph.values[n.inputs[1]].requires_grad for n in sums] == [False, False, False]
    assert all(graph.values[n.inputs[0]].requires_grad for n in sums)
    assert short(graph).count("detach") == 2
    assert [n.grad for n in graph.nodes if n.module == "conv"] == [True, True, False]


@pytest.mark.parametrize("around", [torch.no_grad, torch.inference_mode, torch.enable_grad])
def test_the_callers_grad_mode_changes_nothing(around):
    model = nn.Sequential(nn.Conv2d(4, 4, 3), nn.Flatten(), nn.Linear(144, 2)).eval()
    x = torch.zeros(1, 4, 8, 8)
    with around():
        graph = trace(model, x)
    assert graph == trace(model, x)


def test_inference_mode_in_the_forward_splits_operations_alike():
    linear = nn.Linear(4, 3)

    class Infer(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = linear

        @torch.inference_mode()
        def forward(self, x):
            return self.linear(x)

    graph = trace(Infer(), torch.zeros(2, 5, 4))
    plain = trace(linear, torch.zeros(2, 5, 4))
    assert [n.op for n in graph.nodes] == [n.op for n in plain.nodes]
    assert not any(n.grad for n in graph.nodes)


@pytest.mark.parametrize("reentrant", [True, False])
def test_checkpointed_blocks_are_transparent(reentrant):
    graph = traced(lambda m, x: checkpoint(lambda t: t + m.conv(t), x, use_reentrant=reentrant) * 2)
    assert short(graph) == ["convolution", "add", "mul"]
    assert all(n.grad for n in graph.nodes)
    assert graph.values[graph.nodes[1].outputs[0]].requires_grad
    assert graph.values[graph.nodes[0].outputs[0]].requires_grad is (None if reentrant else True)


def test_custom_functions_count_as_recording():
    class Double(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.sin() * 2

        @staticmethod
        def backward(ctx, g):
            return g

    double = Double.apply
    graph = traced(lambda m, x: x + double(x))
    assert short(graph) == ["sin", "mul", "add"]
    assert all(n.grad for n in graph.nodes)
    assert graph.values[graph.nodes[1].outputs[0]].requires_grad is True


class Scripted(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 3, 3, padding=1), nn.BatchNorm2d(3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(x.sigmoid() + self.norm(self.conv(x)).tanh())


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_compiled_scripts_work_on_detached_tensors_and_carry_gradients():
    block, image = torch.jit.script(Scripted()), torch.rand(1, 3, 4, 4, requires_grad=True)
    for _ in range(3):  # the third runs an optimised plan
        block(image).sum().backward()
    graph = trace(block, image)
    assert "aten.detach.default" in [node.op for node in graph.nodes]
    assert all(node.grad for node in graph.nodes)
    assert all(value.requires_grad is not False for value in graph.values)


def test_a_detached_value_stays_detached_before_a_layer():
    graph = traced(lambda m, x: x + m.conv(x.detach()))
    detached = next(node for node in graph.nodes if node.op == "aten.detach.default")
    assert graph.values[detached.outputs[0]].requires_grad is False


class Called(nn.Module):
    def __init__(self, by_name: bool) -> None:
        super().__init__()
        self.block, self.by_name = Scripted(), by_name

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (self.block.forward(x) if self.by_name else self.block(x)) * 2

    def double(self, x: torch.Tensor) -> torch.Tensor:
        return x * 2


@pytest.mark.parametrize("by_name", [True, False])
def test_a_forward_called_by_its_name_is_its_module_running(by_name):
    graph = trace(Called(by_name), torch.zeros(1, 3, 4, 4))
    places = {short(graph)[n.index]: (n.module, n.module_type) for n in graph.nodes}
    assert places["add"] == ("block", "Scripted")
    assert places["convolution"] == ("block.conv", "Conv2d")
    assert places["mul"] == ("", "Called")


def test_a_call_in_the_place_of_a_forward_is_its_module_running():
    class Unit(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 3, 1)

        def __call__(self, x):
            return x + self.conv(x)

    graph = trace(nn.Sequential(nn.Sequential(Unit())), torch.zeros(1, 3, 4, 4))
    assert [(short(graph)[n.index], n.module, n.module_type) for n in graph.nodes] == [
        ("convolution", "0.0.conv", "Conv2d"),
        ("add", "0.0", "Unit"),
    ]


def test_a_method_of_another_module_runs_in_the_caller():
    class Child(nn.Module):
        def forward(self, x, parent):
            return parent.double(x)

    child = Child()
    model = nn.ModuleList([Called(False), child])
    model.forward = lambda x: child(x, model[0])
    graph = trace(model, torch.zeros(1, 3, 4, 4))
    assert [n.module for n in graph.nodes] == ["1"]


# ---- what goes in and out


@dataclasses.dataclass
class Output:
    logits: torch.Tensor
    aux: dict


def test_nested_inputs_and_dataclass_outputs():
    class Model(nn.Module):
        def forward(self, batch, scale=1.0, *, mask):
            x = batch["images"][0]
            return Output(x * scale, {"mask": mask * x, "n": 3})

    x, mask = torch.zeros(1, 2), torch.ones(1, 2)
    graph = trace(Model(), {"images": (x, x), "ids": [3]}, mask=mask)
    assert [graph.values[v].name for v in dict.fromkeys(graph.inputs)] == [
        "batch.images[0]",
        "mask",
    ]
    assert graph.output_names == ("logits", "aux.mask")


def test_model_outputs_that_are_ordered_dicts():
    class Model(nn.Module):
        def forward(self, x):
            return OrderedDict(out=x + 1, aux=[x * 2, None])

    graph = trace(Model(), torch.zeros(2))
    assert graph.output_names == ("out", "aux[0]")


def test_the_example_is_not_changed():
    x = torch.zeros(1, 4, 8, 8)
    before = x._version
    for device in ("meta", "fake", "real"):
        graph = trace(nn.ReLU(inplace=True), x, device=device)
        assert graph.failure is None
        assert [n.op for n in graph.nodes] == ["aten.relu_.default"]
    assert x._version == before
    assert x.__dict__ == {}
    assert not x.requires_grad


@pytest.mark.parametrize("device", ["meta", "fake", "real"])
def test_every_rung_tells_the_same(device):
    model = nn.Sequential(
        nn.Conv2d(4, 8, 3, bias=False),
        nn.BatchNorm2d(8),
        nn.GELU(),
        nn.Flatten(),
        nn.Linear(288, 3),
    )
    x = torch.randn(2, 4, 8, 8)
    graph = trace(model, x, training=False, device=device)
    base = trace(model, x, training=False)
    assert [(n.op, n.inputs, n.module) for n in graph.nodes] == [
        (n.op, n.inputs, n.module) for n in base.nodes
    ]
    assert [v.shape for v in graph.values if v.shape != (0,)][:3] == [v.shape for v in base.values][
        :3
    ]


def test_wrappers_are_taken_off():
    model = nn.Sequential(nn.Conv2d(3, 4, 3))
    x = torch.zeros(1, 3, 8, 8)
    assert trace(nn.DataParallel(model), x) == trace(model, x)


def test_half_precision_and_meta_models():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).eval()
    graph = trace(model.half(), torch.zeros(1, 3, 8, 8, dtype=torch.float16))
    assert graph.failure is None
    assert graph.values[graph.outputs[0]].dtype == "float16"
    graph = trace(model.to("meta"), torch.zeros(1, 3, 8, 8, dtype=torch.float16))
    assert graph.failure is None


def test_a_model_that_is_none_is_refused():
    with pytest.raises(TypeError, match=r"^trace needs a torch.nn.Module, got function$"):
        trace(lambda x: x, torch.zeros(1))
