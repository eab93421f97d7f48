"""Correct models that cut, scale or zero a gradient on purpose; their nearest faults are cases."""

from __future__ import annotations

import copy

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .case import Clean, conv, net

VECTOR = ((2, 6),)
TOKENS = ((2, 6, 8),)


class GumbelHard(nn.Module):
    """Straight-through: ``y_hard - y_soft.detach() + y_soft``."""

    def __init__(self) -> None:
        super().__init__()
        self.logits, self.value = nn.Linear(6, 4), nn.Linear(4, 6)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.value(F.gumbel_softmax(self.logits(x), hard=True))


class ScaledGradient(nn.Module):
    """``a * x + (1 - a) * x.detach()`` is x with a times its gradient."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(6, 6), nn.Linear(6, 6)

    def forward(self, x: Tensor) -> Tensor:
        h = self.a(x)
        h = h * 0.5 + h.detach() * 0.5
        return h + F.relu(self.b(h))


class BoxRefinement(nn.Module):
    """Each box starts at the last one, detached; every box has a loss of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.start = nn.Linear(8, 4)
        self.layers = nn.ModuleList(nn.Linear(8, 8) for _ in range(2))
        self.boxes = nn.ModuleList(nn.Linear(8, 4) for _ in range(2))

    def forward(self, query: Tensor) -> tuple[Tensor, ...]:
        reference = self.start(query).sigmoid()
        found = [reference]
        for layer, box in zip(self.layers, self.boxes, strict=True):
            query = query + F.relu(layer(query))
            new = (box(query) + torch.logit(reference.detach(), eps=1e-5)).sigmoid()
            found.append(new)
            reference = new
        return (*found, query)


class FlowRefinement(nn.Module):
    """RAFT: the flow is detached before each refinement, and concatenated with the features."""

    def __init__(self) -> None:
        super().__init__()
        self.features, self.first = conv(4, 6), conv(6, 2)
        self.update = conv(8, 2)

    def forward(self, x: Tensor) -> list[Tensor]:
        features = self.features(x)
        flows = [self.first(features)]
        for _ in range(2):
            flow = flows[-1].detach()
            flows.append(flow + self.update(torch.cat([features, flow], 1)))
        return flows


class SegmentMemory(nn.Module):
    """Transformer-XL: the former segment is read without gradient."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.out = nn.Linear(8, 8), nn.Linear(8, 8)
        self.query, self.pair = nn.Linear(8, 8), nn.Linear(8, 16)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        former, here = self.embed(x).chunk(2, 1)
        key, value = self.pair(torch.cat([former.detach(), here], 1)).chunk(2, -1)
        weight = (self.query(here) @ key.mT).softmax(-1)
        return here + self.out(weight @ value), former


class FakeAndReal(nn.Module):
    """A discriminator sees the images and the detached fakes in one batch."""

    def __init__(self) -> None:
        super().__init__()
        self.generator = nn.Sequential(conv(4, 6), nn.ReLU(), conv(6, 4))
        self.critic = nn.Sequential(conv(4, 6), nn.ReLU(), conv(6, 1))

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        fake = x + self.generator(x)
        judged = self.critic(torch.cat([x, fake.detach()])).chunk(2)
        return (*judged, self.critic(fake))


class FrozenTeacher(nn.Module):
    """Features of a frozen twin are concatenated with the student's."""

    def __init__(self) -> None:
        super().__init__()
        self.student = nn.Sequential(conv(4, 6), nn.ReLU())
        self.teacher = copy.deepcopy(self.student).requires_grad_(False)
        self.out = conv(12, 2)

    def forward(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            taught = self.teacher(x)
        return self.out(torch.cat([self.student(x), taught], 1))


class SelfDistillation(nn.Module):
    """The deeper feature, detached, is the target of the shallower one."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.head = conv(4, 6), conv(6, 6), conv(6, 2)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        shallow = F.relu(self.a(x))
        deep = F.relu(self.b(shallow))
        return self.head(deep), (shallow - deep.detach()).pow(2).mean()


class Pairwise(nn.Module):
    """A symmetrised matrix, ``a + a.mT``, and sums of all pairs."""

    def __init__(self) -> None:
        super().__init__()
        self.lift, self.weigh = nn.Linear(8, 8), nn.Linear(8, 1)

    def forward(self, x: Tensor) -> Tensor:
        h = self.lift(x)
        near = h @ h.mT
        near = (near + near.mT) / 2
        pairs = self.weigh(torch.tanh(h[:, :, None] + h[:, None, :])).squeeze(-1)
        return x + (near + pairs).softmax(-1) @ h


class RungeKutta(nn.Module):
    """One layer on sums of a fixed start and its own results."""

    def __init__(self) -> None:
        super().__init__()
        self.f = nn.Sequential(nn.Linear(6, 12), nn.Tanh(), nn.Linear(12, 6))

    def forward(self, x: Tensor) -> Tensor:
        k1 = self.f(x)
        k2 = self.f(x + 0.5 * k1)
        k3 = self.f(x + 0.5 * k2)
        k4 = self.f(x + k3)
        return x + (k1 + 2 * k2 + 2 * k3 + k4) / 6


class EdgeResidual(nn.Module):
    """A residual block whose configuration leaves the skip out, as in EfficientNet-EdgeTPU."""

    def __init__(self, noskip: bool) -> None:
        super().__init__()
        self.has_skip = not noskip
        self.a, self.b = conv(4, 8), conv(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        y = self.b(F.relu(self.a(x)))
        return x + y if self.has_skip else y


class DropPath(nn.Module):
    """So often dropped that a small batch loses every sample's branch."""

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return x
        return x * (torch.rand(x.shape[0], 1, 1, 1) < 0.1) / 0.1


class RarelyKept(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.drop = conv(4, 4), DropPath()

    def forward(self, x: Tensor) -> Tensor:
        return x + self.drop(self.conv(x))


class ZeroHead(nn.Module):
    """A zero-initialised output layer: no gradient comes back to any branch yet."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.body, self.head = conv(4, 4), conv(4, 4), conv(4, 2)
        nn.init.zeros_(self.head.weight)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        return self.head(x + self.body(x))


CLEAN = (
    Clean("gumbel_hard", "Jang 2017, straight-through", GumbelHard, VECTOR),
    Clean("scaled_gradient", "Schrittwieser 2020, appendix G", ScaledGradient, VECTOR),
    Clean("box_refinement", "Zhu 2021, iterative boxes", BoxRefinement, TOKENS),
    Clean("flow_refinement", "Teed 2020", FlowRefinement),
    Clean("segment_memory", "Dai 2019", SegmentMemory, TOKENS),
    Clean("fake_and_real", "a discriminator's batch", FakeAndReal),
    Clean("frozen_teacher", "distillation into a concatenation", FrozenTeacher),
    Clean("self_distillation", "Zhang 2019, be your own teacher", SelfDistillation),
    Clean("pairwise", "symmetrised attention", Pairwise, TOKENS),
    Clean("no_skip_by_setting", "Gupta 2019", lambda: net(EdgeResidual(False), EdgeResidual(True))),
    Clean("rarely_kept", "Huang 2016", lambda: net(*(RarelyKept() for _ in range(8)))),
    Clean("zero_head", "a displacement field that starts at zero", ZeroHead),
    Clean("runge_kutta", "Chen 2018, one function of many stages", RungeKutta, VECTOR),
)
