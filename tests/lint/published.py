"""Published models by family and name: what `check` is tried on, and how to build it."""

import sys

import torch
from tests.trace import zoo
from tests.truth import zoo as truth

__all__ = ["DETECTION", "FAMILIES", "MOST_PARAMETERS", "build", "names", "operators"]

FAMILIES = ("torchvision", "segmentation", "medical", "timm")
DETECTION = ("rcnn", "ssd", "retina", "fcos")
MOST_PARAMETERS = 50e6  # with numbers; more of them are built without, on meta
_LIBRARY = torch.library.Library("torchvision", "IMPL")
ENCODERS = ["resnet18", "mobilenet_v2", "efficientnet-b0", "mit_b0", "densenet121"]
ARCHITECTURES = [
    *("Unet", "UnetPlusPlus", "MAnet", "Linknet", "FPN", "PSPNet", "PAN"),
    *("DeepLabV3", "DeepLabV3Plus", "UPerNet", "Segformer"),
]
FLAT, CUBE = (1, 1, 32, 32), (1, 1, 16, 16, 16)
# Class, arguments, input shapes; further networks of MONAI are those of the truth.
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


def names(families=FAMILIES, timm=320):
    """Pairs of family and name: all of torchvision, of timm the smallest of each family first."""
    every = {
        "torchvision": zoo.torchvision_names,
        "segmentation": lambda: [
            *(f"{a}:{encoder}" for encoder in ENCODERS for a in ARCHITECTURES),
            "DPT:tu-vit_tiny_patch16_224",
        ],
        "medical": lambda: [*truth._MONAI, *MEDICAL],
        "timm": lambda: zoo.timm_names()[:timm],
    }
    return [(family, name) for family in families for name in dict.fromkeys(every[family]())]


def build(family, name):
    """The model and the examples to try, the smallest first."""
    if family == "torchvision":
        return _torchvision(name)
    if family == "timm":
        return _timm(name)
    if family == "segmentation":
        model, example = truth.build(f"smp/{name}")
        size = 128 if name.startswith("PAN") else 64
        return model, [(torch.zeros(2, 3, size, size),), example]
    if name in truth._MONAI:
        model, example = truth.build(f"monai/{name}")
        return model, [example]
    from monai.networks import nets

    arguments, options, shapes = MEDICAL[name]
    model = getattr(nets, name.partition(" ")[0])(*arguments, **options)
    return model, [tuple(map(torch.zeros, shapes))]


def _torchvision(name):
    model, *example = zoo.torchvision_model(name)
    if _many(model) and not any(part in name for part in ("quantized", *DETECTION)):
        model = model.to("meta")  # a detector reads values
    if name.startswith("raft") or any(part in name for part in DETECTION):
        return model, [tuple(example)]
    size = tuple(example[0].shape[1:])
    small = (3, 8, 64, 64) if len(size) == 4 else (3, 96, 96)
    return model, [(torch.zeros(2, *small),), (torch.zeros(2, *size),)]


def _timm(name):
    import timm

    model, x = zoo.timm_model(name)
    if not _many(model):
        model = timm.create_model(name)
    channels, *size = x.shape[1:]
    small = [96 for _ in size]
    return model, [(torch.zeros(2, channels, *s),) for s in (small, size)]


def _many(model):
    return sum(p.numel() for p in model.parameters()) > MOST_PARAMETERS


def operators():
    """Give torchvision's operators kernels in Python where its own do not load: detectors run."""
    from torchvision import extension
    from torchvision.ops import box_iou

    if extension._has_ops():
        return
    extension._has_ops = lambda: True

    def nms(boxes, scores, threshold):
        overlap, left, kept = box_iou(boxes, boxes), scores.argsort(descending=True), []
        while left.numel():
            kept.append(left[0])
            left = left[1:][overlap[left[0], left[1:]] <= threshold]
        return torch.stack(kept) if kept else torch.zeros(0, dtype=torch.int64)

    align = sys.modules["torchvision.ops.roi_align"]._roi_align
    _LIBRARY.impl("nms", nms, "CPU")
    _LIBRARY.impl("roi_align", align, "CompositeImplicitAutograd")
