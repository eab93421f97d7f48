"""An example input for a model whose user gave none."""

import pytest
import torch
from torch import nn

from torchskip.errors import SpecError
from torchskip.example import Example, infer_example, parse_shapes


@pytest.mark.parametrize(
    ("model", "shapes"),
    [
        (nn.Conv1d(4, 8, 3), "1,4,128"),
        (nn.Sequential(nn.ReLU(), nn.Conv2d(1, 8, 3, stride=2)), "1,1,32,32"),
        (nn.Sequential(*(nn.Conv2d(3, 3, 3, 2, 1) for _ in range(5))), "1,3,224,224"),
        (nn.Conv3d(2, 8, 3), "1,2,32,32,32"),
        (nn.Sequential(nn.BatchNorm2d(5), nn.Conv2d(5, 8, 1)), "1,5,32,32"),
        (nn.ConvTranspose2d(7, 3, 2, stride=2), "1,7,32,32"),
        (nn.Linear(12, 3), "1,12"),
        (nn.Embedding(10, 3), "1,16"),
        (nn.LSTM(6, 4, batch_first=True), "1,16,6"),
        (nn.TransformerEncoderLayer(8, 2, 16), "1,16,8"),
    ],
)  # fmt: skip
def test_the_first_layer_tells_the_shape(model, shapes):
    example = infer_example(model)
    assert example.shapes == shapes
    model(*example.tensors)


def test_a_size_that_the_model_runs_with():
    lenet = nn.Sequential(
        nn.Conv2d(1, 6, 5), nn.MaxPool2d(2), nn.Conv2d(6, 16, 5), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(16 * 4 * 4, 10),
    )  # fmt: skip
    assert infer_example(lenet).shapes == "1,1,28,28"


class LateStem(nn.Module):
    """Constructs its blocks before the stem that is called first."""

    def __init__(self):
        super().__init__()
        self.blocks = nn.ModuleList(nn.Conv1d(8, 8, 3, padding=1) for _ in range(2))
        self.stem = nn.Conv1d(2, 8, 1)

    def forward(self, x):
        x = self.stem(x)
        for block in self.blocks:
            x = x + block(x)
        return x


def test_the_layer_that_refuses_is_asked_next():
    example = infer_example(LateStem())
    assert (example.shapes, example.reason) == ("1,2,128", "inferred from stem (Conv1d)")


def test_layers_that_refuse_each_other_leave_the_first_ones_answer():
    example = infer_example(nn.Sequential(nn.Conv2d(4, 5, 3), nn.Conv2d(6, 7, 3)))
    assert (example.shapes, example.reason) == ("1,4,32,32", "inferred from 0 (Conv2d)")


class Channel(nn.Module):
    """Works on maps whose channels come last."""

    def __init__(self):
        super().__init__()
        self.mix = nn.Linear(8, 8)

    def forward(self, x):
        _, _, _, _ = x.shape
        return x + self.mix(x)


class Siamese(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 1)

    def forward(self, left, right, *, scale=1.0):
        return self.conv(left) + right


class Diffusion(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 1)
        self.time = nn.Embedding(10, 8)

    def forward(self, x, t):
        return self.conv(x) + self.time(t)[:, :, None, None]


class Conditioned(nn.Module):
    """Takes a picture and a vector."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3)
        self.style = nn.Linear(5, 8)

    def forward(self, image, style):
        return self.conv(image) * self.style(style)[:, :, None, None]


def test_another_layer_is_asked_for_the_second_input():
    example = infer_example(Conditioned())
    assert example.shapes == "1,3,32,32 1,5"
    assert example.reason == "inferred from conv (Conv2d) and style (Linear)"


@pytest.mark.parametrize(
    ("model", "shapes"),
    [(Channel(), "1,32,32,8"), (Siamese(), "1,3,32,32 1,3,32,32"), (Diffusion(), "1,3,32,32 1")],
)
def test_an_input_for_every_argument(model, shapes):
    example = infer_example(model)
    assert example.shapes == shapes
    model(*example.tensors)


def test_the_models_own_dtype():
    (tensor,) = infer_example(nn.Conv2d(3, 3, 1).double()).tensors
    assert tensor.dtype is torch.float64


def seen(*shape):
    return Example((torch.rand(shape),), f"seen {shape}")


def test_inputs_of_the_models_file_come_first():
    meant, other = seen(2, 3, 48, 40), seen(1, 9, 48, 48)
    assert infer_example(nn.Conv2d(3, 3, 1), (), (other, meant)).reason == meant.reason
    assert infer_example(nn.Conv2d(3, 3, 1), (other, meant)).reason == meant.reason
    assert infer_example(nn.Conv2d(3, 3, 1), (other,)).reason == other.reason  # it was meant


def test_nothing_tells_the_shape():
    with pytest.raises(SpecError) as caught:
        infer_example(nn.ReLU())
    assert str(caught.value) == (
        "ReLU has no layer that tells its input's shape; "
        "mend: --input 1,3,224,224 (or pass an example tensor)"
    )


@pytest.mark.parametrize("text", ["", "1,a", "0,3", "1,-3"])
def test_shapes_that_are_none(text):
    with pytest.raises(SpecError):
        parse_shapes(text)
