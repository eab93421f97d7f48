"""A remembered result is what torch would have said again; what is not certain is asked again."""

import pytest
import torch

from torchskip.trace.kernels import Kernels
from torchskip.trace.schema import plan

aten = torch.ops.aten


def meta(*shape, dtype=torch.float32):
    return torch.empty(shape, dtype=dtype, device="meta")


class Counted:
    """An operator that counts how often it runs."""

    def __init__(self, func):
        self.func = func
        self.runs = 0

    def __call__(self, *args, **kwargs):
        self.runs += 1
        return self.func(*args, **kwargs)


def forms(result):
    results = result if isinstance(result, (list, tuple)) else [result]
    return [(t.shape, t.stride(), t.dtype, t.device, t.storage_offset()) for t in results]


def asked(func, *calls, rung="meta"):
    """Run the calls in one pass; return how often torch was asked, the results being right."""
    kernels, scheme, counted = Kernels(rung), plan(func), Counted(func)
    for args in calls:
        result = kernels.run(counted, scheme, args, {})
        expected = func(*args)
        assert type(result) is type(expected)
        assert forms(result) == forms(expected)
    return counted.runs


ONCE = [
    (aten.mm.default, (meta(2, 3), meta(3, 5))),
    (aten.mean.dim, (meta(2, 6, 5, 7), [2, 3], True)),
    (aten._softmax.default, (meta(2, 3, 4).transpose(1, 2), -1, False)),
    (aten.max_pool2d_with_indices.default, (meta(1, 2, 8, 8), [2, 2], [2, 2])),
    (aten.native_layer_norm.default, (meta(2, 5, 5, 6).permute(0, 3, 1, 2), [5], None, None, 0.1)),
    (aten.clone.default, (meta(2, 6, 4, 4).transpose(1, 2),)),
]


@pytest.mark.parametrize(("func", "args"), ONCE, ids=lambda x: str(x) if callable(x) else "")
def test_a_result_in_memory_of_its_own_is_asked_once(func, args):
    assert asked(func, args, args, args) == 1


def test_results_do_not_share_memory():
    kernels, x = Kernels("meta"), meta(2, 6, 4, 4).transpose(1, 2)
    results = [kernels.run(aten.clone.default, plan(aten.clone.default), (x,), {}) for _ in "abc"]
    assert len({t.untyped_storage()._cdata for t in results}) == 3


@pytest.mark.parametrize(
    ("func", "calls"),
    [
        # A number's type decides the result's: 1 == 1.0 == True.
        (aten.mul.Scalar, [(meta(3, dtype=torch.int64), n) for n in (2, 2.0)]),
        (aten.mm.default, [(meta(2, 3), meta(3, n)) for n in (4, 5)]),
        (aten.clone.default, [(x,) for x in (meta(4, 4), meta(4, 4).t())]),
        (aten.mm.default, [(meta(2, 3, dtype=d), meta(3, 4, dtype=d)) for d in (None, torch.half)]),
    ],
    ids=["number", "shape", "strides", "type"],
)
def test_whatever_the_form_depends_on_tells_results_apart(func, calls):
    assert asked(func, *calls) == 2


@pytest.mark.parametrize(
    ("func", "args"),
    [
        (aten.view.default, (meta(2, 3), [6])),  # its schema says that it shares memory
        (aten._unsafe_view.default, (meta(2, 3), [6])),  # its schema does not
        (aten.native_dropout.default, (meta(2, 3), 0.5, False)),  # hands its argument back
    ],
    ids=str,
)
def test_a_result_that_shares_memory_is_asked_each_time(func, args):
    assert asked(func, args, args) == 2


def test_real_tensors_are_asked_each_time():
    assert asked(aten.nonzero.default, (torch.tensor([0, 1]),), (torch.tensor([1, 1]),)) == 2
    assert asked(aten.mm.default, (torch.ones(2, 3), torch.ones(3, 2)), rung="real") == 1


def test_the_default_type_counts():
    kernels, scheme = Kernels("meta"), plan(aten.mul.Scalar)
    args = meta(3, dtype=torch.int64), 0.5
    assert kernels.run(aten.mul.Scalar, scheme, args, {}).dtype is torch.float32
    torch.set_default_dtype(torch.float64)
    try:
        assert kernels.run(aten.mul.Scalar, scheme, args, {}).dtype is torch.float64
    finally:
        torch.set_default_dtype(torch.float32)
