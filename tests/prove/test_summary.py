"""Intervals against published values, sentences against every case."""

import math
from dataclasses import replace

import pytest

from torchskip.prove import Comparison, Plan, Run, Step
from torchskip.prove.summary import (
    contrasts,
    difference,
    groups,
    headline,
    paired,
    pairs,
    significant,
)


def run(network, accuracy, depth=56, seed=0, gradient=0.1, status="finished"):
    steps = tuple(Step(i, 1.0, 3, gradient, 0.1) for i in range(5))
    return Run(
        network, depth, seed, 9, ("conv",), status, 0.5, 0.9, 0.6, accuracy, steps, (), seconds=1.0
    )


def comparison(*runs):
    return Comparison(runs, Plan(), "images", 1000, "command", {})


def test_newcombe_1998_table_ii():
    """Case (c) of the paper, 9/10 against 3/10: 0.1705 to 0.8090 by method 10."""
    gap = difference(3 / 10, 9 / 10, 10)
    assert (gap.low, gap.high) == pytest.approx((0.1705, 0.8090), abs=1e-4)
    equal = difference(0.5, 0.5, 1000)
    assert equal.low == pytest.approx(-equal.high)
    assert not equal.clear


def test_a_paired_interval_is_students():
    interval = paired([0.1, 0.2, 0.3, 0.4])
    assert interval.mean == pytest.approx(0.25)
    # t(0.975, 3) = 3.182; s = 0.1291; n = 4
    assert interval.high - interval.mean == pytest.approx(3.182 * 0.12910 / 2, rel=1e-3)
    assert paired([0.3]).low == -math.inf
    assert not paired([0.3]).clear


def test_groups_and_pairs_go_by_depth_and_seed():
    runs = [run(n, 0.5, d, s) for d in (20, 56) for s in (0, 1) for n in ("plain", "residual")]
    found = groups(comparison(*runs))
    assert [group.name for group in found] == [
        "plain-20",
        "residual-20",
        "plain-56",
        "residual-56",
    ]
    assert all(len(group.runs) == 2 for group in found)
    assert [(p.seed, r.seed) for p, r in pairs(comparison(*runs), 56)] == [(0, 0), (1, 1)]
    assert len(pairs(comparison(*runs[:-1]), 56)) == 1


def test_contrasts_are_paired_by_seed():
    trained = {
        ("plain", 20): (0.5, 0.6),
        ("residual", 20): (0.7, 0.9),
        ("plain", 56): (0.2, 0.1),
        ("residual", 56): (0.8, 0.9),
    }
    runs = [
        replace(run(network, 0.5, depth, seed), train_accuracy=accuracy)
        for (network, depth), accuracies in trained.items()
        for seed, accuracy in enumerate(accuracies)
    ]
    found = dict(contrasts(comparison(*runs)))
    assert {name: pytest.approx(gap.mean) for name, gap in found.items()} == {
        "residual-20 against plain-20": 0.25,
        "residual-56 against plain-56": 0.7,
        "plain-56 against plain-20": -0.4,
        "residual-56 against residual-20": 0.05,
    }
    # Differences 0.2 and 0.3: s = 0.0707, t(0.975, 1) = 12.706, n = 2.
    gap = found["residual-20 against plain-20"]
    assert gap.high - gap.mean == pytest.approx(12.706 * 0.0707107 / 2**0.5, rel=1e-4)
    assert len(contrasts(comparison(*runs[:1]))) == 0


GRADIENT = (
    " The gradient that reaches the first layer, in the median over the training: 0.10 with skips, "
    "0.10 without; at the first step 0.10 and 0.10."
)


def test_the_headline_says_what_was_found_whatever_it_is():
    def said(plain, residual):
        return headline(comparison(run("plain", plain), run("residual", residual)))

    assert said(0.444, 0.79) == (
        "At depth 56 skips gain 34.6 points",
        "79.0 % of the unseen images right with skips, 44.4 % without (95 % interval of the "
        "difference over 1,000 test images, for one training of each: +30.5 to +38.5 points)."
        + GRADIENT,
    )
    assert said(0.8, 0.7)[0] == "At depth 56 skips cost 10.0 points"
    assert said(0.8, 0.81)[0] == "At depth 56 skips make no clear difference"


def test_the_headline_over_seeds_and_the_greatest_depth():
    runs = [run(n, 0.9, 20) for n in ("plain", "residual")]
    for seed, (plain, residual) in enumerate([(0.4, 0.8), (0.5, 0.8), (0.45, 0.8)]):
        runs += [run("plain", plain, seed=seed), run("residual", residual, seed=seed)]
    title, numbers = headline(comparison(*runs))
    assert title == "At depth 56 skips gain 35.0 points"
    assert "over 3 seeds: +22.6 to +47.4 points" in numbers


def test_the_headline_names_a_diverged_training():
    broken = replace(run("plain", 0.1), status="diverged", steps=())
    title, numbers = headline(comparison(broken, run("residual", 0.8)))
    assert title == "At depth 56 a training diverged"
    assert "nan" not in numbers


@pytest.mark.parametrize("value", [3e-9, 0.00996, 0.1, 1.0, 9.96, 123.0, 4e8])
def test_two_significant_digits_are_within_five_percent(value):
    assert float(significant(value)) == pytest.approx(value, rel=0.05)
