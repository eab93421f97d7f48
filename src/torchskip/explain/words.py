"""Operations in plain words, with the arithmetic of their sizes."""

from __future__ import annotations

from collections.abc import Callable

from torchskip.graph import Graph, Node

__all__ = ["SILENT", "SPLITS", "count", "describe", "op_name", "spatial"]

Shape = tuple[int, ...]


def describe(graph: Graph, node: Node) -> str | None:
    """Say what an operation does; None where there are no words for it."""
    words = _WORDS.get(op_name(node))
    return words(graph, node) if words else None


def count(number: int, noun: str) -> str:
    """``1 layer``, ``2 layers``."""
    return f"{number} {noun}" + ("" if number == 1 else "s")


def op_name(node: Node) -> str:
    """``aten.relu_.default`` is ``relu_``; an opaque ``module.LSTM`` is ``LSTM``."""
    return node.op.split(".")[1] if "." in node.op else node.op


def spatial(shape: Shape) -> str:
    """The sizes behind batch and channels: ``32×32``."""
    return "×".join(map(str, shape[2:])) or "1"


def _sizes(numbers: object, rank: int) -> tuple[int, ...]:
    values = numbers if isinstance(numbers, tuple) else (numbers,)
    found = tuple(n for n in values if isinstance(n, int))
    return found * rank if len(found) == 1 else found


def _convolution(graph: Graph, node: Node) -> str:
    before = graph.values[node.inputs[0]].shape
    after = graph.values[node.outputs[0]].shape
    weight = next((c.shape for c in node.constants if c.argument == "weight"), None)
    arguments = dict(node.arguments)
    if weight is None:
        return f"convolves {spatial(before)} into {spatial(after)}"
    rank = len(weight) - 2
    kernel = weight[2:]
    stride = _sizes(arguments.get("stride", 1), rank)
    padding = _sizes(arguments.get("padding", 0), rank)
    dilation = _sizes(arguments.get("dilation", 1), rank)
    groups = arguments.get("groups", 1)
    window = "×".join(map(str, kernel))
    if arguments.get("transposed"):
        return (
            f"spreads every cell over a {window} window in steps of {_one(stride)}, "
            f"so {spatial(before)} grows to {spatial(after)}; {after[1]} channels come out"
        )
    words = f"slides {count(after[1], 'filter')} of {window} over {_channels(before[1], groups)}"
    if any(d > 1 for d in dilation):
        words += f" (taps {_one(dilation)} apart)"
    words += f" in steps of {_one(stride)}" if any(s > 1 for s in stride) else ""
    words += f", with {_one(padding)} cells of zeros around" if any(padding) else ""
    if len(set(zip(before[2:], kernel, stride, padding, dilation, strict=False))) == 1:
        n, k, s, p, d = before[2], kernel[0], stride[0], padding[0], dilation[0]
        extent = (k - 1) * d + 1
        return f"{words}: ⌊({n} + 2·{p} − {extent}) / {s}⌋ + 1 = {after[2]} per side"
    return f"{words}: {spatial(before)} becomes {spatial(after)}"


def _one(numbers: tuple[int, ...]) -> str:
    return str(numbers[0]) if len(set(numbers)) == 1 else "×".join(map(str, numbers))


def _channels(channels: int, groups: object) -> str:
    if groups == 1:
        return count(channels, "channel")
    if groups == channels:
        return f"each of {count(channels, 'channel')} by itself"
    return f"{channels} channels in {groups} groups"


def _pool(kind: str) -> Callable[[Graph, Node], str]:
    def describe(graph: Graph, node: Node) -> str:
        before = graph.values[node.inputs[0]].shape
        after = graph.values[node.outputs[0]].shape
        arguments = dict(node.arguments)
        window = "×".join(map(str, _sizes(arguments.get("kernel_size", ()), len(before) - 2)))
        return f"keeps the {kind} of every {window} window: {spatial(before)} → {spatial(after)}"

    return describe


def _resize(graph: Graph, node: Node) -> str:
    before = graph.values[node.inputs[0]].shape
    after = graph.values[node.outputs[0]].shape
    return f"resizes the map from {spatial(before)} to {spatial(after)}"


def _activation(words: str) -> Callable[[Graph, Node], str]:
    def describe(graph: Graph, node: Node) -> str:
        place = ", overwriting its input" if node.inplace else ""
        return f"{words}; the shape stays{place}"

    return describe


