"""The loop: the same twice, equal to a hand-written one, honest about what it saw."""

import math
from itertools import count

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from torchskip.errors import TrainingError
from torchskip.prove import Plan
from torchskip.prove.batches import Batches
from torchskip.prove.fabric import make_fabric
from torchskip.prove.train import Training
from torchskip.prove.twins import CifarTwins


def training(images, model, plan, seed=0):
    fabric = make_fabric(plan, accelerator="cpu")
    batches = Batches(images, plan.batch, seed=seed, augment=plan.augment)
    return Training(fabric, model, batches, plan, classes=10)


def resnet(depth=20, seed=0, name="residual"):
    return CifarTwins(channels=1, classes=10, width=4)(depth, seed)[name]


def small():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(576, 10))


def finish(run):
    while run.advance():
        pass
    return run


def test_a_resnet20_gives_the_same_numbers_twice(few):
    plan = Plan(epochs=2)
    first, second = (finish(training(few, resnet(), plan)) for _ in range(2))
    assert len(first.steps) == 6
    assert first.steps == second.steps
    assert first.epochs == second.epochs
    for name, value in first.network.state_dict().items():
        assert torch.equal(value, second.network.state_dict()[name]), name


def test_another_seed_gives_other_numbers(few):
    plan = Plan(epochs=1)
    losses = {finish(training(few, resnet(), plan, seed=seed)).epochs[0] for seed in (0, 1)}
    assert len(losses) == 2


def test_the_steps_are_those_of_a_hand_written_loop(few):
    plan = Plan(epochs=2, augment=False, schedule="constant", warmup=0.0)
    ours = finish(training(few, small(), plan))

    model = small()
    optimizer = torch.optim.SGD(
        model.parameters(), 0.1, momentum=0.9, weight_decay=1e-4, nesterov=True
    )
    batches = Batches(few, 64, seed=0, augment=False)
    for step in ours.steps:
        x, y = batches.at(*divmod(step.step, 3))
        scores = model(x)
        loss = F.cross_entropy(scores, y)
        optimizer.zero_grad()
        loss.backward()
        assert step.loss == pytest.approx(loss.item(), rel=1e-4)
        assert step.correct == (scores.argmax(1) == y).sum()
        assert step.gradient == pytest.approx(model[0].weight.grad.norm().item(), rel=1e-3)
        optimizer.step()
    x = (few.test.float() - batches.mean) / batches.deviation
    scores = model(x)
    loss, accuracy = F.cross_entropy(scores, few.test_labels), (scores.argmax(1) == few.test_labels)
    assert ours.epochs[-1].test_loss == pytest.approx(loss.item(), rel=1e-3)
    assert ours.epochs[-1].test_accuracy == pytest.approx(accuracy.float().mean().item())
    assert ours.epochs[0].train_accuracy == sum(s.correct for s in ours.steps[:3]) / 192


def test_learning_rates(few):
    def rates(**options):
        run = finish(training(few, small(), Plan(epochs=4, batch=50, lr=0.08, **options)))
        return [step.lr for step in run.steps]

    flat = rates(schedule="constant", warmup=0.25)
    assert flat == pytest.approx([0.02, 0.04, 0.06] + [0.08] * 13)
    cosine = rates(schedule="cosine", warmup=0.0)
    assert cosine == pytest.approx([0.04 * (1 + math.cos(math.pi * t / 16)) for t in range(16)])
    cycle = rates(schedule="onecycle", warmup=0.25)
    assert max(cycle) == pytest.approx(0.08, rel=0.1)
    assert cycle[-1] < cycle[0] < 0.01


def test_clipping_bounds_the_step(few):
    plan = Plan(epochs=1, clip=1e-3, momentum=0, weight_decay=0, schedule="constant", warmup=0)
    run = training(few, small(), plan)
    before = [p.detach().clone() for p in run.network.parameters()]
    run.advance()
    after = list(run.network.parameters())
    moved = torch.stack([(a - b).norm() for a, b in zip(after, before, strict=True)]).norm()
    assert moved.item() == pytest.approx(0.1 * 1e-3, rel=1e-3)
    assert run.steps[0].gradient > 1e-3  # what the layer got, not what was left of it


def test_bf16_runs_forward_in_bf16_and_keeps_the_weights_in_32_bits(few):
    seen = []
    model = small()
    model[0].register_forward_hook(lambda _m, _i, out: seen.append(out.dtype))
    run = finish(training(few, model, Plan(epochs=1, precision="bf16-mixed")))
    assert torch.bfloat16 in seen
    assert {p.dtype for p in run.network.parameters()} == {torch.float32}
    assert run.status == "finished"


def test_a_loss_that_is_not_finite_ends_the_training_with_the_last_good_weights(few):
    class Breaks(nn.Module):
        def __init__(self):
            super().__init__()
            self.net, self.calls = small(), count()

        def forward(self, x):
            scores = self.net(x)
            return scores * float("nan") if self.training and next(self.calls) == 2 else scores

    run = finish(training(few, Breaks(), Plan(epochs=2)))
    assert run.status == "diverged"
    assert len(run.steps) == 2
    assert all(p.isfinite().all() for p in run.network.parameters())
    assert math.isfinite(run.run("plain", 2).train_loss)


def test_patience_ends_a_training_that_learns_nothing(few):
    plan = Plan(epochs=9, lr=1e-12, momentum=0, augment=False, patience=2, batch=200)
    run = finish(training(few, small(), plan))
    assert run.status == "stopped early"
    assert len(run.epochs) == 3 or run.epochs[0].train_loss > run.epochs[-1].train_loss


def test_the_answer_must_be_class_scores(few):
    with pytest.raises(TrainingError) as caught:
        training(few, nn.Conv2d(1, 10, 3), Plan())
    assert str(caught.value) == (
        "the model answers (2, 1, 14, 14) with (2, 10, 12, 12), not with class scores\n"
        "  mend: let it return a tensor of shape (2, 10)"
    )


def test_twins_begin_with_the_same_weights_and_differ_by_the_skips_alone(few):
    pair = CifarTwins(channels=1, classes=10, width=4)(20, 5)
    plain, residual = pair["plain"].state_dict(), pair["residual"].state_dict()
    assert plain.keys() == residual.keys()
    assert all(torch.equal(plain[name], residual[name]) for name in plain)
    x = torch.rand(2, 1, 14, 14)
    assert not torch.allclose(pair["plain"](x), pair["residual"](x))


def test_no_record_before_the_end(few):
    with pytest.raises(TrainingError, match="the training is at step 0 of 12"):
        training(few, small(), Plan()).run("plain", 2)
