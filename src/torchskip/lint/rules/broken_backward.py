"""Backward fails: an operation in place overwrites what a gradient needs.

## What it does
Runs forward and backward with numbers on a small input and, when backward raises, names the
in-place operations that wrote, through whatever view, to a tensor that another operation had kept
for its gradient.

## Why is this bad
`out += shortcut` writes into `out`. When `out` came from a ReLU, a sigmoid or another operation
whose gradient is computed from its *result*, training stops with "one of the variables needed for
gradient computation has been modified by an inplace operation", and the message names neither
module nor line.

## Example

    out = self.relu(self.conv2(out))
    out += residual

## Use instead

    out = out + residual

After a convolution or a normalisation `out += residual` is fine, as in torchvision's ResNet.

## References
pytorch/pytorch#5687; lyongo/NWPU-MOC#4; AggMan96/RK-Net#9; PyTorch documentation, *Autograd
mechanics: in-place correctness checks*.
"""

from __future__ import annotations

from collections.abc import Iterator

from torchskip.graph import Node
from torchskip.lint.evidence import Evidence, Pass
from torchskip.lint.finding import Finding, Mend
from torchskip.lint.ops import PRODUCTS, SIGNS, is_layer, is_norm, name
from torchskip.lint.rule import Rule
from torchskip.lint.words import called, shape, unfolded

RULE = Rule("TS112", "broken-backward", "error", __doc__)
# tools/autograd/derivatives.yaml: these formulas use `result`.
_KEEPS_RESULT = frozenset(
    [
        "relu",
        "sigmoid",
        "tanh",
        "exp",
        "sqrt",
        "rsqrt",
        "reciprocal",
        "_softmax",
        "softmax",
        "_log_softmax",
        "elu",
        "leaky_relu",
        "softplus",
        "hardtanh",
        "selu",
        "celu",
        "threshold",
        "clamp_min",
        "prod",
        "amax",
        "amin",
        "max",
        "min",
        "cumprod",
        "expm1",
        "tan",
        "max_pool2d_with_indices",
        "max_pool3d_with_indices",
    ]
)
_KEEPS_RESULT_IN_PLACE_ONLY = frozenset({"leaky_relu", "elu", "celu", "hardtanh", "threshold"})
_KEEPS_INPUT = frozenset({"mul", "div", "pow", "silu", "gelu", "mish", "hardswish", "var", "abs"})


def check(evidence: Evidence) -> Iterator[Finding]:
    """In-place writes to kept tensors, when backward was seen to fail."""
    real = evidence.numbers.real
    if real is None or not real.backward:
        return
    message = real.backward.split("; expected", 1)[0]
    if "not implemented for" in real.backward:
        return  # this processor lacks the kernel
    if "inplace" not in real.backward:
        yield RULE.at(
            None,
            f"backward fails: {real.backward}",
            source=real.place,
            mends=(Mend("run `loss.backward()` on the CPU and mend what it raises"),),
        )
        return
    found = False
    for writer, keeper, sizes in _overwritten(evidence.train_in_place):
        found = True
        yield RULE.at(
            writer,
            f"backward fails: {called(writer)} writes in place to the {shape(sizes)} that "
            f"{called(keeper)} needs for its gradient",
            mends=(Mend(_advice(writer)),),
        )
    if not found:
        yield RULE.at(None, f"backward fails: {message}")


def _advice(writer: Node) -> str:
    kind = name(writer)
    if plain := unfolded(writer.source):
        return f"write `{plain}`, which makes a new tensor"
    if kind in SIGNS:
        return f"write `out = out {SIGNS[kind]} shortcut` instead of `out {SIGNS[kind]}= shortcut`"
    if kind in {"copy", "fill", "zero", "index_put", "masked_fill"}:
        return "write into a copy: `out = x.clone()` before the assignment"
    return f"run {kind} out of place (`inplace=False`)"


def _overwritten(run: Pass) -> Iterator[tuple[Node, Node, tuple[int, ...]]]:
    """The first in-place node after each that keeps a tensor, which it overwrites, with that.

    Autograd counts the writes to a memory, through whatever view, and compares the count.
    """
    flow = run.flow
    freed: dict[int, int] = {}  # mended, a write makes a new tensor, and later ones write to that
    for node in run.graph.nodes:
        if not node.inplace or not node.outputs or not node.grad:
            continue
        memory = flow.value(node.outputs[0]).memory
        since = freed.get(memory, -1)
        held = [v for v in run.graph.values[: node.outputs[0]] if v.memory == memory]
        makers = [
            (m, v)
            for v in held
            if (m := flow.producer(v.index)) and m.index > since and _keeps_result(m)
        ]
        readers = [
            (r, v)
            for v in held
            for r in flow.reads(v.index)
            if since < r.index < node.index and _keeps_input(r)
        ]
        for keeper, value in (makers[-1:] or readers)[:1]:
            freed[memory] = node.index
            yield node, keeper, value.shape


def _keeps_result(node: Node) -> bool:
    kind = name(node)
    return kind in _KEEPS_RESULT and (
        kind not in _KEEPS_RESULT_IN_PLACE_ONLY or node.inplace or kind == "leaky_relu"
    )


def _keeps_input(node: Node) -> bool:
    by_number = name(node) in PRODUCTS and len(node.inputs) + len(node.constants) < 2
    keeps = is_layer(node) or is_norm(node) or name(node) in _KEEPS_INPUT
    return keeps and node.grad and not by_number
