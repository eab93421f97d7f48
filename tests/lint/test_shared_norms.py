"""One normalisation for several places of a stream: told, but not where it only looks at it."""

import pytest
import torch
from net import Net, seq
from torch import nn

from torchskip.lint.check import check


def told(model, shape=(2, 6, 8)):
    return check(model, torch.zeros(shape), select=["TS203"]).findings


def lin():
    return nn.Linear(8, 8)


def branch():
    return seq(lin(), nn.GELU(), lin())


def three(build=branch):
    return nn.ModuleList([build() for _ in range(3)])


def behind(s, x):
    for f in s.each:
        x = s.norm(x + f(x))
    return s.out(x)


def before(s, x):
    def residual(f, x):
        return x + f(s.norm(x))

    for f in (*s.each, s.out):
        x = residual(f, x)
    return x


def graph(s, x):
    for f in s.each:
        x = s.norm(f(x)).relu()
    return s.out(x)


@pytest.mark.parametrize("forward", [behind, before, graph])
def test_a_norm_between_layers_of_their_own_is_told(forward):
    (finding,) = told(Net(forward, each=three(), norm=nn.LayerNorm(8), out=lin()))
    assert finding.message.startswith("'norm' runs ")
    assert "between its calls fewer times" in finding.message
    assert [m.text for m in finding.mends] == ["make one module per place"]


def aside(s, x):
    """A stack that norms what each block gives for a prediction of its own (DETR)."""
    seen = []
    for f in s.each:
        x = x + f(x)
        seen.append(s.norm(x))
    return s.out(torch.stack(seen))


def conditioned(s, x):
    """A prediction goes back into the stream (self-conditioned CTC)."""
    for f in s.each:
        x = x + f(x)
        x = x + s.back(s.out(s.norm(x)).softmax(-1))
    return s.out(s.norm(x))


def masked(s, x):
    """A prediction says where the next block looks (Mask2Former)."""
    for f in s.each:
        seen = s.out(s.norm(x)).sigmoid() > 0.5
        x = x + f(x.masked_fill(seen, 0.0))
    return s.norm(x)


def detached(s, x):
    """A reference point moves from block to block (Deformable DETR)."""
    point = x.mean(-1, keepdim=True)
    for f in s.each:
        x = x + f(x + point)
        point = s.out(s.norm(x)).detach()
    return x + point


def again(s, x):
    """One block, round by round."""
    for _ in range(3):
        x = s.norm(x + s.back(x))
    return s.each[1](x) + s.each[0](s.each[2](x)) + s.out(x)


@pytest.mark.parametrize("forward", [aside, conditioned, masked, detached, again])
def test_a_norm_that_looks_at_the_stream_is_not(forward):
    back = {"back": lin()} if forward in {conditioned, again} else {}
    assert not told(Net(forward, each=three(), norm=nn.LayerNorm(8), out=lin(), **back))


def test_a_norm_without_weights_may_be_anywhere():
    norm = nn.LayerNorm(8, elementwise_affine=False)
    assert not told(Net(behind, each=three(), norm=norm, out=lin()))


def test_a_norm_that_is_named_shared_may_too():
    def forward(s, x):
        for f in s.each:
            x = x + f(s.shared_norm(x))
        return x

    assert not told(Net(forward, each=three(), shared_norm=nn.LayerNorm(8)))


def test_a_norm_of_a_block_that_is_called_again_is_not_between_others():
    block = Net(lambda s, x: x + s.f(s.norm(x)), f=branch(), norm=nn.LayerNorm(8))

    def forward(s, x):
        for _ in s.each:
            x = s.block(x)
        return s.each[0](s.each[1](s.each[2](x)))

    assert not told(Net(forward, each=three(), block=block))
