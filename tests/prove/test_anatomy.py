"""The measures of a trained pair: right at the points that are known, and nothing is disturbed."""

import json
import math
from dataclasses import asdict

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from torchskip.prove import Plan
from torchskip.prove.anatomy import Anatomy, dissect, first_signals
from torchskip.prove.batches import Batches
from torchskip.prove.fabric import make_fabric
from torchskip.prove.joined import Joined, joins_of
from torchskip.prove.records import to_json
from torchskip.prove.train import Training
from torchskip.prove.twins import CifarTwins


@pytest.fixture(scope="module")
def trained(few):
    pair = CifarTwins(channels=1, classes=10, width=4)(8, 0)
    plan = Plan(epochs=1)
    found = {}
    for name, model in pair.items():
        batches = Batches(few, plan.batch, seed=0, augment=True)
        training = Training(make_fabric(plan, accelerator="cpu"), model, batches, plan, classes=10)
        variances = first_signals(training)
        while training.advance():
            pass
        before = {n: v.clone() for n, v in training.network.state_dict().items()}
        joined = Joined.of(pair, name, training.network, None, few.test[:2].float())
        anatomy = dissect(training, joined, variances)
        after = training.network.state_dict()
        assert all(torch.equal(after[n], v) for n, v in before.items())
        found[name] = training, anatomy
    return found


def test_the_joins_of_both_networks_are_those_of_the_residual_one(few):
    pair = CifarTwins(channels=1, classes=10, width=4)(8, 0)
    x = few.test[:2].float()
    for name, network in pair.items():
        joined = Joined.of(pair, name, network, None, x)
        assert joined.shortcuts == (name == "residual")
        assert joins_of(joined.network, x, joined.which) == (
            "stages.0.0.unit",
            "stages.1.0.unit",
            "stages.2.0.unit",
        )
    assert Joined.of({"plain": pair["plain"]}, "plain", pair["plain"], None, x) is None


def test_a_network_that_is_no_plain_twin_has_no_blocks_to_drop(few):
    pair = CifarTwins(channels=1, classes=10, width=4)(8, 0)
    pair["residual"] = nn.Sequential(pair["residual"])  # its weights have other names
    with torch.no_grad():
        pair["residual"][0].stem.conv.weight.mul_(2)
    x = few.test[:2].float()
    assert Joined.of(pair, "plain", pair["plain"], None, x) is None
    assert Joined.of(pair, "residual", pair["residual"], None, x) is not None


def test_the_intact_network_and_the_middle_of_the_slice(trained, few):
    for training, anatomy in trained.values():
        assert anatomy.intact == pytest.approx(training.epochs[-1].test_accuracy)
        x, y = training.batches.sample("train", 500)
        training.network.eval()
        with torch.no_grad():
            loss = F.cross_entropy(training.network(x), y).item()
        assert anatomy.slice_losses[anatomy.slice_at.index(0.0)] == pytest.approx(loss)


def test_lesions_of_both_networks(trained):
    (_, plain), (_, residual) = trained["plain"], trained["residual"]
    assert [math.isnan(value) for value in plain.lesions] == [False, True, True]
    assert all(0 <= value <= 1 for value in residual.lesions)


def test_the_arms_of_the_residual_network_alone(trained):
    (_, plain), (_, residual) = trained["plain"], trained["residual"]
    assert plain.shares == plain.changes == plain.lengths == ()
    assert len(residual.shares) == len(residual.changes) == 3
    assert sum(residual.lengths) == pytest.approx(1)


def test_one_variance_a_layer(trained):
    for training, anatomy in trained.values():
        assert len(anatomy.variances) == len(training.layers) == 8
        assert all(value > 0 for value in anatomy.variances)


def test_it_comes_back_from_json_equal(trained):
    residual = trained["residual"][1]
    assert Anatomy.from_record(json.loads(to_json(asdict(residual)))) == residual
    plain = trained["plain"][1]
    again = Anatomy.from_record(json.loads(to_json(asdict(plain))))
    assert repr(again) == repr(plain)  # nan is not equal to itself
