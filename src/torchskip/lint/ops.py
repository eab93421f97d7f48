"""What the operations of a graph are called, and which of them merge, activate or only look."""

from __future__ import annotations

from torchskip.graph import Node
from torchskip.skips.ops import base_name, role

__all__ = [
    "ACTIVATIONS",
    "ADDS",
    "BACKSTAGE",
    "CONCATS",
    "FORMS",
    "PRODUCTS",
    "RECTIFIERS",
    "SIGNS",
    "SQUASHES",
    "STEPS",
    "SWAPS",
    "describe",
    "is_layer",
    "is_norm",
    "name",
]

ADDS = frozenset({"add", "sub", "rsub"})
PRODUCTS = frozenset({"mul", "div"})
# Constant between their steps: the derivative is zero.
STEPS = frozenset({"sign", "sgn", "round", "floor", "ceil", "trunc"})
SIGNS = {"add": "+", "sub": "-", "mul": "*", "div": "/"}
CONCATS = frozenset({"cat", "concat", "stack"})
# Activations that map to non-negative numbers.
RECTIFIERS = frozenset({"relu", "relu6", "hardtanh", "clamp", "clamp_min", "threshold", "softplus"})
SQUASHES = frozenset(
    {"sigmoid", "hardsigmoid", "tanh", "_softmax", "softmax", "_log_softmax", "log_sigmoid"}
)
ACTIVATIONS = (
    RECTIFIERS
    | SQUASHES
    | frozenset(
        [
            "leaky_relu",
            "elu",
            "gelu",
            "silu",
            "mish",
            "hardswish",
            "celu",
            "prelu",
            "_prelu_kernel",
            "selu",
            "rrelu_with_noise",
        ]
    )
)
# They change a value's form and no number in it.
FORMS = frozenset(
    [
        "view",
        "_unsafe_view",
        "reshape",
        "permute",
        "transpose",
        "t",
        "unsqueeze",
        "squeeze",
        "expand",
        "alias",
        "as_strided",
        "view_as",
        "unflatten",
        "flatten",
        "_reshape_alias",
        "contiguous",
        "clone",
        "detach",
        "_to_copy",
        "to",
        "lift_fresh",
    ]
)
# They put a value's axes in another order.
SWAPS = frozenset({"permute", "transpose", "t"})
# Operations that autograd and the tracer add: no line of the user's asked for them.
BACKSTAGE = frozenset({"detach", "clone", "alias", "_to_copy", "empty_like"})

_WORDS = {
    "_convolution": "convolution",
    "addmm": "linear",
    "mm": "matrix product",
    "bmm": "matrix product",
    "cat": "concatenation",
    "max_pool2d_with_indices": "max_pool2d",
    "max_pool3d_with_indices": "max_pool3d",
    "_adaptive_avg_pool2d": "adaptive_avg_pool2d",
    "_adaptive_avg_pool3d": "adaptive_avg_pool3d",
    "constant_pad_nd": "pad",
    "_unsafe_index": "upsample",  # to the nearest neighbour, on meta tensors
    "upsample_nearest1d": "upsample",
    "upsample_nearest2d": "upsample",
    "upsample_nearest3d": "upsample",
    "upsample_linear1d": "upsample",
    "upsample_bilinear2d": "upsample",
    "upsample_trilinear3d": "upsample",
    "native_layer_norm": "layer_norm",
    "native_group_norm": "group_norm",
    "_prelu_kernel": "prelu",
    "_softmax": "softmax",
    "_to_copy": "cast",
}


def name(node: Node) -> str:
    """The operation without namespace, overload and underscore: ``aten.add_.Tensor`` is ``add``."""
    return node.op if node.op.startswith("module.") else base_name(node.op)


def is_layer(node: Node) -> bool:
    """Whether the operation holds weights: a convolution, a matrix product, an opaque module."""
    return role(node) == "layer"


def is_norm(node: Node) -> bool:
    """Whether the operation normalises."""
    return role(node) == "norm"


def describe(node: Node) -> str:
    """An operation in a reader's words."""
    kind = name(node).removeprefix("module.")
    if "batch_norm" in kind:
        kind = "batch_norm"
    word = _WORDS.get(kind, kind)
    if kind == "convolution" and node.argument("transposed") is True:
        word = "transposed convolution"
    return word
