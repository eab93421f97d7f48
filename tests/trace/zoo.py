"""The zoos that the slow sweeps trace, and the fingerprint that must not change."""

import re

import torch
from torch import nn

from torchskip.spec.zoo import import_family

import_family("torchvision")  # also where its own operators are missing

SIZES = ("atto", "femto", "pico", "nano", "xxs", "xs", "xxtiny", "xtiny", "tiny", "mini", "micro")
SIZES += ("small", "medium", "base", "large", "xlarge", "huge", "giant", "gigantic")


def size(name):
    """Order the members of a family by the size that their names tell."""
    rank = next((i for i, word in enumerate(SIZES) if word in re.split(r"[_\d]", name)), 5)
    return rank, [int(n) for n in re.findall(r"\d+", name)], name


def timm_names():
    """Every architecture of timm, the smallest of each family first."""
    import timm

    families = [sorted(timm.list_models(module=m), key=size) for m in timm.list_modules()]
    longest = max(map(len, families))
    ordered = [f[i] for i in range(longest) for f in families if i < len(f)]
    return list(dict.fromkeys(ordered))


def timm_model(name):
    """Build a timm model without data where it can be built so; return it with its input shape."""
    import timm

    try:
        with torch.device("meta"):
            model = timm.create_model(name)
    except (RuntimeError, NotImplementedError):
        model = timm.create_model(name)
    shape = model.pretrained_cfg.get("input_size", (3, 224, 224))
    if (
        model.pretrained_cfg.get("fixed_input_size") is False
        and "min_input_size" in model.pretrained_cfg
    ):
        shape = model.pretrained_cfg["min_input_size"]
    return model.eval(), torch.zeros(1, *shape)


def torchvision_names():
    from torchvision import models

    return models.list_models()


def torchvision_model(name):
    from torchvision import models

    options = {"weights": None}
    if any(part in name for part in ("rcnn", "ssd", "retina", "fcos", "deeplab", "fcn", "lraspp")):
        options["weights_backbone"] = None
    if name in ("googlenet", "inception_v3", "quantized_googlenet", "quantized_inception_v3"):
        options["init_weights"] = False  # their default warns of a slow initialisation
    model = models.get_model(name, **options).eval()
    if any(part in name for part in ("rcnn", "ssd", "retina", "fcos")):
        return model, [torch.rand(3, 300, 400)]
    if name.startswith("quantized_"):
        return model, torch.rand(1, 3, 224, 224)
    if name.startswith("raft"):
        return model, torch.rand(1, 3, 128, 128), torch.rand(1, 3, 128, 128)
    if name in ("mc3_18", "r3d_18", "r2plus1d_18"):
        return model, torch.rand(1, 3, 16, 112, 112)
    if name.startswith(("mvit", "swin3d", "s3d")):
        return model, torch.rand(1, 3, 16, 224, 224)
    return model, torch.rand(1, 3, 224, 224)


def fingerprint(model):
    """Everything of a model that a trace must leave alone; tensors by identity and version."""
    tensors = [
        (name, id(t), t._version, t.requires_grad, t.grad is None, sorted(t.__dict__))
        for name, t in (*model.named_parameters(), *model.named_buffers())
    ]
    modules = [
        (
            path,
            type(m),
            m.training,
            [(key, id(item)) for key, item in m.__dict__.items()],
            [list(map(id, t.values())) for t in m.__dict__.values() if isinstance(t, dict)],
            [list(map(id, t)) for t in m.__dict__.values() if isinstance(t, list)],
        )
        for path, m in model.named_modules()
    ]
    return tensors, modules, torch.get_rng_state().tolist(), nn.Module.__call__
