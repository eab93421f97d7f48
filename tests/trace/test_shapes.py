"""Every shape rule says what torch's own kernel says: shape, strides and type."""

import pytest
import torch

from torchskip.trace.shapes import RULES

aten = torch.ops.aten


def meta(*shape, dtype=torch.float32, last=False):
    x = torch.empty(shape, dtype=dtype, device="meta")
    return x.to(memory_format=torch.channels_last) if last else x


TENSORS = [
    meta(2, 6, 5, 7),
    meta(2, 6, 5, 7, last=True),
    meta(2, 6, 5, 7)[:, :, ::2],
    meta(2, 6, 5, 7).transpose(1, 2),
    meta(2, 6),
    meta(1, 6, 1, 1),
    meta(2, 6, 3, dtype=torch.float16),
    meta(2, 6, 3, dtype=torch.int64),
    meta(0, 6, 3),
    meta(3, 6, 2, 2, 2, dtype=torch.float64),
]


def described(result):
    results = result if isinstance(result, tuple) else (result,)
    return [(t.shape, t.stride(), t.dtype, t.device.type) for t in results]


def calls(func):
    name = func._schema.name.removeprefix("aten::")
    for x in TENSORS:
        vector = meta(x.shape[1] if x.dim() > 1 else 1, dtype=x.dtype)
        if "batch_norm" in name:
            if x.dtype is torch.int64:
                continue
            tail = (0.1, 1e-5)
            if name.endswith("no_training"):
                yield (x, vector, vector, vector, vector, *tail)
                yield (x, None, None, vector, vector, *tail)
            else:
                yield (x, vector, vector, vector, vector, False, *tail)
                if x.numel() > x.shape[1]:  # torch's kernel divides by n - 1
                    yield (x, vector, vector, vector, vector, True, *tail)
                    yield (x, None, None, vector, vector, True, *tail)
        elif name == "native_layer_norm":
            if x.dtype is torch.int64:
                continue
            last = meta(x.shape[-1], dtype=x.dtype)
            yield (x, [x.shape[-1]], last, last, 1e-5)
            yield (x, list(x.shape[1:]), None, None, 1e-5)
        elif name == "addmm":
            yield (meta(4), meta(3, 5), meta(4, 5).t())
            yield (meta(1), meta(3, 5), meta(5, 4))
            yield (meta(3, 4), meta(3, 5), meta(5, 4))
        elif name == "convolution":
            rank = x.dim() - 2
            for k, step, pad, spread, groups in ((1, 1, 0, 1, 1), (3, 2, 1, 1, 1), (2, 1, 2, 2, 3)):
                weight = meta(9, x.shape[1] // groups, *[k] * rank, dtype=x.dtype)
                rest = [step] * rank, [pad] * rank, [spread] * rank
                yield (x, weight, meta(9), *rest, False, [0] * rank, groups)
                turned = meta(x.shape[1], 9, *[k] * rank, dtype=x.dtype)
                yield (x, turned, None, *rest, True, [0] * rank, 1)
                yield (x, meta(9, 5, *[k] * rank), None, *rest, False, [0] * rank, groups)
        elif name == "cat":
            for axis in range(-1, x.dim()):
                wider = meta(*[n + (i == axis) for i, n in enumerate(x.shape)], dtype=x.dtype)
                yield ([x, wider, x], axis)
                yield ([wider, x], axis)
                yield ([x, meta(0)], axis)
                yield ([x, meta(*x.shape, dtype=torch.float64)], axis)
        elif name.rstrip("_") in ("add", "sub", "mul", "div"):
            yield (x, x)
            yield (x, meta(*x.shape, dtype=x.dtype))
            yield (x, 2.0)
            yield (x, 3)
            yield (x, meta(*x.shape[:-1], 1, dtype=x.dtype))
            yield (x, meta(*x.shape, dtype=torch.float64))
            yield (meta(*x.shape[:-1], 1, dtype=x.dtype), x)
        else:
            yield (x,)


@pytest.mark.parametrize("func", list(RULES), ids=str)
def test_rule_agrees_with_the_kernel(func):
    answered = 0
    for args in calls(func):
        try:
            expected = described(func(*args))
        except (RuntimeError, TypeError, NotImplementedError, ValueError):
            expected = None
        result = RULES[func](*args)
        if result is NotImplemented:
            continue
        answered += 1
        assert expected is not None, args
        assert described(result) == expected, args
    assert answered >= 1


def test_wrong_sizes_are_left_to_the_kernel():
    x = meta(2, 6, 5, 7)
    assert RULES[aten.add.Tensor](x, meta(2, 6, 5, 5)) is NotImplemented
    assert RULES[aten.addmm.default](meta(4), meta(3, 5), meta(6, 4)) is NotImplemented
    rest = [1, 1], [0, 0], [1, 1], False, [0, 0], 1
    convolution = RULES[aten.convolution.default]
    assert convolution(x, meta(4, 6, 3, 3), None, *rest) is not NotImplemented
    assert convolution(x, meta(4, 5, 3, 3), None, *rest) is NotImplemented
    assert convolution(x, meta(4, 6, 7, 3), None, *rest) is NotImplemented
    assert RULES[aten.cat.default]([x, meta(2, 3, 5, 7)], 1) is not NotImplemented
    assert RULES[aten.cat.default]([x, meta(2, 6, 5, 6)], 1) is NotImplemented
    wrong = meta(5)
    norm = RULES[aten.native_batch_norm.default]
    assert norm(x, wrong, wrong, wrong, wrong, True, 0.1, 1e-5) is NotImplemented
