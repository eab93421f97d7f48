"""The slice: its centre, its scale, and that the weights come back."""

import pytest
import torch

from torchskip.measure import loss_surface


def test_every_filter_moves_by_its_own_length(net):
    before = {name: p.detach().clone() for name, p in net.named_parameters()}
    seen = []

    def look(model):
        seen.append({name: p.detach().clone() for name, p in model.named_parameters()})
        return 0.0

    loss_surface(net, look, a=(-1.0, 0.0, 0.5), b=(0.0, 2.0))
    assert len(seen) == 6
    for name, weight in before.items():
        left, centre, half, up = (seen[i][name] - weight for i in (0, 2, 4, 3))
        assert not centre.any()
        if weight.ndim < 2:
            assert not left.any()
            continue
        lengths = weight.flatten(1).norm(dim=1)
        assert torch.allclose(left.flatten(1).norm(dim=1), lengths, rtol=1e-4)
        assert torch.allclose(half, -0.5 * left, atol=1e-5)
        assert torch.allclose(up.flatten(1).norm(dim=1), 2 * lengths, rtol=1e-4)


def test_the_directions_depend_on_the_seed_alone(net, x):
    def loss(model):
        return model.eval()(x).square().mean().item()

    surfaces = [loss_surface(net, loss, (-0.1, 0.1), seed=seed) for seed in (0, 0, 1)]
    assert surfaces[0] == surfaces[1]
    assert surfaces[0] != surfaces[2]


def test_the_weights_come_back_even_when_the_evaluation_fails(net):
    before = {name: value.clone() for name, value in net.state_dict().items()}

    def fail(_model):
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        loss_surface(net, fail, (1.0,))
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
