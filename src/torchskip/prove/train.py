"""The training loop: one network on its way through a plan, step by step."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import astuple
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import convert_conv2d_weight_memory_format
from torch.optim.lr_scheduler import LambdaLR, LRScheduler, OneCycleLR

from torchskip.errors import TrainingError
from torchskip.measure import gradient_norms, weighted_layers
from torchskip.prove.batches import Batches, reseed
from torchskip.prove.plan import Plan
from torchskip.prove.records import Epoch, Run, Status, Step

if TYPE_CHECKING:
    from lightning_fabric import Fabric

__all__ = ["Training"]

_PICTURES = 100  # how often in a training the gradient of every layer is measured


class Training:
    """A model, its optimizer and what happened to them so far.

    Fabric launches, places, reduces and saves; the loop is here. Every step draws its random
    numbers from the seed and its own number, so a resumed training and a paired twin see the
    same order, crops and dropout masks.

    Raises:
        TrainingError: the model's answer to a batch is not one row of class scores an image.

    """

    def __init__(
        self, fabric: Fabric, model: nn.Module, batches: Batches, plan: Plan, *, classes: int
    ) -> None:
        self.fabric, self.batches, self.plan = fabric, batches, plan
        self.network = convert_conv2d_weight_memory_format(model, torch.channels_last)
        fabric.to_device(self.network)
        x, _ = batches.at(0, 0)
        self.layers = weighted_layers(self.network, x[:2])
        _check_answer(self.network, x[:2], classes)
        optimizer = torch.optim.SGD(
            self.network.parameters(),
            lr=plan.lr,
            momentum=plan.momentum,
            weight_decay=plan.weight_decay,
            nesterov=plan.momentum > 0,
        )
        self.total = plan.epochs * len(batches)
        self.schedule = _schedule(optimizer, plan, self.total)
        self.model, self.optimizer = fabric.setup(self.network, optimizer)
        self.steps: list[Step] = []
        self.epochs: list[Epoch] = []
        self.status: Status | None = None
        self.seconds = 0.0

    def advance(self) -> bool:
        """Make the next step, and at the end of an epoch the test; say whether it goes on."""
        begun = time.perf_counter()
        step = self._step()
        if not math.isfinite(step.loss):
            self.status = "diverged"
        else:
            self.steps.append(step)
            if len(self.steps) % len(self.batches) == 0:
                self.epochs.append(self._epoch())
                self.status = self._status()
        self.seconds += time.perf_counter() - begun
        return self.status is None

    def _step(self) -> Step:
        number = len(self.steps)
        epoch, place = divmod(number, len(self.batches))
        reseed(self.batches.seed, number, self.fabric.global_rank)
        x, y = self.batches.at(epoch, place)
        self.model.train()
        self.optimizer.zero_grad()
        scores = self.model(x)
        loss = F.cross_entropy(scores, y)
        self.fabric.backward(loss)
        pictured = number % max(1, self.total // _PICTURES) == 0
        norms = gradient_norms(self.network, self.layers if pictured else self.layers[:1]).tolist()
        mean, correct = self._over_ranks(loss.detach(), (scores.argmax(1) == y).sum())
        lr = self.schedule.get_last_lr()[0]
        if math.isfinite(mean):
            if self.plan.clip is not None:
                self.fabric.clip_gradients(
                    self.model, self.optimizer, max_norm=self.plan.clip, error_if_nonfinite=False
                )
            self.optimizer.step()
            self.schedule.step()
        layers = tuple(float(f"{norm:.6g}") for norm in norms) if pictured else ()  # float32's
        return Step(number, mean, round(correct), norms[0], float(lr), layers)

    def _over_ranks(self, loss: Tensor, correct: Tensor) -> tuple[float, float]:
        mean, right = self._sum(torch.stack([loss.double(), correct.double()]))
        return mean / self.fabric.world_size, right

    def _sum(self, numbers: Tensor) -> list[float]:
        total = self.fabric.all_reduce(numbers, reduce_op="sum")
        return cast("Tensor", total).tolist()

    def _epoch(self) -> Epoch:
        passed = self.steps[-len(self.batches) :]
        seen = len(passed) * self.batches.size
        return Epoch(
            len(self.epochs),
            sum(step.loss for step in passed) / len(passed),
            sum(step.correct for step in passed) / seen,
            *self.test("test"),
        )

    def _status(self) -> Status | None:
        if len(self.epochs) == self.plan.epochs:
            return "finished"
        losses = [epoch.train_loss for epoch in self.epochs]
        since = len(losses) - 1 - losses.index(min(losses))
        return "stopped early" if since >= (self.plan.patience or len(losses)) else None

    @torch.no_grad()
    def test(self, split: str) -> tuple[float, float]:
        """Return mean cross-entropy and accuracy on all images of `split`, in eval mode."""
        self._share_buffers()
        self.network.eval()
        sums = torch.zeros(3, dtype=torch.float64, device=self.fabric.device)
        for x, y in self.batches.held_out(split):
            with self.fabric.autocast():
                scores = self.network(x).float()
            loss = F.cross_entropy(scores, y, reduction="sum")
            right = (scores.argmax(1) == y).sum()
            sums += torch.stack([loss.double(), right.double(), sums.new_tensor(len(y))])
        loss_sum, correct, count = self._sum(sums)
        return loss_sum / count, correct / count

    def state(self) -> dict[str, Any]:
        """Return all that decides how it goes on, in tensors and plain values.

        The generators are not in it: every step seeds them anew.
        """
        self._share_buffers()
        return {
            "model": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "steps": [astuple(step) for step in self.steps],
            "epochs": [astuple(epoch) for epoch in self.epochs],
            "seconds": self.seconds,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a `state()` as if nothing had happened in between."""
        self.network.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        self.steps = [Step(*values) for values in state["steps"]]
        self.epochs = [Epoch(*values) for values in state["epochs"]]
        self.seconds = state["seconds"]
        if self.epochs and len(self.epochs) * len(self.batches) == len(self.steps):
            self.status = self._status()

    @torch.no_grad()
    def _share_buffers(self) -> None:
        """Give every rank the running statistics of the first, as DDP does before a step."""
        if self.fabric.world_size > 1:
            ours = list(self.network.buffers())
            theirs = self.fabric.broadcast([buffer.cpu() for buffer in ours])
            for buffer, value in zip(ours, theirs, strict=True):
                buffer.copy_(value)

    def run(self, network: str, depth: int) -> Run:
        """Return the record of the training that has ended."""
        if self.status is None:
            raise TrainingError(
                f"the training is at step {len(self.steps)} of {self.total}\n"
                "  mend: advance() until it returns False"
            )
        return Run(
            network,
            depth,
            self.batches.seed,
            sum(parameter.numel() for parameter in self.network.parameters()),
            self.layers,
            self.status,
            *self.test("train"),
            *self._last_test(),
            steps=tuple(self.steps),
            epochs=tuple(self.epochs),
            seconds=self.seconds,
        )

    def _last_test(self) -> tuple[float, float]:
        if self.epochs and len(self.epochs) * len(self.batches) == len(self.steps):
            return self.epochs[-1].test_loss, self.epochs[-1].test_accuracy
        return self.test("test")


