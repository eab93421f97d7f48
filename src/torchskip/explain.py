"""The walk through a forward pass: every step, its shape, and what it does in plain words."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from torchskip.graph import Failure, Graph, Node, SkipPath

__all__ = ["Step", "walk"]

Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a forward pass: a leaf module's call, or an operation between modules."""

    name: str
    type: str
    inputs: tuple[Shape, ...]
    outputs: tuple[Shape, ...]
    sentence: str
    line: int | None = None
    failed: bool = False


def walk(graph: Graph, skips: Iterable[SkipPath] = ()) -> tuple[Step, ...]:
    """Turn a traced graph into steps in the order of execution.

    A leaf module's call is one step, also when it runs several operations; so is each operation
    outside of leaf modules. Steps that only rename a value (detach, alias) are left out.
    """
    joins = {skip.join: skip for skip in skips}
    leaves = {module.path for module in graph.modules if module.leaf and module.path}
    steps: list[Step] = []
    run: list[Node] = []

    def flush() -> None:
        if run:
            steps.append(_step(graph, tuple(run), joins, leaf=run[0].module in leaves))
            run.clear()

    for node in graph.nodes:
        same = run and (run[0].module, run[0].call) == (node.module, node.call)
        if not (same and node.module in leaves):
            flush()
        if _name(node) not in _SILENT:
            run.append(node)
    flush()
    if graph.failure is not None and graph.failure.node is None:
        steps.append(_stop(graph.failure))
    return tuple(steps)


def _stop(failure: Failure) -> Step:
    """The step at which the model itself raised, outside of any operation."""
    line = failure.source.line if failure.source else None
    sentence = f"stops with {failure.error}: {failure.message}"
    return Step(failure.module or "forward", "", (), (), sentence, line, failed=True)


def _step(graph: Graph, nodes: tuple[Node, ...], joins: dict[int, SkipPath], leaf: bool) -> Step:
    made = {value for node in nodes for value in node.outputs}
    entering = dict.fromkeys(v for node in nodes for v in node.inputs if v not in made)
    inputs = tuple(graph.values[v].shape for v in entering)
    last = nodes[-1]
    # Of an operation's several results (max and indices, norm and its statistics), the first is
    # what the layer gives; a split gives all.
    given = last.outputs if _name(last) in _SPLITS else last.outputs[:1]
    outputs = tuple(graph.values[v].shape for v in given)
    failed = graph.failure is not None and graph.failure.node == last.index
    main = next((n for n in nodes if _name(n) in _WORDS), last)
    if failed and graph.failure is not None:
        sentence = _failed_join(graph, joins[last.index]) if last.index in joins else ""
        sentence = sentence or f"fails: {graph.failure.message}"
    elif main.index in joins:
        sentence = _join(graph, joins[main.index])
    else:
        describe = _WORDS.get(_name(main))
        sentence = describe(graph, main) if describe else _whole(nodes, inputs, outputs)
    return Step(
        name=last.module if leaf else _name(main),
        type=last.module_type if leaf else (f"in {last.module}" if last.module else "in forward"),
        inputs=inputs,
        outputs=outputs,
        sentence=sentence,
        line=last.source.line if last.source else None,
        failed=failed,
    )


def _whole(nodes: tuple[Node, ...], inputs: tuple[Shape, ...], outputs: tuple[Shape, ...]) -> str:
    """What several operations without words of their own do together, judged by the shapes."""
    names = ", ".join(dict.fromkeys(_name(node).rstrip("_") for node in nodes))
    before, after = inputs[0] if inputs else (), outputs[0] if outputs else ()
    if len(before) == len(after) > 2 and before[2:] != after[2:]:
        return f"resizes the map from {_spatial(before)} to {_spatial(after)} ({names})"
    return f"computes {names}"


