"""Build the models of the table, in eval mode and without pretrained weights, with an example."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import torch
from tests.truth.written import build_written
from torch import nn

__all__ = ["build"]


def build(spec: str) -> tuple[nn.Module, tuple[torch.Tensor, ...]]:
    """Return the model named ``family/name`` and an example of its inputs."""
    family, _, name = spec.partition("/")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if family == "written":
            model, example = build_written(name)
            return model.eval(), example
        model, size = _FAMILIES[family](name)
    example = (torch.zeros(1, *size),)
    return model.eval(), (*example, *_FURTHER.get(spec, ()))


def _torchvision(name: str) -> tuple[nn.Module, tuple[int, ...]]:
    from torchvision import models

    if name == "resnet50_fpn":
        from torchvision.models.detection.backbone_utils import resnet_fpn_backbone

        return resnet_fpn_backbone(backbone_name="resnet50", weights=None), (3, 224, 224)
    if name in _BACKBONES:
        detector, side = _BACKBONES[name]
        whole = models.get_model(detector, weights=None, weights_backbone=None)
        return whole.backbone, (3, side, side)
    options: dict[str, Any] = {}
    if any(word in name for word in ("fcn", "deeplab", "lraspp")):
        options["weights_backbone"] = None
    if name in ("googlenet", "inception_v3"):
        options["init_weights"] = False
    model = models.get_model(name, weights=None, **options)
    if "video" in type(model).__module__:
        side = 224 if any(word in name for word in ("mvit", "s3d", "swin")) else 112
        return model, (3, 16, side, side)
    return model, (3, 299, 299) if name == "inception_v3" else (3, 224, 224)


_BACKBONES = {
    "ssdlite_backbone": ("ssdlite320_mobilenet_v3_large", 320),
    "ssd_backbone": ("ssd300_vgg16", 300),
    "retinanet_backbone": ("retinanet_resnet50_fpn_v2", 224),
    "fasterrcnn_mobilenet_backbone": ("fasterrcnn_mobilenet_v3_large_fpn", 224),
}


def _timm(name: str) -> tuple[nn.Module, tuple[int, ...]]:
    import timm

    model = timm.create_model(name, pretrained=False)
    return model, tuple(model.default_cfg["input_size"])


def _smp(name: str) -> tuple[nn.Module, tuple[int, ...]]:
    import segmentation_models_pytorch as smp

    architecture, _, encoder = name.partition(":")
    model = getattr(smp, architecture)(encoder or "resnet18", encoder_weights=None)
    return model, (3, 224, 224) if architecture == "DPT" else (3, 128, 128)


def _monai(name: str) -> tuple[nn.Module, tuple[int, ...]]:
    from monai.networks import nets

    make, size = _MONAI[name]
    return make(nets), size


_MONAI: dict[str, tuple[Callable[[Any], nn.Module], tuple[int, ...]]] = {
    "UNet": (
        lambda n: n.UNet(2, 1, 2, (16, 32, 64, 128, 256), (2, 2, 2, 2), num_res_units=2),
        (1, 64, 64),
    ),
    "UNet-plain": (lambda n: n.UNet(2, 1, 2, (16, 32, 64), (2, 2)), (1, 64, 64)),
    "BasicUNet": (lambda n: n.BasicUNet(2, 1, 2), (1, 64, 64)),
    "BasicUNetPlusPlus": (lambda n: n.BasicUNetPlusPlus(2, 1, 2), (1, 64, 64)),
    "AttentionUnet": (
        lambda n: n.AttentionUnet(2, 1, 2, (16, 32, 64, 128), (2, 2, 2)),
        (1, 64, 64),
    ),
    "UNETR": (lambda n: n.UNETR(1, 2, (64, 64, 64)), (1, 64, 64, 64)),
    "SwinUNETR": (lambda n: n.SwinUNETR(1, 2, feature_size=24), (1, 64, 64, 64)),
    "DynUNet": (
        lambda n: n.DynUNet(2, 1, 2, [3, 3, 3, 3], [1, 2, 2, 2], [2, 2, 2]),
        (1, 64, 64),
    ),
    "DynUNet-residual": (
        lambda n: n.DynUNet(2, 1, 2, [3, 3, 3, 3], [1, 2, 2, 2], [2, 2, 2], res_block=True),
        (1, 64, 64),
    ),
    "SegResNet": (lambda n: n.SegResNet(2, 8, 1, 2), (1, 64, 64)),
    "VNet": (lambda n: n.VNet(), (1, 32, 32, 32)),
    "DenseNet121": (lambda n: n.DenseNet121(2, 1, 2), (1, 64, 64)),
    "SEResNet50": (lambda n: n.SEResNet50(spatial_dims=2, in_channels=3), (3, 64, 64)),
    "HighResNet": (lambda n: n.HighResNet(2, 1, 2), (1, 64, 64)),
    "ResNet18": (lambda n: n.resnet18(spatial_dims=2, n_input_channels=1), (1, 64, 64)),
    "EfficientNetB0": (
        lambda n: n.EfficientNetBN("efficientnet-b0", pretrained=False, spatial_dims=2),
        (3, 64, 64),
    ),
    "MedNeXtSmall": (lambda n: n.MedNeXtSmall(spatial_dims=2), (1, 64, 64)),
    "EfficientNetB1": (
        lambda n: n.EfficientNetBN("efficientnet-b1", pretrained=False, spatial_dims=2),
        (3, 64, 64),
    ),
    "ResNet10": (lambda n: n.resnet10(spatial_dims=2, n_input_channels=1), (1, 64, 64)),
    "FlexibleUNet": (
        lambda n: n.FlexibleUNet(3, 2, "efficientnet-b0", pretrained=False, spatial_dims=2),
        (3, 64, 64),
    ),
    "ViT": (lambda n: n.ViT(1, (64, 64), (16, 16), spatial_dims=2), (1, 64, 64)),
    "AHNet": (lambda n: n.AHNet(spatial_dims=2, psp_block_num=4), (1, 128, 128)),
    "HoVerNet": (lambda n: n.HoVerNet("fast", out_classes=5), (3, 256, 256)),
    "RegUNet": (
        lambda n: n.RegUNet(2, 2, 8, 3, out_channels=2, extract_levels=(0, 1, 2, 3)),
        (2, 32, 32),
    ),
    "LocalNet": (
        lambda n: n.LocalNet(2, 2, 8, (0, 1, 2, 3), out_activation=None, out_channels=2),
        (2, 32, 32),
    ),
    "SegResNetVAE": (lambda n: n.SegResNetVAE((64, 64), spatial_dims=2), (1, 64, 64)),
    "DiffusionModelUNet": (
        lambda n: n.DiffusionModelUNet(
            2, 1, 1, 1, (16, 32, 32), (False, True, True), 8, num_head_channels=8
        ),
        (1, 32, 32),
    ),
    "AutoencoderKL": (
        lambda n: n.AutoencoderKL(
            2, 1, 1, (1, 1, 1), (16, 32, 32), (False, False, True), 3, norm_num_groups=8
        ),
        (1, 32, 32),
    ),
    "VQVAE": (
        lambda n: n.VQVAE(
            spatial_dims=2,
            in_channels=1,
            out_channels=1,
            channels=(16, 32),
            num_res_layers=2,
            num_res_channels=(16, 32),
            downsample_parameters=((2, 4, 1, 1), (2, 4, 1, 1)),
            upsample_parameters=((2, 4, 1, 1, 0), (2, 4, 1, 1, 0)),
            num_embeddings=16,
            embedding_dim=8,
        ),
        (1, 32, 32),
    ),
    "DAF3D": (lambda n: n.DAF3D(1, 2), (1, 16, 64, 64)),
    "Quicknat": (lambda n: n.Quicknat(2, 1, 16), (1, 64, 64)),
    "SegResNetDS": (lambda n: n.SegResNetDS(2, 8, 1, 2, dsdepth=2), (1, 64, 64)),
    "VoxelMorphUNet": (
        lambda n: n.VoxelMorphUNet(2, 2, 16, (8, 16, 16, 16, 16, 16), (16, 16)),
        (2, 32, 32),
    ),
    "ControlNet": (
        lambda n: n.ControlNet(
            spatial_dims=2,
            in_channels=1,
            num_res_blocks=(1, 1),
            channels=(16, 32),
            attention_levels=(False, True),
            norm_num_groups=8,
            num_head_channels=8,
            conditioning_embedding_in_channels=1,
            conditioning_embedding_num_channels=(8,),
        ),
        (1, 32, 32),
    ),
    "Generator": (
        lambda n: n.Generator((8,), (8, 4, 4), (16, 8, 1), (2, 2, 1), num_res_units=2),
        (8,),
    ),
    "SwinUNETR-v2": (
        lambda n: n.SwinUNETR(1, 2, feature_size=24, use_v2=True),
        (1, 64, 64, 64),
    ),
    "SegResNetDS2": (lambda n: n.SegResNetDS2(2, 8, 1, 2), (1, 64, 64)),
    "GlobalNet": (lambda n: n.GlobalNet((32, 32), 2, 2, 8, 3), (2, 32, 32)),
    "MaskedAutoEncoderViT": (
        lambda n: n.MaskedAutoEncoderViT(
            1,
            (64, 64),
            (16, 16),
            hidden_size=48,
            mlp_dim=96,
            num_layers=4,
            num_heads=4,
            decoder_hidden_size=32,
            decoder_mlp_dim=64,
            decoder_num_layers=2,
            decoder_num_heads=4,
            spatial_dims=2,
        ),
        (1, 64, 64),
    ),
    "ViTAutoEnc": (
        lambda n: n.ViTAutoEnc(
            1,
            (64, 64),
            (16, 16),
            hidden_size=48,
            mlp_dim=96,
            num_layers=4,
            num_heads=4,
            spatial_dims=2,
        ),
        (1, 64, 64),
    ),
    "MILModel": (lambda n: n.MILModel(3, "att", pretrained=False), (4, 3, 64, 64)),
    "SENet154": (lambda n: n.SENet154(spatial_dims=2, in_channels=3), (3, 64, 64)),
    "UNet-three": (
        lambda n: n.UNet(2, 1, 2, (8, 16, 32), (2, 2), num_res_units=3),
        (1, 64, 64),
    ),
    "Regressor": (
        lambda n: n.Regressor((1, 64, 64), (1,), (8, 16, 32), (2, 2, 2), num_res_units=2),
        (1, 64, 64),
    ),
    "FlexibleUNet-resnet18": (
        lambda n: n.FlexibleUNet(3, 2, "resnet18", pretrained=False, spatial_dims=2),
        (3, 64, 64),
    ),
    "VarAutoEncoder": (
        lambda n: n.VarAutoEncoder(2, (1, 32, 32), 1, 8, (8, 16), (2, 2), num_res_units=2),
        (1, 32, 32),
    ),
    "SPADEAutoencoderKL": (
        lambda n: n.SPADEAutoencoderKL(
            2,
            3,
            num_res_blocks=(1, 1, 1),
            channels=(16, 32, 32),
            attention_levels=(False, False, True),
            norm_num_groups=8,
            spade_intermediate_channels=16,
        ),
        (1, 32, 32),
    ),
    "SPADENet": (
        lambda n: n.SPADENet(2, 1, 1, 3, [32, 32], [8, 16], z_dim=8, is_vae=True),
        (3, 32, 32),
    ),
    "AutoEncoder": (lambda n: n.AutoEncoder(2, 1, 1, (8, 16, 32), (2, 2, 2)), (1, 64, 64)),
}
_FURTHER = {
    "monai/SPADEAutoencoderKL": (torch.zeros(1, 3, 32, 32),),
    "monai/SPADENet": (torch.zeros(1, 1, 32, 32),),
    "monai/DiffusionModelUNet": (torch.zeros(1),),
    "monai/ControlNet": (torch.zeros(1), torch.zeros(1, 1, 32, 32)),
}
_FAMILIES = {"torchvision": _torchvision, "timm": _timm, "smp": _smp, "monai": _monai}
