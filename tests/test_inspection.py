"""`torchskip.inspect` from model to page."""

from __future__ import annotations

import copy
import json

import pytest
import torch
from tests.skips.nets import conv, net

from torchskip.inspection import Inspection, inspect


def test_graph_skips_and_totals() -> None:
    model = net(lambda m, x: torch.cat([y := x + m.f(x), m.g(y)], 1))
    before = copy.deepcopy(model.state_dict())
    found = inspect(model, torch.randn(1, 8, 16, 16))
    assert isinstance(found, Inspection)
    assert found.totals == {"identity": 1, "concat": 1}
    assert [found.graph.nodes[s.join].op for s in found.skips] == [
        "aten.add.Tensor",
        "aten.cat.default",
    ]
    assert all(torch.equal(a, before[k]) for k, a in model.state_dict().items())


def test_a_model_that_crashes_keeps_what_ran() -> None:
    found = inspect(net(lambda m, x: x + m.f(x), f=conv(8, 16)), torch.randn(1, 8, 16, 16))
    assert found.graph.failure is not None
    assert [skip.notes[-1] for skip in found.skips] == ["failed"]


def test_it_draws_itself() -> None:
    pytest.importorskip("jinja2")
    found = inspect(net(lambda m, x: x + m.f(x)), torch.randn(1, 8, 16, 16))
    assert "identity" in str(found)
    assert "<svg" in found._repr_html_()
    assert found.to_html().lstrip().lower().startswith("<!doctype html")
    assert "<svg" in found.to_svg()
    assert isinstance(json.loads(found.to_json()), dict)
