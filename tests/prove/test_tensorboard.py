"""Where TensorBoard is installed, every step reaches it once, also over an interruption."""

import pytest

from torchskip.prove import Plan
from torchskip.prove.batches import Batches
from torchskip.prove.fabric import make_fabric
from torchskip.prove.store import RunStore
from torchskip.prove.train import Training
from torchskip.prove.twins import CifarTwins

events = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")


def test_steps_and_epochs_arrive_once(few, tmp_path):
    plan = Plan(epochs=2, batch=50)

    def begin():
        model = CifarTwins(channels=1, classes=10, width=4)(8, 0)["plain"]
        batches = Batches(few, plan.batch, seed=0, augment=False)
        return Training(make_fabric(plan, accelerator="cpu"), model, batches, plan, classes=10)

    training, store = begin(), RunStore(tmp_path, {"network": "plain"})
    for _ in range(5):
        training.advance()
    store.save(training, training.state())
    resumed, store = begin(), RunStore(tmp_path, {"network": "plain"})
    resumed.restore(store.checkpoints.load())
    store.save(resumed, resumed.state())
    while resumed.advance():
        pass
    store.finish(resumed, resumed.run("plain", 8))

    board = events.EventAccumulator(str(tmp_path / "tensorboard"))
    board.Reload()
    losses = board.Scalars("step/loss")
    assert [event.step for event in losses] == list(range(8))
    assert [event.value for event in losses] == pytest.approx([s.loss for s in resumed.steps])
    accuracies = [(event.step, event.value) for event in board.Scalars("epoch/test_accuracy")]
    assert [step for step, _ in accuracies] == [0, 1]
