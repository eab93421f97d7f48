"""Whether failures show that the model is wrong, or that the guessed input is."""

import pytest
import torch
from torch import nn

from torchskip.errors import SpecError
from torchskip.example import Example, infer_example


class Net(nn.Module):
    def __init__(self, *layers):
        super().__init__()
        self.a, self.b, self.c = (*layers, *[None] * (3 - len(layers)))


class Plain(Net):
    def forward(self, x):
        return x + self.a(x)


class Bottom(Net):
    def forward(self, x):
        x = self.a(x)
        return torch.cat([x, self.b(x)], 1)


class Flat(Net):
    def forward(self, x):
        return self.b(self.a(x).flatten(1))


class Pooled(Net):
    def forward(self, x):
        return self.b(self.a(x).mean((2, 3)))


class Typo(Net):
    def forward(self, x):
        return self.decoder(self.a(x))


class Up(Net):
    """A decoder's block: its second input is one size larger, and never can be guessed."""

    def forward(self, x, skip):
        return torch.cat([self.a(x), skip], 1)


class Pairs(Net):
    def forward(self, batch):
        x, mask = batch
        return self.a(x) * mask


class Levels(Net):
    """Takes a list of features: a tensor's first axis is none."""

    def forward(self, features):
        top = self.a(features[-1])
        top = nn.functional.batch_norm(top, torch.zeros(4), torch.ones(4))
        return top * self.b(features[-2])


class Words(Net):
    def forward(self, ids):
        x = self.a(ids)
        return x + self.b(x)


def conv(*arguments, **options):
    return nn.Conv2d(*arguments, **options)


@pytest.mark.parametrize(
    ("model", "shapes"),
    [
        (Plain(conv(3, 6, 2, stride=2, padding=2)), "1,3,32,32"),
        (Plain(nn.Conv1d(3, 3, 3)), "1,3,128"),
        (Bottom(conv(3, 8, 3), conv(8, 8, 3)), "1,3,32,32"),
        (nn.Sequential(conv(3, 8, 3), nn.BatchNorm2d(9)), "1,3,32,32"),
        (Pooled(conv(3, 8, 3), nn.Linear(9, 2)), "1,3,32,32"),
        (nn.Sequential(nn.Linear(4, 8), nn.Linear(9, 2)), "1,4"),
        (Typo(conv(3, 8, 3)), "1,3,32,32"),
        (Words(nn.Embedding(9, 8), nn.Linear(8, 7)), "1,16"),
    ],
    ids=lambda v: v if isinstance(v, str) else type(v).__name__,
)
def test_what_fails_at_one_place_for_every_size_is_the_models_fault(model, shapes):
    assert infer_example(model).shapes == shapes


POOLED = nn.Sequential(nn.AdaptiveAvgPool2d(1), conv(3, 4, 1))


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (Flat(conv(3, 2, 1), nn.Linear(2 * 7, 5)), "fails in 'b': RuntimeError: "),
        (Up(nn.ConvTranspose2d(8, 4, 2, stride=2)), "1,8,32,32 1,8,32,32 (inferred from a (C"),
        (Levels(POOLED, conv(6, 4, 1)), "fails: RuntimeError: running_mean should contain 1 elem"),
        (
            Pairs(conv(3, 3, 3)),
            "ValueError: not enough values to unpack (expected 2, got 1)",
        ),
    ],
    ids=lambda v: v if isinstance(v, str) else type(v).__name__,
)
def test_what_another_input_may_have_run_with_is_unknown(model, said):
    with pytest.raises(SpecError, match=r"its input is unknown: 1,.* fail too; mend") as e:
        infer_example(model)
    assert said in str(e.value)


def test_what_the_file_calls_the_model_with_is_meant():
    model = Flat(conv(3, 2, 1), nn.Linear(2 * 7, 5))
    example = Example((torch.rand(1, 3, 5, 5),), "from net.py line 3")
    assert infer_example(model, [example]).reason == example.reason  # and there it is wrong


class Video(Net):
    """Frames, each given to a layer for pictures."""

    def forward(self, x):
        batch, time, *frame = x.shape
        _, _, _ = frame
        return self.a(x.flatten(0, 1)).view(batch, time, -1)


def test_a_time_axis_before_the_channels():
    assert infer_example(Video(conv(3, 4, 3))).shapes == "1,4,3,32,32"


def test_statistics_of_one_batch():
    """Normalising one number per channel is refused in training alone."""
    model = nn.Sequential(conv(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.BatchNorm2d(4))
    assert infer_example(model.train()).shapes == "1,3,32,32"
    assert model.training


class Selects(Net):
    def forward(self, x):
        x = self.a(x)
        return x[x.mean((1, 2, 3)).isfinite().nonzero()[:, 0]]


def test_a_model_that_reads_values():
    assert infer_example(Selects(conv(3, 4, 3))).shapes == "1,3,32,32"
