import pytest
import torch


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


@pytest.fixture
def untouched():
    """Check that a model is bit for bit as it was: state, modes, hooks, classes, results."""

    def snapshot(model):
        state = {
            k: (id(t), t._version, t.clone()) for k, t in model.state_dict(keep_vars=True).items()
        }
        modules = {
            path: (
                type(m),
                m.training,
                dict(m._forward_hooks),
                dict(m._forward_pre_hooks),
                set(vars(m)),
            )
            for path, m in model.named_modules()
        }
        return state, modules

    def same(model, before):
        state, modules = snapshot(model)
        assert modules == before[1]
        assert state.keys() == before[0].keys()
        for name, (identity, version, tensor) in state.items():
            assert (identity, version) == before[0][name][:2], name
            assert torch.equal(tensor, before[0][name][2]), name

    same.snapshot = snapshot
    return same
