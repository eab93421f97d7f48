"""Counts of timm's models from the attributes of their blocks, one rule a class.

A rule says which skips a block closes by what its constructor made: a shortcut that is None, an
identity or layers, an excitation. It never sees a graph.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

from torch import nn

__all__ = ["FAMILIES", "expected"]

Rule = Callable[[Any], Iterable[str]]


def _shortcut(attribute: str) -> Rule:
    """No shortcut at all, an identity, or layers: the attribute is None, Identity or a module."""

    def rule(block: Any) -> Iterable[str]:
        shortcut = getattr(block, attribute)
        if shortcut is None:
            return ()
        return ("identity",) if isinstance(shortcut, nn.Identity) else ("projection",)

    return rule


def _downsample(block: Any) -> Iterable[str]:
    """A sum in any case, projected where there is a downsample."""
    return ("identity",) if block.downsample is None else ("projection",)


def _has_skip(block: Any) -> Iterable[str]:
    return ("identity",) * block.has_skip


def _sums(number: int) -> Rule:
    return lambda block: ("identity",) * number


def _gate(block: Any) -> Iterable[str]:
    return ("gate",)


def _context(block: Any) -> Iterable[str]:
    return ("gate",) * (block.mlp_scale is not None) + ("identity",) * (block.mlp_add is not None)


_EVERYWHERE: dict[str, Rule] = {
    "SqueezeExcite": _gate,
    "SEModule": _gate,
    "EcaModule": _gate,
    "EffectiveSEModule": _gate,
    "SplitAttn": _gate,
    "GlobalContext": _context,
    "BatNonLocalAttn": _sums(1),
    "AttentionPoolLatent": lambda block: ("identity",) * (block.mlp is not None),
}
_EFFICIENT: dict[str, Rule] = dict.fromkeys(
    (
        "ConvBnAct",
        "DepthwiseSeparableConv",
        "InvertedResidual",
        "EdgeResidual",
        "CondConvResidual",
        "UniversalInvertedResidual",
        "MobileAttention",
    ),
    _has_skip,
)
_BYOB: dict[str, Rule] = dict.fromkeys(
    ("BasicBlock", "BottleneckBlock", "DarkBlock", "EdgeBlock", "SelfAttnBlock"),
    _shortcut("shortcut"),
) | dict.fromkeys(
    ("RepVggBlock", "MobileOneBlock"),
    lambda block: ("identity",) * (block.identity is not None),
)
_VIT: dict[str, Rule] = {
    "Block": _sums(2),
    "ResPostBlock": _sums(2),
    "ParallelThingsBlock": _sums(2),
    "ParallelScalingBlock": _sums(1),
}
_MAXXVIT: dict[str, Rule] = {
    "MbConvBlock": _shortcut("shortcut"),
    "ConvNeXtBlock": _shortcut("shortcut"),
    "TransformerBlock2d": lambda block: (*_shortcut("shortcut")(block), "identity"),
    "PartitionAttention2d": _sums(2),
    "PartitionAttentionCl": _sums(2),
    "ParallelPartitionAttention": _sums(2),
}
FAMILIES: dict[str, dict[str, Rule]] = {
    "resnet": dict.fromkeys(("BasicBlock", "Bottleneck"), _downsample),
    "resnetv2": dict.fromkeys(("PreActBasic", "PreActBottleneck", "Bottleneck"), _downsample),
    "nfnet": {"NormFreeBlock": _downsample},
    "senet": dict.fromkeys(
        ("SEBottleneck", "SEResNetBottleneck", "SEResNeXtBottleneck", "SEResNetBlock"),
        _downsample,
    ),
    "regnet": dict.fromkeys(("Bottleneck", "PreBottleneck"), _shortcut("downsample")),
    "byobnet": _BYOB,
    "byoanet": _BYOB,
    "efficientnet": _EFFICIENT,
    "mobilenetv3": _EFFICIENT,
    "convnext": {"ConvNeXtBlock": _shortcut("shortcut")},
    "inception_next": {"MetaNeXtBlock": lambda block: ("identity", "split-concat")},
    "metaformer": {"MetaFormerBlock": _sums(2)},
    "maxxvit": _MAXXVIT,
    "mlp_mixer": {"MixerBlock": _sums(2), "ResBlock": _sums(2), "SpatialGatingBlock": _sums(1)},
    "swin_transformer": {"SwinTransformerBlock": _sums(2)},
    "swin_transformer_v2": {"SwinTransformerV2Block": _sums(2)},
    "swin_transformer_v2_cr": {"SwinTransformerV2CrBlock": _sums(2)},
    "pvt_v2": {"Block": _sums(2)},
    "beit": {"Block": _sums(2)},
    "eva": {"EvaBlock": _sums(2), "EvaBlockPostNorm": _sums(2)},
    "deit": _VIT,
    "naflexvit": _VIT,
    "vision_transformer": _VIT,
    "vision_transformer_relpos": {"RelPosBlock": _sums(2), "ResPostRelPosBlock": _sums(2)},
    "vision_transformer_hybrid": _VIT
    | dict.fromkeys(("PreActBottleneck", "Bottleneck"), _downsample),
}


def expected(model: nn.Module, family: str) -> dict[str, int]:
    """Return how many skips of each kind the model's blocks close."""
    rules = _EVERYWHERE | FAMILIES[family]
    return dict(
        Counter(
            kind
            for module in model.modules()
            if type(module).__name__ in rules
            for kind in rules[type(module).__name__](module)
        )
    )
