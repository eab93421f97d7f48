"""Batches depend on seed, epoch and place alone, and hold the pixels they should."""

import random
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from torchskip.prove.batches import Batches, derive, one_thread, reseed


def batches(images, size=32, seed=3, augment=False, **options):
    return Batches(images, size, seed=seed, augment=augment, **options)


def test_an_epoch_shows_every_image_once(few):
    whole = batches(few, 50)
    seen = torch.cat([whole.at(0, step)[0] for step in range(len(whole))])
    expected = (few.train.float() - whole.mean) / whole.deviation
    assert len(whole) == 4
    assert torch.equal(
        seen.flatten(1).sum(1).sort().values, expected.flatten(1).sum(1).sort().values
    )


def test_mean_and_deviation_over_the_training_images(few):
    whole = batches(few)
    x = few.train.double()
    assert whole.mean.item() == pytest.approx(x.mean().item(), rel=1e-6)
    assert whole.deviation.item() == pytest.approx(x.std(correction=0).item(), rel=1e-6)


def test_order_depends_on_seed_and_epoch_and_not_on_what_was_asked_before(few):
    first = batches(few, augment=True)
    again = batches(few, augment=True)
    again.at(5, 2)
    torch.rand(3)
    assert torch.equal(first.at(1, 2)[0], again.at(1, 2)[0])
    assert not torch.equal(first.at(1, 2)[1], first.at(2, 2)[1])
    assert not torch.equal(first.at(1, 2)[1], batches(few, seed=4).at(1, 2)[1])


def test_an_altered_image_is_a_shift_of_itself_or_of_its_mirror_image(few):
    plain, altered = batches(few).at(0, 0)[0], batches(few, augment=True).at(0, 0)[0]
    shifts = set()
    for before, after in zip(plain, altered, strict=True):
        padded = F.pad(before, (1, 1, 1, 1))
        crops = {
            (dy, dx): padded[:, dy : dy + 14, dx : dx + 14] for dy in range(3) for dx in range(3)
        }
        found = [(place, False) for place, crop in crops.items() if torch.equal(crop, after)]
        found += [
            (place, True) for place, crop in crops.items() if torch.equal(crop.flip(-1), after)
        ]
        assert found
        shifts.add(found[0])
    assert len(shifts) > 9  # of 18


def test_ranks_share_the_batch_of_one(few):
    one = batches(few, augment=True).at(1, 1)
    two = [batches(few, augment=True, rank=rank, world=2).at(1, 1) for rank in (0, 1)]
    for part in (0, 1):
        together = torch.stack([two[0][part], two[1][part]], 1).flatten(0, 1)
        assert torch.equal(together, one[part])


def test_ranks_share_the_held_out_images(few):
    whole = torch.cat([y for _, y in batches(few).held_out("train")])
    parts = [
        torch.cat([y for _, y in batches(few, rank=rank, world=3).held_out("train")])
        for rank in range(3)
    ]
    assert whole.tolist() == few.train_labels.tolist()
    assert torch.cat(parts).sort().values.tolist() == whole.sort().values.tolist()


def test_a_batch_larger_than_the_data_is_the_data(few):
    assert len(batches(few, 1000)) == 1
    assert len(batches(few, 1000).at(0, 0)[0]) == 200


def test_one_flat_colour_does_not_divide_by_zero(few):
    flat = replace(few, train=torch.full_like(few.train, 7))
    assert batches(flat).at(0, 0)[0].abs().max() == 0


def test_derived_seeds_differ_and_reach_every_generator():
    seeds = {derive(a, b) for a in range(50) for b in range(50)}
    assert len(seeds) == 2500
    assert all(0 <= seed < 2**63 for seed in seeds)
    draws = []
    for _ in range(2):
        reseed(1, 2)
        draws.append((random.random(), np.random.rand(), torch.rand(()).item()))  # noqa: S311
    assert draws[0] == draws[1]


def test_one_thread_gives_the_threads_back():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with one_thread():
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