def _schedule(optimizer: torch.optim.Optimizer, plan: Plan, total: int) -> LRScheduler:
    rising = max(1, round(plan.warmup * total))
    if plan.schedule == "onecycle":  # Smith and Topin 2017
        share = min(max(plan.warmup, 1 / total), 1 - 1 / total) if total > 1 else 0.5
        return OneCycleLR(optimizer, plan.lr, total_steps=total + 1, pct_start=share)

    def factor(step: int) -> float:
        rise = min(1.0, (step + 1) / rising)
        fall = 0.5 * (1 + math.cos(math.pi * step / total))
        return rise * (fall if plan.schedule == "cosine" else 1.0)

    return LambdaLR(optimizer, factor)


def _check_answer(model: nn.Module, x: Tensor, classes: int) -> None:
    with torch.no_grad():
        model.eval()
        answer: Any = model(x)
    scores = isinstance(answer, Tensor) and answer.ndim == 2 and len(answer) == len(x)
    if not scores or answer.shape[1] < classes:
        got = tuple(answer.shape) if isinstance(answer, Tensor) else type(answer).__name__
        raise TrainingError(
            f"the model answers {tuple(x.shape)} with {got}, not with class scores\n"
            f"  mend: let it return a tensor of shape ({len(x)}, {classes})"
        )
