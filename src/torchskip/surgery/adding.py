"""`with_skips`: shortcuts for a network that has none, without changing what it computes."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import torch
from torch import Tensor, nn

from torchskip.errors import ArgumentError, SurgeryError, TorchskipError
from torchskip.graph import Graph
from torchskip.nn.probe import probe
from torchskip.nn.scale import ReZero
from torchskip.nn.shortcut import derive_shortcut
from torchskip.nn.twin import device_of, dtype_of, undisturbed
from torchskip.skips import find_skips
from torchskip.skips.flow import Flow
from torchskip.surgery.added import AddedSkip, Arrive, Leave, Wire
from torchskip.surgery.borders import Borders, follow
from torchskip.surgery.replay import Replay
from torchskip.surgery.stretches import stretches, way
from torchskip.surgery.twin import copied
from torchskip.trace.tree import leaves, rebuild

__all__ = ["with_skips"]

_LOG = logging.getLogger(__name__)


def with_skips(
    model: nn.Module,
    *example: Any,
    every: int = 2,
    around: Sequence[tuple[str, str]] | None = None,
    shortcut: str = "auto",
    **kwargs: Any,
) -> nn.Module:
    r"""Return `model` with shortcuts: :math:`y = f(x) + \alpha s(x)`, :math:`\alpha = 0` at first.

    A new object with copies of the same weights under the same names; `model` stays as it is.
    The shortcuts `s` are derived as those of :class:`torchskip.nn.Skip`: nothing where the shapes
    agree for every input size, otherwise an aligned pooling and a 1x1 convolution. Each is a
    module ``added_skip`` of the module whose output it joins. That the output is equal before
    training is checked on the example. The weights of 1x1 convolutions follow from the state of
    torch's CPU generator, which stays as it is.

    Args:
        model: any module that holds its convolutions as modules.
        example: what its forward takes.
        every: layers to a stretch; the last one of a block takes the rest (He et al. 2015 have 2,
            and 3 in bottlenecks). Stretches that have a skip already are left alone, as is the
            layer that reads the input, and none crosses a pooling.
        around: the stretches themselves, as paths of the first and the last module.
        shortcut: any of `Skip`'s names (``"auto"``, ``"pad"``, ...).
        kwargs: more of what its forward takes.

    Raises:
        ArgumentError: `every` is below 1, or `around` names no way through the model.
        SurgeryError: there is no stretch to go around, or the model cannot be copied or run.

    He et al. 2015, *Deep Residual Learning for Image Recognition*, section 3.3.

    >>> import torch
    >>> from torchskip.models.cifar import plainnet
    >>> net, x = plainnet(8).eval(), torch.ones(1, 3, 16, 16)
    >>> residual = with_skips(net, x)
    >>> torch.equal(residual(x), net(x))
    True
    >>> [path for path, module in residual.named_modules() if path.endswith("added_skip")][0]
    'stages.0.0.unit.branch.bn2.added_skip'

    """
    if not isinstance(every, int) or every < 1:
        raise ArgumentError(f"every={every!r} layers is no stretch\n  mend: give 1 or more")
    twin = copied(model)
    borders = follow(twin, example, kwargs)
    flow = Flow(borders.graph)
    chosen = _between(flow, borders, around) if around else _everywhere(flow, borders, every)
    plans, refused = [], list[str]()
    with undisturbed():  # the weights of projections are drawn from a copy of the generator
        for ways in chosen:
            try:
                plans.append(_plan(twin, flow, borders, ways, shortcut))
            except TorchskipError as error:
                if around:
                    raise
                refused.append(str(error).splitlines()[0])
    if not plans:
        skips = len(find_skips(borders.graph))
        why = "".join(f"\n  because  {text}" for text in dict.fromkeys(refused))
        raise SurgeryError(
            f"{borders.graph.model} has no stretch of {every} convolutions in a row without a "
            f"skip; it has {skips} skips{why}\n"
            f"  mend: {'every=1, or ' * (every > 1)}around=[(first module, last module)]"
        )
    before = _outputs(twin, example, kwargs)
    for plan in plans:
        plan.install(twin)
    _equal(before, _outputs(twin, example, kwargs), len(plans), borders.graph.model)
    return twin


@dataclass(slots=True)
class _Plan:
    """A shortcut, ready to be installed between two modules."""

    first: str
    last: str
    skip: AddedSkip
    copy: bool

    def install(self, twin: nn.Module) -> None:
        """Hook it in."""
        module, name = twin.get_submodule(self.last), "added_skip"
        while hasattr(module, name):
            name += "_"
        self.skip.train(module.training)
        module.add_module(name, self.skip)
        wire = Wire()
        leave = Leave(wire, self.copy)
        twin.get_submodule(self.first).register_forward_pre_hook(leave, with_kwargs=True)
        module.register_forward_hook(Arrive(wire, name))


Ways = list[tuple[int, int]]
"""Values where one shortcut may leave and arrive, the best first."""


def _everywhere(flow: Flow, borders: Borders, every: int) -> list[Ways]:
    found = stretches(flow, find_skips(flow.graph), every)
    return [[(a, b) for b in s.ends for a in s.starts] for s in found]


def _between(flow: Flow, borders: Borders, around: Sequence[tuple[str, str]]) -> list[Ways]:
    chosen = []
    for first, last in around:
        start, end = borders.ends(first)[0], borders.ends(last)[1]
        if start is None or end is None or way(flow, start, end) is None or start == end:
            raise ArgumentError(
                f"around=('{first}', '{last}') is no way through {flow.graph.model}: each module "
                "must run once, take and give a tensor, and nothing may branch off between them\n"
                "  mend: give modules that follow each other; the last one is no container"
            )
        chosen.append([(start, end)])
    return chosen


def _plan(twin: nn.Module, flow: Flow, borders: Borders, ways: Ways, kind: str) -> _Plan:
    graph = flow.graph
    for start, end in ways:
        nodes = way(flow, start, end)
        around = borders.around(start, end, nodes) if nodes else None
        if nodes and around is not None:
            break
    else:
        raise SurgeryError(_no_modules(graph, ways[0][1]))
    home = twin.get_submodule(around[1])
    near = home if device_of(home) is not None else twin
    dtype = dtype_of(near)
    made = _shortcut(flow, start, end, nodes, kind, dtype)
    skip = AddedSkip(made, around, ReZero(dtype=dtype)).to(device_of(near))
    memory = graph.values[start].memory  # written later, also through a view
    overwritten = any(
        v.memory == memory and v.previous is not None for v in graph.values[start + 1 :]
    )
    return _Plan(*around, skip, overwritten)


def _no_modules(graph: Graph, end: int) -> str:
    node = graph.values[end].producer
    module = graph.nodes[node].module if node is not None else ""
    times = next((m.calls for m in graph.modules if m.path == module), 1)
    if times > 1:
        return f"'{module}' runs {times} times in one pass, and a shortcut arrives once"
    return f"the layers up to those of '{module}' are no modules of their own"


def _shortcut(
    flow: Flow, start: int, end: int, nodes: list[int], kind: str, dtype: torch.dtype
) -> nn.Module:
    before, after = (flow.graph.values[v].shape for v in (start, end))
    first, last = (flow.graph.nodes[n].module for n in (nodes[0], nodes[-1]))
    try:
        found = probe(Replay(flow.graph, _moving(flow, nodes)), before[1])
    except TorchskipError as error:  # such as views to the example's own sizes
        if before == after and kind in ("auto", "identity"):
            return nn.Identity()
        raise SurgeryError(
            f"the way from '{first}' to '{last}' tells no geometry, only {before} to {after}\n"
            "  mend: go around layers that keep the shape, or around convolutions alone"
        ) from error
    sizes = tuple(rule(n) for rule, n in zip(found.sizes, before[2:], strict=True))
    if (found.out_channels, *sizes) != (after[1] if found.out_channels else None, *after[2:]):
        raise SurgeryError(f"the sizes between '{first}' and '{last}' cannot be derived")
    return derive_shortcut(kind, found, dtype=dtype)


def _moving(flow: Flow, nodes: list[int]) -> list[int]:
    """Leave out gates and norms: they move nothing, and a norm's record may hold its sizes."""
    kept: list[int] = []
    values = flow.graph.values
    for _, group in groupby(
        nodes, lambda n: (flow.graph.nodes[n].module, flow.graph.nodes[n].call)
    ):
        part = [n for n in group if n not in flow.gates]
        roles = {flow.roles[n] for n in part}
        if "norm" in roles and roles <= {"norm", "glue"}:
            first, last = flow.graph.nodes[part[0]], flow.graph.nodes[part[-1]]
            if values[first.inputs[0]].shape == values[last.outputs[0]].shape:
                continue
        kept.extend(n for n in part if flow.roles[n] != "norm")
    return kept


def _outputs(twin: nn.Module, example: tuple[Any, ...], kwargs: Any) -> list[Tensor] | None:
    """Run a copy in evaluation; None where the example or the model holds no data."""
    given = [t for _, t in leaves((example, kwargs))]
    if any(t.is_meta for t in (*given, *twin.parameters())):
        return None
    example, kwargs = rebuild((example, kwargs), torch.clone)
    with undisturbed():
        torch.manual_seed(0)
        return [t for _, t in leaves(copied(twin).eval()(*example, **kwargs))]


def _equal(before: list[Tensor] | None, after: list[Tensor] | None, count: int, name: str) -> None:
    if before is None or after is None:
        _LOG.info("%s: %d shortcuts added; not run, because there is no data", name, count)
        return
    for a, b in zip(before, after, strict=True):
        if not torch.allclose(a, b, rtol=0, atol=0, equal_nan=True):
            apart = (a - b).abs().max().item()
            raise SurgeryError(
                f"{name} with {count} shortcuts of weight 0 gives another output: up to {apart}\n"
                "  mend: its outputs are random in evaluation or too large for 0 times them to be 0"
            )
    _LOG.info("%s: %d shortcuts added; the output is equal before training", name, count)
