"""The version of a tensor, set back: autograd then finds it as it was saved."""

import pytest
import torch

from torchskip.trace.versions import set_version


def _backward_after_a_write(mended):
    x = torch.ones(3, requires_grad=True)
    y = x * 2
    z = y * y
    before = y._version
    with torch.no_grad():
        y.add_(0)
    if mended:
        set_version(y, before)
    z.sum().backward()
    return x.grad


def test_autograd_finds_the_tensor_unwritten():
    assert _backward_after_a_write(mended=True).tolist() == [8.0, 8.0, 8.0]
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        _backward_after_a_write(mended=False)


def test_one_tensor_at_a_time_as_pytorch_2_6_takes_them(monkeypatch):
    calls = []

    def old(tensor, version):
        if isinstance(tensor, tuple):
            raise TypeError("incompatible function arguments")
        calls.append((tensor, version))

    monkeypatch.setattr(torch._C._autograd, "_unsafe_set_version_counter", old)
    x = torch.zeros(2)
    set_version(x, 4)
    assert len(calls) == 1
    assert calls[0][0] is x
    assert calls[0][1] == 4
