"""A plan as one TorchScript function, whose layers oneDNN compiles in groups.

Called one by one, an oneDNN operator is set up again in every call: 31 microseconds a layer,
against 4 in a compiled partition of oneDNN's graph interface, which PyTorch reaches from
TorchScript only (`torch.jit.enable_onednn_fusion`). The function is built as a graph, directly:
nothing of it was Python source, so TorchScript's deprecated front ends are not needed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, fx

from torchskip.deploy.emit import Emitter
from torchskip.deploy.fold import apply
from torchskip.deploy.kernels import Convolution, Linear
from torchskip.deploy.plan import Plan
from torchskip.deploy.proof import largest_difference

__all__ = ["Function", "Script", "Unscripted", "script"]

Function = Callable[..., tuple[Tensor, ...]]
# They do not touch the values, or only where these lie otherwise than wanted.
_VIEWS = {
    f"aten::{name}"
    for name in ("contiguous", "flatten", "alias", "slice", "reshape", "view", "permute", "size")
}


@dataclass(frozen=True, slots=True)
class Script:
    """A compiled function, the groups that oneDNN compiled in it, the operators outside them."""

    function: Function
    groups: int
    others: int


class Unscripted(Exception):  # noqa: N818 - an answer, not a fault
    """A plan does not run as one compiled function here; the message says why."""


def script(plan: Plan, code: fx.GraphModule, inputs: Sequence[Tensor], tolerance: float) -> Script:
    """Compile `plan`, of which `code` is the module, for the sizes of `inputs`.

    Raises:
        Unscripted: where that cannot be done, gives nothing, or computes from `inputs` what
            differs by more than `tolerance` from the operators one by one.

    """
    if any(t.device.type != "cpu" for t in inputs):
        raise Unscripted("the inputs are not on the CPU")
    reasons = []
    for lone_arithmetic in (True, False):
        try:
            sizes = _Sizes(code)
            sizes.run(*(t.to("meta") for t in inputs))
            emitter = Emitter(sizes.shapes, sizes.numbers, lone_arithmetic=lone_arithmetic)
            return _compile(emitter.emit(plan), inputs, tolerance)
        except Exception as error:
            lines = str(error).strip().splitlines() or [""]
            named = "" if isinstance(error, Unscripted) else f"{type(error).__name__}: "
            reasons.append(f"{named}{lines[-1][:200]}")
    raise Unscripted(reasons[-1])


def _compile(graph: Any, inputs: Sequence[Tensor], tolerance: float) -> Script:
    function: Any = torch._C._create_function_from_graph("fused", graph)
    with _onednn_fusion(), torch.no_grad():
        truths = function(
            False, *inputs
        )  # operator by operator, while the executor notes the sizes
        plans = _plans(function, inputs)
        groups = [group for plan in plans for group in _groups(plan.graph)]
        if not groups:
            raise Unscripted("oneDNN's graph interface takes none of its operators")
        if any(_reads_twice(group) for group in groups):
            raise Unscripted("a group of oneDNN operators reads a value twice")
        results = function(False, *inputs)
    difference = max(map(largest_difference, results, truths), default=0.0)
    if not difference <= tolerance:
        raise Unscripted(f"oneDNN's graph differs by {difference:.1e} from its operators")
    kinds = [node.kind() for plan in plans for node in plan.graph.nodes()]
    others = sum(kind.startswith("aten::") and kind not in _VIEWS for kind in kinds)
    return Script(partial(function, False), len(groups), others)


def _plans(function: Any, inputs: Sequence[Tensor]) -> list[Any]:
    """Return the graphs that the executor compiled, before one of them runs."""
    with suppress(torch.jit.Error):
        function(True, *inputs)
    return list(function.get_debug_state().execution_plans.values())


def _groups(block: Any) -> Iterator[Any]:
    """Find the compiled groups of a graph, in the blocks inside it too."""
    for node in block.nodes():
        if "oneDNNFusionGroup" in node.kind():
            yield node.g("Subgraph")
        for inner in node.blocks():
            yield from _groups(inner)


def _reads_twice(group: Any) -> bool:
    """Whether one of several inputs is read twice.

    PyTorch then counts the inputs wrongly where it reuses one for the result: it reads past
    their end, and the process dies (`LlgaKernel::prepareRunArgs`, seen in 2.13).
    """
    inputs = list(group.inputs())
    return len(inputs) > 1 and any(len(value.uses()) > 1 for value in inputs)


class _Sizes(fx.Interpreter):
    """Runs a plan on meta tensors and notes the shape of every value, and every number."""

    def __init__(self, code: fx.GraphModule) -> None:
        super().__init__(code)
        self.shapes: dict[str, tuple[int, ...]] = {}
        self.numbers: dict[str, int] = {}

    def run_node(self, n: fx.Node) -> Any:
        result = super().run_node(n)
        if isinstance(result, Tensor):
            self.shapes[n.name] = tuple(result.shape)
        elif isinstance(result, int):
            self.numbers[n.name] = result
        return result

    def fetch_attr(self, target: str) -> Any:
        return super().fetch_attr(target).to("meta")

    def call_module(self, target: Any, args: Any, kwargs: Any) -> Any:
        layer = self.submodules[target]
        assert isinstance(layer, (Convolution, Linear))  # noqa: S101 - what plans hold
        kernel = replace(layer.kernel, weight=layer.kernel.weight.to("meta"), bias=None)
        return apply(kernel, args[0])


@contextmanager
def _onednn_fusion() -> Iterator[None]:
    before = torch._C._jit_llga_enabled()
    torch._C._jit_set_llga_enabled(True)
    try:
        yield
    finally:
        torch._C._jit_set_llga_enabled(before)
