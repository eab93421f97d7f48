"""Extents against the bytes themselves."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from torchskip.trace.memory import Memory, extent


def elements(tensor, whole):
    """The positions in memory that `tensor` reaches, by writing to them."""
    whole.zero_()
    tensor.fill_(1)
    return set(whole.flatten().nonzero().flatten().tolist())


@st.composite
def slices(draw):
    cuts = []
    for size in (2, 4, 3, 4):
        start = draw(st.integers(0, size - 1))
        stop = draw(st.integers(start + 1, size))
        cuts.append(slice(start, stop, draw(st.sampled_from([None, None, 2]))))
    return tuple(cuts)


@settings(max_examples=150, deadline=None)
@given(slices(), slices())
def test_slices_meet_exactly_when_they_share_an_element(one, other):
    whole = torch.zeros(2, 4, 3, 4)
    a, b = whole[one], whole[other]
    first, second = elements(a, whole), elements(b, whole)
    if first & second:
        assert extent(a).meets(extent(b))
    elif all(cut.step is None for cut in one + other):
        assert not extent(a).meets(extent(b))
    if extent(a).covers(extent(b)):
        assert first >= second


@pytest.mark.parametrize("axis", [0, 1, 2, 3])
def test_chunks_do_not_meet(axis):
    a, b = torch.zeros(4, 4, 4, 4).chunk(2, axis)
    assert not extent(a).meets(extent(b))
    assert not extent(a).covers(extent(b))
    assert extent(a).covers(extent(a))


def test_the_whole_covers_every_view():
    x = torch.zeros(2, 3, 4)
    for view in (x[0], x.transpose(0, 1), x[:, 1:, ::2], x.view(-1)[3:]):
        assert extent(x).covers(extent(view))
        assert extent(view).meets(extent(x))


def test_views_of_another_type_are_compared_in_bytes():
    x = torch.zeros(8, dtype=torch.complex64)
    real = torch.view_as_real(x)
    assert extent(x).covers(extent(real[5]))
    assert not extent(x[:4]).meets(extent(real[4:]))


def test_writes_since_leave_out_what_a_later_write_covers():
    x = torch.zeros(2, 4)
    memory = Memory(0)
    for value, view in enumerate((x[:, :2], x[:, 2:], x[:, :2], x[0])):
        memory.writes.append((value, extent(view)))
    assert memory.since(0, extent(x)) == ([1, 2, 3], False)
    assert memory.since(0, extent(x[0])) == ([3], True)
    assert memory.since(0, extent(x[1, :2])) == ([2], True)
    assert memory.since(4, extent(x)) == ([], False)