def _join(graph: Graph, skip: SkipPath) -> str:
    split = graph.values[skip.split]
    maker = None if split.producer is None else graph.nodes[split.producer]
    origin = "the input" if maker is None else f"what {maker.module or _name(maker)!r} gave"
    shortcut = next((arm for arm in skip.arms if arm.role == "shortcut"), skip.arms[0])
    bypassed = max(arm.layers for arm in skip.arms) - shortcut.layers
    way = "unchanged" if shortcut.layers == 0 else f"through {_count(shortcut.layers, 'layer')}"
    past = f"past {_count(bypassed, 'layer')}"
    if skip.kind == "gate":
        return f"gate: scales {origin}, by weights computed from it in the branch"
    verb = "appended to" if skip.merge in {"concat", "cat", "stack"} else "added to"
    return (
        f"the skip connection ({skip.kind}): {origin} comes here {way}, {past}, and is {verb} the "
        "branch's result, so its gradient has a way back around the branch"
    )


def _failed_join(graph: Graph, skip: SkipPath) -> str:
    shapes = {arm.role: graph.values[arm.values[-1]].shape for arm in skip.arms}
    branch, shortcut = shapes.get("branch", ()), shapes.get("shortcut", ())
    axes = [i for i, (a, b) in enumerate(zip(branch, shortcut, strict=False)) if a != b]
    differ = "axis " + str(axes[0]) if len(axes) == 1 else "axes " + ", ".join(map(str, axes))
    return (
        f"fails: the shortcut still has shape {shortcut}, the branch has become {branch}; "
        f"{differ} must agree before the two can meet"
    )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")


def _name(node: Node) -> str:
    """``aten.relu_.default`` is ``relu_``; an opaque ``module.LSTM`` is ``LSTM``."""
    return node.op.split(".")[1] if "." in node.op else node.op


def _spatial(shape: Shape) -> str:
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
        return f"convolves {_spatial(before)} into {_spatial(after)}"
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
            f"so {_spatial(before)} grows to {_spatial(after)}; {after[1]} channels come out"
        )
    words = f"slides {_count(after[1], 'filter')} of {window} over {_channels(before[1], groups)}"
    if any(d > 1 for d in dilation):
        words += f" (taps {_one(dilation)} apart)"
    words += f" in steps of {_one(stride)}" if any(s > 1 for s in stride) else ""
    words += f", with {_one(padding)} cells of zeros around" if any(padding) else ""
    if len(set(zip(before[2:], kernel, stride, padding, dilation, strict=False))) == 1:
        n, k, s, p, d = before[2], kernel[0], stride[0], padding[0], dilation[0]
        extent = (k - 1) * d + 1
        return f"{words}: ⌊({n} + 2·{p} − {extent}) / {s}⌋ + 1 = {after[2]} per side"
    return f"{words}: {_spatial(before)} becomes {_spatial(after)}"


def _one(numbers: tuple[int, ...]) -> str:
    return str(numbers[0]) if len(set(numbers)) == 1 else "×".join(map(str, numbers))


def _channels(channels: int, groups: object) -> str:
    if groups == 1:
        return _count(channels, "channel")
    if groups == channels:
        return f"each of {_count(channels, 'channel')} by itself"
    return f"{channels} channels in {groups} groups"


def _pool(kind: str) -> Callable[[Graph, Node], str]:
    def describe(graph: Graph, node: Node) -> str:
        before = graph.values[node.inputs[0]].shape
        after = graph.values[node.outputs[0]].shape
        arguments = dict(node.arguments)
        window = "×".join(map(str, _sizes(arguments.get("kernel_size", ()), len(before) - 2)))
        return f"keeps the {kind} of every {window} window: {_spatial(before)} → {_spatial(after)}"

    return describe


def _resize(graph: Graph, node: Node) -> str:
    before = graph.values[node.inputs[0]].shape
    after = graph.values[node.outputs[0]].shape
    return f"resizes the map from {_spatial(before)} to {_spatial(after)}"


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


_SPLITS = {"split", "split_with_sizes", "chunk", "unbind"}
_SILENT = {"detach", "alias", "t", "lift_fresh", "_to_copy", "clone", "_unsafe_view"}
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