def _arithmetic(verb: str) -> Callable[[Graph, Node], str]:
    def describe(graph: Graph, node: Node) -> str:
        if len(node.inputs) == 2:
            return f"{verb} two values element by element"
        return f"{verb} the value and a constant"

    return describe


def _concatenate(graph: Graph, node: Node) -> str:
    axis = dict(node.arguments).get("dim", 0)
    sizes = " + ".join(str(graph.values[v].shape[int(str(axis))]) for v in node.inputs)
    return f"puts {len(node.inputs)} values side by side along axis {axis}: {sizes}"


def _reshape(graph: Graph, node: Node) -> str:
    return "rearranges the same numbers into another shape"


def _part(graph: Graph, node: Node) -> str:
    return "takes a part of the numbers along an axis"


def _linear(graph: Graph, node: Node) -> str:
    before = graph.values[node.inputs[0]].shape[-1]
    after = graph.values[node.outputs[0]].shape[-1]
    return f"mixes {before} features into {after}, each a weighted sum of all"


SPLITS = {"split", "split_with_sizes", "chunk", "unbind"}
SILENT = {"detach", "alias", "t", "lift_fresh", "_to_copy", "clone", "_unsafe_view"}
_RELU = _activation("replaces negative numbers by 0")
_UNIT = _activation(
    "shifts and scales every channel to mean 0 and variance 1, then by learned ones"
)
_WORDS: dict[str, Callable[[Graph, Node], str]] = {
    "convolution": _convolution,
    "convolution_overrideable": _convolution,
    "relu": _RELU,
    "relu_": _RELU,
    "leaky_relu": _activation("scales negative numbers down"),
    "leaky_relu_": _activation("scales negative numbers down"),
    "sigmoid": _activation("squeezes numbers into 0 to 1"),
    "tanh": _activation("squeezes numbers into −1 to 1"),
    "gelu": _activation("damps negative numbers smoothly"),
    "silu": _activation("damps negative numbers smoothly"),
    "silu_": _activation("damps negative numbers smoothly"),
    "hardswish": _activation("damps negative numbers piecewise"),
    "hardswish_": _activation("damps negative numbers piecewise"),
    "hardtanh": _activation("clips numbers to a range"),
    "hardtanh_": _activation("clips numbers to a range"),
    "native_batch_norm": _UNIT,
    "cudnn_batch_norm": _UNIT,
    "_native_batch_norm_legit": _UNIT,
    "_native_batch_norm_legit_no_training": _UNIT,
    "native_layer_norm": _activation("brings every position to mean 0 and variance 1"),
    "native_group_norm": _activation("brings every group of channels to mean 0 and variance 1"),
    "max_pool2d_with_indices": _pool("largest"),
    "max_pool3d_with_indices": _pool("largest"),
    "max_pool2d": _pool("largest"),
    "max_pool1d": _pool("largest"),
    "avg_pool2d": _pool("mean"),
    "avg_pool3d": _pool("mean"),
    "avg_pool1d": _pool("mean"),
    "_adaptive_avg_pool2d": _resize,
    "_adaptive_avg_pool3d": _resize,
    "upsample_nearest2d": _resize,
    "upsample_bilinear2d": _resize,
    "upsample_nearest1d": _resize,
    "upsample_linear1d": _resize,
    "upsample_nearest3d": _resize,
    "upsample_trilinear3d": _resize,
    "constant_pad_nd": _resize,
    "add": _arithmetic("adds"),
    "add_": _arithmetic("adds"),
    "sub": _arithmetic("subtracts"),
    "mul": _arithmetic("multiplies"),
    "mul_": _arithmetic("multiplies"),
    "cat": _concatenate,
    "view": _reshape,
    "reshape": _reshape,
    "permute": _reshape,
    "transpose": _reshape,
    "addmm": _linear,
    "mm": _linear,
    "linear": _linear,
    "select": _part,
    "slice": _part,
    "split": _part,
    "split_with_sizes": _part,
    "chunk": _part,
    "unbind": _part,
    "MultiheadAttention": _activation(
        "lets every position take from all others what it attends to"
    ),
    "mean": _activation("averages the map"),
    "native_dropout": _activation("drops numbers at random and rescales the rest"),
    "_softmax": _activation("turns scores into shares that sum to 1"),
}
