"""No error on published models: the sweep of minutes, with the exceptions judged by hand."""

import re

import pytest
import torch

from torchskip.lint.check import check
from torchskip.spec import zoo
from torchskip.trace import trace

pytestmark = pytest.mark.slow

# True findings in published code, each read in its source.
JUDGED: dict[tuple[str, str], str] = {}


def torchvision_models():
    zoo.import_family("torchvision")
    from torchvision import models

    left_out = set(models.list_models(module=models.detection))
    return [n for n in models.list_models() if n not in left_out and not n.startswith("quantized")]


def timm_models():
    """At most three of each family, the shortest names first."""
    timm = zoo.import_family("timm")
    families: dict[str, list[str]] = {}
    for name in sorted(timm.list_models(), key=len):
        families.setdefault(re.split(r"[_\d]", name)[0], []).append(name)
    return [name for names in families.values() for name in names[:3]]


def example(name, model):
    cfg = getattr(model, "default_cfg", None) or {}
    if name.startswith("raft"):
        return torch.zeros(1, 3, 128, 128), torch.zeros(1, 3, 128, 128)
    channels, *size = cfg.get("input_size", (3, 224, 224))
    for shape in (
        (2, channels, 96, 96),
        (2, channels, *size),
        (1, 3, 8, 64, 64),
        (1, 3, 16, 224, 224),
    ):
        if trace(model, torch.zeros(shape), training=False).failure is None:
            return (torch.zeros(shape),)
    return pytest.skip("no input size fits")


@pytest.mark.parametrize(
    ("family", "name"),
    [("torchvision", n) for n in torchvision_models()] + [("timm", n) for n in timm_models()],
)
def test_no_error(family, name):
    model = zoo.build(family, name)
    if sum(p.numel() for p in model.parameters()) > 150e6:
        pytest.skip("too large for this machine's memory")
    report = check(model, *example(name, model), select=["TS1"])
    errors = [f for f in report.findings if f.severity == "error" and (name, f.code) not in JUDGED]
    assert errors == [], "\n".join(f"{f.code} {f.module}: {f.message}" for f in errors)
