"""No error on published segmentation and medical networks: the slow sweep."""

import pytest
import torch

from torchskip.lint.check import check
from torchskip.spec.zoo import import_family

pytestmark = pytest.mark.slow

ARCHITECTURES = [
    *("Unet", "UnetPlusPlus", "MAnet", "Linknet", "FPN", "PSPNet", "PAN"),
    *("DeepLabV3", "DeepLabV3Plus", "UPerNet", "Segformer"),
]
FLAT, CUBE = (1, 1, 32, 32), (1, 1, 16, 16, 16)
# Class, arguments, input shapes.
MEDICAL = {
    "UNet": ((2, 1, 2, (4, 8, 16), (2, 2)), {"num_res_units": 2}, (FLAT,)),
    "UNet volume": ((3, 1, 2, (4, 8, 16), (2, 2)), {"num_res_units": 1}, (CUBE,)),
    "BasicUNet": ((2, 1, 2, (4, 4, 8, 8, 8, 4)), {}, (FLAT,)),
    "BasicUNetPlusPlus": ((2, 1, 2, (4, 4, 8, 8, 8, 4)), {}, (FLAT,)),
    "AttentionUnet": ((2, 1, 2, (4, 8, 16), (2, 2)), {}, (FLAT,)),
    "SegResNet": ((2, 8, 1, 2), {}, (FLAT,)),
    "DynUNet": (
        (2, 1, 2, [3, 3, 3], [1, 2, 2], [2, 2]),
        {"filters": [4, 8, 8], "res_block": True},
        (FLAT,),
    ),
    "VNet": ((2, 1, 2), {}, (FLAT,)),
    "HighResNet": ((2, 1, 2), {}, (FLAT,)),
    "AHNet": ((), {"spatial_dims": 2, "in_channels": 1, "out_channels": 2}, ((1, 1, 128, 128),)),
    "RegUNet": ((2, 1, 4, 2), {}, (FLAT,)),
    "GlobalNet": (([32, 32], 2, 1, 4, 2), {}, (FLAT,)),
    "SwinUNETR": ((1, 2), {"feature_size": 12, "spatial_dims": 2}, ((1, 1, 64, 64),)),
    "UNETR": (
        (1, 2, (32, 32)),
        {"feature_size": 8, "hidden_size": 24, "mlp_dim": 48, "num_heads": 3, "spatial_dims": 2},
        (FLAT,),
    ),
    "DiffusionModelUNet": (
        (2, 1, 1, (1, 1), (8, 8), (False, True)),
        {"norm_num_groups": 4, "num_head_channels": 8},
        ((1, 1, 16, 16), (1,)),
    ),
    "VQVAE": (
        (2, 1, 1, (8, 8), 1, (8, 8), ((2, 4, 1, 1),) * 2, ((2, 4, 1, 1, 0),) * 2),
        {"num_embeddings": 8, "embedding_dim": 4},
        (FLAT,),
    ),
}


def no_error(model, *example):
    torch.manual_seed(0)
    errors = [f for f in check(model, *example).findings if f.severity == "error"]
    assert errors == [], "\n".join(f"{f.code} {f.module}: {f.message}" for f in errors)


@pytest.mark.parametrize("encoder", ["resnet18", "efficientnet-b0"])
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_segmentation(name, encoder):
    import_family("torchvision")
    smp = pytest.importorskip("segmentation_models_pytorch")
    size = 128 if name == "PAN" else 64
    no_error(getattr(smp, name)(encoder, encoder_weights=None), torch.zeros(2, 3, size, size))


@pytest.mark.parametrize("name", MEDICAL)
def test_medical(name):
    import_family("torchvision")
    nets = pytest.importorskip("monai.networks.nets")
    arguments, options, shapes = MEDICAL[name]
    model = getattr(nets, name.partition(" ")[0])(*arguments, **options)
    no_error(model, *(torch.zeros(shape) for shape in shapes))
