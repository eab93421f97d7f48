"""The finder against counts by formula: every model of timm's plain families."""

from __future__ import annotations

from collections import Counter
from importlib import import_module

import pytest
import torch
from tests.truth.formula import FAMILIES, expected

from torchskip.skips import find_skips
from torchskip.trace import trace

# Billions of weights add nothing; what a fused block concatenates before its last layer is a
# channel split by the letter, and two branches by intent.
_LEFT_OUT = ("giant", "gigantic", "enormous", "huge", "_7b", "dpwee")
_LARGE = 320  # pixels; the larger models are the smaller ones at a higher resolution


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_counts_are_those_of_the_blocks(family: str) -> None:
    wrong = {}
    for name in _names(family):
        with torch.device("meta"):
            model = import_module("timm").create_model(name, pretrained=False).eval()
        size = tuple(model.default_cfg["input_size"])
        if max(size) > _LARGE:
            continue
        graph = trace(model, torch.empty(1, *size, device="meta"))
        assert graph.failure is None, name
        counts = dict(Counter(skip.kind for skip in find_skips(graph)))
        if counts != expected(model, family):
            wrong[name] = counts, expected(model, family)
    assert not wrong


def _names(family: str) -> list[str]:
    timm = import_module("timm")
    return [n for n in timm.list_models(module=family) if not any(w in n for w in _LEFT_OUT)]
