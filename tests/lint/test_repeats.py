"""One value under two names, in a concatenation."""

import pytest
import torch
from net import Net, c2

from torchskip.lint.evidence import Evidence
from torchskip.lint.ops import CONCATS, name
from torchskip.lint.repeats import repeated

IMAGE, MASK = torch.zeros(2, 3, 8, 8), torch.zeros(2, 1, 8, 8)


def joined(pick):
    """The last concatenation of a net that joins features with what `pick` takes of two inputs."""

    def forward(net, image, mask):
        both = torch.cat([image, mask], 1)
        return torch.cat([net.a(both), *pick(both, image, mask)], 1)

    run = Evidence(Net(forward, a=c2()), (IMAGE, MASK), {}).eval
    return run, [node for node in run.graph.nodes if name(node) in CONCATS][-1]


@pytest.mark.parametrize(
    "pick",
    [
        lambda both, image, mask: [both[:, :3], image],
        lambda both, image, mask: [both[:, -1:], image, mask],
        lambda both, image, mask: [mask, *both.split([3, 1], 1)],
        lambda both, image, mask: [image, image.view(2, 3, 8, 8)],
    ],
)
def test_a_value_is_known_by_another_name(pick):
    run, node = joined(pick)
    value, count = repeated(run, node)
    assert value in run.graph.inputs
    assert count == 2


@pytest.mark.parametrize(
    "pick",
    [
        lambda both, image, mask: [both[:, :3], mask],
        lambda both, image, mask: [both[:, :2], image],
        lambda both, image, mask: [both[:, 1:4], image],
        lambda both, image, mask: [image, image.mT],
        lambda both, image, mask: [both[:, :, :, :1].expand(-1, -1, -1, 8), image],
    ],
)
def test_another_part_is_another_value(pick):
    assert repeated(*joined(pick)) is None
