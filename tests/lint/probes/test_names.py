"""Which names a forward reads a tensor by, after it was written under another one."""

import pytest
import torch
from torch import nn

from torchskip.lint.probes.names import Names
from torchskip.lint.probes.watch import Watch

LAYER = nn.Sequential(nn.Linear(4, 4), nn.ReLU())


class Forward(nn.Module):
    def __init__(self, body):
        super().__init__()
        self.body = body

    def forward(self, x):
        return self.body(x)


def shortcut_first(x):
    shortcut = x
    x.mul_(2)
    return shortcut + x.tanh()


def written_by_the_caller_of_another(x):
    def clamp(t):
        t.clamp_(min=0)
        return t

    saved = x
    x = clamp(x)
    return torch.cat([x.tanh(), saved], 1)


def a_view(x):
    flat = x.view(-1)
    flat.relu_()
    return x + flat.tanh().view_as(x)


def indexed(x):
    kept = x
    x[:, 0] = 0
    return x.tanh() + kept


def augmented(x):
    kept = x
    x += 1
    return kept + x.tanh()


def a_projection_of_the_older_name(x):
    out = x
    out[...] = x.tanh()
    return out + LAYER(x)


def a_projection_before_the_write(x):
    out = x
    shortcut = LAYER(x)
    out.mul_(2)
    return out + shortcut


def a_projection_of_a_copy(x):
    out = x.clone()
    out.mul_(2)
    return out + LAYER(x)


def the_written_name(x):
    kept = x
    kept.mul_(2)
    return kept + kept.tanh()


def one_name(x):
    x.mul_(2)
    return x + x.tanh()


def another_part(x):
    a, b = x[:, :2], x[:, 2:]
    b.mul_(2)
    return torch.cat([a, b.tanh()], 1)


def a_view_never_read_again(x):
    flat = x.view(-1)
    flat.relu_()
    return x + x.tanh()


def a_new_buffer(x):
    out = torch.empty(x.shape)
    top = out[:, :2]
    top.zero_()
    return out + top.sum() + x


def saved_afterwards(x):
    x.mul_(2)
    shortcut = x
    x = x.tanh()
    return shortcut + x


def noted(body):
    x = (torch.rand(2, 4).requires_grad_()) * 1
    mode = Names()
    with Watch(mode):
        Forward(body)(x)
    return {(found.name, found.through) for found in mode.found}


@pytest.mark.parametrize(
    ("body", "names"),
    [
        (shortcut_first, {("shortcut", "x")}),
        (written_by_the_caller_of_another, {("saved", "x")}),
        (a_view, {("x", "flat")}),
        (indexed, {("kept", "x")}),
        (augmented, {("kept", "x")}),
        (a_projection_of_the_older_name, {("x", "out")}),
    ],
)
def test_an_older_name_is_noted(body, names):
    assert noted(body) == names


@pytest.mark.parametrize(
    "body",
    [
        a_projection_before_the_write,
        a_projection_of_a_copy,
        the_written_name,
        one_name,
        another_part,
        a_view_never_read_again,
        a_new_buffer,
        saved_afterwards,
    ],
)
def test_its_neighbours_are_not(body):
    assert noted(body) == set()


def test_the_lines_are_those_of_the_write_and_of_the_join():
    x = (torch.rand(2, 4).requires_grad_()) * 1
    mode = Names()
    with Watch(mode):
        Forward(shortcut_first)(x)
    [found] = mode.found
    assert found.write.text == "x.mul_(2)"
    assert found.join.text == "return shortcut + x.tanh()"
