"""Smaller images are means of whole blocks of pixels."""

import torch

from torchskip import data
from torchskip.prove.shrink import shrink


def test_blocks_are_averaged():
    images = data.load("fashion-mnist", test_per_class=5)
    small = shrink(images, 16)
    assert small.shape == (1, 14, 14)
    blocks = images.train.float().unfold(2, 2, 2).unfold(3, 2, 2).mean((-1, -2)).round()
    assert torch.equal(small.train, blocks.to(torch.uint8))
    assert torch.equal(small.train_labels, images.train_labels)
    assert shrink(images, 9).shape == (1, 7, 7)


def test_images_that_are_small_enough_stay(few):
    assert torch.equal(shrink(few, 16).train, few.train)


def test_the_first_of_each_class(few):
    fewer = shrink(few, 16, train_per_class=3)
    assert fewer.train_labels.tolist() == [c for c in range(10) for _ in range(3)]
    assert torch.equal(fewer.train[3:6], few.train[20:23])
    assert torch.equal(fewer.test, few.test)
