from dataclasses import replace

import drafts
import pytest
import torch
from torch import nn

from torchskip.render.outline import outline
from torchskip.render.terrain import SHADES, terrain


def ground(graph, *skips):
    chain = outline(graph, skips)
    return terrain(graph, chain, skips)


def test_each_halving_is_one_level_and_a_vector_lies_on_the_floor():
    graph = drafts.graph(
        ("", "convolution", (1, 8, 16, 16)),
        ("", "convolution", (1, 16, 8, 8)),
        ("", "mean", (1, 16)),
    )
    # levels from one below 8 (the smallest map) to 32 (the input): 3 steps
    assert [g.height for g in ground(graph)] == pytest.approx([2 / 3, 1 / 3, 0], abs=1e-4)
    assert [g.label for g in ground(graph)] == ["16×16", "8×8", ""]


def test_shade_is_channels():
    graph = drafts.graph(
        ("", "convolution", (1, 8, 16, 16)),
        ("", "convolution", (1, 64, 16, 16)),
        ("", "convolution", (1, 512, 16, 16)),
    )
    shades = [g.shade for g in ground(graph)]
    assert (shades[0], shades[-1]) == (0, SHADES - 1)
    assert shades == sorted(shades)


def test_tokens_and_windows_keep_the_level_of_their_image():
    graph = drafts.graph(
        ("", "convolution", (2, 64, 8, 8)),
        ("", "view", (2, 64, 64)),
        ("", "permute", (2, 64, 64)),
        ("", "native_layer_norm", (2, 64, 64)),
        ("", "view", (8, 16, 64)),  # windows in the batch axis
        ("", "addmm", (128, 64)),  # tokens in rows
        ("", "bmm", (8, 16, 16)),  # attention scores have no place
        start=(2, 3, 32, 32),
    )
    heights = {g.height for g in ground(graph)}
    assert len(heights) == 1
    assert {g.label for g in ground(graph)} == {"8×8"}


def test_a_gates_branch_makes_no_notch():
    rows = [
        ("", "convolution", (1, 8, 16, 16)),
        ("", "mean", (1, 8, 1, 1)),
        ("", "convolution", (1, 8, 1, 1)),
        ("", "mul", (1, 8, 16, 16)),
    ]
    graph = drafts.graph(*rows)
    gated = replace(graph.nodes[3], inputs=(1, 3))
    graph = replace(graph, nodes=(*graph.nodes[:3], gated))
    assert len({g.height for g in ground(graph)}) == 2
    assert len({g.height for g in ground(graph, drafts.skip(1, 3, "gate"))}) == 1


@pytest.mark.parametrize(
    ("model", "shape"),
    [
        (nn.Conv1d(3, 8, 3), (1, 3, 100)),
        (nn.Conv3d(3, 8, 3), (1, 3, 8, 16, 16)),
        (nn.Linear(8, 4), (2, 8)),
        (nn.LSTM(8, 4), (5, 2, 8)),
    ],
)
def test_every_rank_has_a_ground(see, model, shape):
    seen = see(model, torch.zeros(shape))
    heights = [g.height for g in terrain(seen.graph, outline(seen.graph))]
    assert heights
    assert all(0 <= height <= 1 for height in heights)
