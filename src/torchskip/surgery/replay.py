"""A way through a graph as a module without data, so that its geometry can be probed."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from torchskip.errors import GeometryError
from torchskip.graph import Graph, Node

__all__ = ["Replay"]


class Replay(nn.Module):
    """Runs the operations of `nodes` one after the other, constants as meta parameters.

    Raises:
        GeometryError: an operation cannot be run from its record.

    """

    def __init__(self, graph: Graph, nodes: list[int]) -> None:
        super().__init__()
        self._steps: list[tuple[Any, str, dict[str, Any], dict[str, str]]] = []
        for n in nodes:
            self._steps.append(self._step(graph.nodes[n]))

    def _step(self, node: Node) -> tuple[Any, str, dict[str, Any], dict[str, str]]:
        parts = node.op.split(".")
        if len(parts) != 3 or parts[0] != "aten" or len(node.places) != 1:
            raise GeometryError(f"{node.op} in '{node.module}' cannot be probed by itself")
        op: Any = getattr(getattr(torch.ops.aten, parts[1]), parts[2])
        held = {}
        for constant in node.constants:
            name = f"c{len(list(self.parameters()))}"
            dtype = getattr(torch, constant.dtype)
            tensor = torch.empty(constant.shape, dtype=dtype, device="meta")
            self.register_parameter(name, nn.Parameter(tensor, requires_grad=False))
            held[constant.argument] = name
        given = {k: v for k, v in node.arguments if k not in held and k != node.places[0]}
        return op, node.places[0], given, held

    def forward(self, x: Tensor) -> Tensor:
        """Run the way on `x`."""
        for op, place, given, held in self._steps:
            constants = {argument: self._parameters[name] for argument, name in held.items()}
            result = op(**{place: x}, **given, **constants)
            x = result[0] if isinstance(result, tuple | list) else result
        return x
