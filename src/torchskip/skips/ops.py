"""What an operator is to a skip connection: layer, pooling, norm, join, gate, or glue.

The tables name aten's operators without overload and without the in-place underscore.
Whatever is in no table is glue: it changes the value's form but is no layer (views, casts,
dropout, activations, products with a constant).
"""

from __future__ import annotations

from functools import cache
from typing import Literal

from torchskip.graph import Node

__all__ = ["SPLITS", "Role", "base_name", "role", "words"]

Role = Literal["layer", "pool", "reduce", "resize", "norm", "glue"]


def words(text: str) -> frozenset[str]:
    """Return the set of a table's names."""
    return frozenset(text.split())


SPLITS = words("split split_with_sizes chunk unbind tensor_split unsafe_split")
_LAYERS = words(
    """
    convolution _convolution convolution_overrideable mkldnn_convolution cudnn_convolution
    conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d conv_depthwise3d
    _conv_depthwise2d thnn_conv2d slow_conv3d deform_conv2d addmm mm bmm baddbmm addbmm addmv
    mv dot linear _linear matmul einsum bilinear _trilinear addr outer embedding
    _embedding_bag embedding_bag scaled_dot_product_attention
    _scaled_dot_product_flash_attention _scaled_dot_product_efficient_attention
    _scaled_dot_product_flash_attention_for_cpu _scaled_dot_product_cudnn_attention
    _scaled_dot_product_attention_math _scaled_dot_product_fused_attention_overrideable
    _native_multi_head_attention _transformer_encoder_layer_fwd lstm gru rnn_tanh rnn_relu
    _thnn_fused_lstm_cell _thnn_fused_gru_cell quantized_lstm _int_mm _scaled_mm
    """
)
_POOLS = words(
    """
    avg_pool1d avg_pool2d avg_pool3d max_pool1d max_pool2d max_pool3d max_pool2d_with_indices
    max_pool3d_with_indices fractional_max_pool2d fractional_max_pool3d mkldnn_max_pool2d
    mkldnn_max_pool3d adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d
    _adaptive_avg_pool2d _adaptive_avg_pool3d adaptive_max_pool1d adaptive_max_pool2d
    adaptive_max_pool3d
    """
)
_REDUCTIONS = words(
    """
    mean sum amax amin max min median logsumexp var std var_mean std_mean norm
    linalg_vector_norm prod nansum nanmean any all argmax argmin
    """
)
_RESIZES = words(
    """
    upsample_nearest1d upsample_nearest2d upsample_nearest3d _upsample_nearest_exact1d
    _upsample_nearest_exact2d _upsample_nearest_exact3d upsample_linear1d upsample_bilinear2d
    upsample_bicubic2d upsample_trilinear3d _upsample_bilinear2d_aa _upsample_bicubic2d_aa
    pixel_shuffle pixel_unshuffle max_unpool2d max_unpool3d repeat_interleave grid_sampler_2d
    grid_sampler_3d
    """
)
_NORMS = words(
    """
    native_batch_norm _native_batch_norm_legit _native_batch_norm_legit_no_training
    _native_batch_norm_legit_functional _batch_norm_with_update batch_norm_with_update
    _batch_norm_no_update cudnn_batch_norm miopen_batch_norm batch_norm native_layer_norm
    layer_norm native_group_norm group_norm instance_norm rms_norm _fused_rms_norm
    batch_norm_elemt
    """
)
_ROLES: dict[str, Role] = {
    **dict.fromkeys(_LAYERS, "layer"),
    **dict.fromkeys(_POOLS, "pool"),
    **dict.fromkeys(_REDUCTIONS, "reduce"),
    **dict.fromkeys(_RESIZES, "resize"),
    **dict.fromkeys(_NORMS, "norm"),
}


@cache  # there are some hundred operators, and every rule asks
def base_name(op: str) -> str:
    """Return an operator's name without namespace, overload and in-place underscore.

    >>> base_name("aten.add_.Tensor"), base_name("aten._softmax.default")
    ('add', '_softmax')
    """
    parts = op.split(".")
    name = parts[1] if len(parts) > 1 else parts[0]
    return name[:-1] if name.endswith("_") and not name.endswith("__") else name


def role(node: Node, buffers: frozenset[str] = frozenset()) -> Role:
    """Return what `node` is on the way from split to join.

    An opaque module is a layer. A convolution whose kernel is a buffer holds nothing that is
    learnt: it is a pooling (the blur of Zhang 2019, section 3.2).
    """
    if node.op.startswith("module."):
        return "layer"
    found = _ROLES.get(base_name(node.op), "glue")
    if found == "layer" and buffers:
        names = [name for c in node.constants if c.argument == "weight" for name in c.names]
        if names and all(name in buffers for name in names):
            return "pool"
    return found
