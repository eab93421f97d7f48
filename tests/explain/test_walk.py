"""The walk through a forward pass, in plain words."""

import torch
from torch import nn

from torchskip.explain import Step, walk
from torchskip.inspection import inspect


class Block(nn.Module):
    def __init__(self, *branch):
        super().__init__()
        self.branch = nn.Sequential(*branch)

    def forward(self, x):
        return x + self.branch(x)


def steps_of(model, *shape):
    inspection = inspect(model.eval(), torch.zeros(shape))
    return walk(inspection.graph, inspection.skips)


def test_each_leaf_and_each_operation_between_is_a_step():
    convolution = nn.Conv2d(4, 4, 3, padding=1)
    steps = steps_of(Block(convolution, nn.BatchNorm2d(4), nn.ReLU(inplace=True)), 1, 4, 8, 8)
    shape = (1, 4, 8, 8)
    assert [(s.name, s.type, s.inputs, s.outputs) for s in steps] == [
        ("branch.0", "Conv2d", (shape,), (shape,)),
        ("branch.1", "BatchNorm2d", (shape,), (shape,)),
        ("branch.2", "ReLU", (shape,), (shape,)),
        ("add", "in forward", (shape, shape), (shape,)),
    ]
    assert [s.sentence for s in steps] == [
        "slides 4 filters of 3×3 over 4 channels, with 1 cells of zeros around: "
        "⌊(8 + 2·1 − 3) / 1⌋ + 1 = 8 per side",
        "shifts and scales every channel to mean 0 and variance 1, then by learned ones; "
        "the shape stays",
        "replaces negative numbers by 0; the shape stays, overwriting its input",
        "the skip connection (identity): the input comes here unchanged, past 1 layer, and is "
        "added to the branch's result, so its gradient has a way back around the branch",
    ]


def test_the_arithmetic_of_a_size_is_true():
    for kernel, stride, padding, dilation in [
        (2, 2, 2, 1),
        (3, 2, 0, 2),
        (5, 3, 1, 1),
        (1, 1, 0, 1),
    ]:
        layer = nn.Conv2d(3, 5, kernel, stride, padding, dilation)
        (step,) = steps_of(nn.Sequential(layer), 1, 3, 32, 32)
        formula = step.sentence.rpartition(": ")[2].removesuffix(" per side")
        computed = formula.partition(" = ")[0]
        for sign, python in {"⌊": "(", "⌋": ")", "/": "//", "·": "*", "−": "-"}.items():
            computed = computed.replace(sign, python)
        assert eval(computed) == step.outputs[0][2] == layer(torch.zeros(1, 3, 32, 32)).shape[2]  # noqa: S307


def test_a_failing_join_names_both_shapes():
    steps = steps_of(Block(nn.Conv2d(4, 4, 3, stride=2)), 1, 4, 8, 8)
    assert steps[-1] == Step(
        name="add",
        type="in forward",
        inputs=((1, 4, 8, 8), (1, 4, 3, 3)),
        outputs=(),
        sentence="fails: the shortcut still has shape (1, 4, 8, 8), the branch has become "
        "(1, 4, 3, 3); axes 2, 3 must agree before the two can meet",
        line=steps[-1].line,
        failed=True,
    )


def test_a_model_that_raises_itself():
    class Refuses(Block):
        def forward(self, x):
            self.branch(x)
            raise ValueError("no")

    steps = steps_of(Refuses(nn.ReLU()), 1, 4)
    assert [(s.name, s.sentence, s.failed) for s in steps] == [
        ("branch.0", "replaces negative numbers by 0; the shape stays", False),
        ("forward", "stops with ValueError: no", True),
    ]


def test_operations_without_words_are_named():
    class Odd(nn.Module):
        def forward(self, x):
            return torch.cumsum(x, 1)

    assert [s.sentence for s in steps_of(Odd(), 1, 4)] == ["computes cumsum"]


def test_a_layer_that_fails_says_so():
    steps = steps_of(nn.Sequential(nn.Conv2d(4, 4, 3), nn.Conv2d(5, 4, 3)), 1, 4, 8, 8)
    assert [(s.name, s.failed, s.outputs) for s in steps] == [
        ("0", False, ((1, 4, 6, 6),)),
        ("1", True, ()),
    ]
    assert steps[1].sentence == (
        "fails: Given groups=1, weight of size [4, 5, 3, 3], expected input[1, 4, 6, 6] to have "
        "5 channels, but got 4 channels instead"
    )
