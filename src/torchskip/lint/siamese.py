"""One module on several inputs side by side: a Siamese network."""

from __future__ import annotations

from itertools import combinations

from torchskip.graph import Node
from torchskip.lint.evidence import Pass
from torchskip.lint.flow import Flow
from torchskip.lint.ops import is_layer
from torchskip.lint.regions import below
from torchskip.lint.repeats import form

__all__ = ["another_input", "side_by_side"]


def side_by_side(run: Pass, path: str) -> bool:
    """Whether every call of a module reads another value, and no layer stands behind two of them.

    Two images, or the halves of one input, run through one encoder.
    """
    flow = run.flow
    layers = [n for n in run.graph.nodes if is_layer(n) and n.inputs]
    own = [n for n in layers if below(n.module, path)]
    entries = {n.call: form(flow, n.inputs[0]) for n in reversed(own) if n.module == own[0].module}
    if len(entries) < 2 or any(flow.ancestors[v] & _made(own) for v in entries.values()):
        return False
    made = _made(layers)
    return all(
        a != b and not flow.ancestors[a] & flow.ancestors[b] & made
        for a, b in combinations(entries.values(), 2)
    )


def _made(nodes: list[Node]) -> int:
    """Bit mask of the values that these operations made."""
    return sum(1 << value for node in nodes for value in node.outputs)


def another_input(flow: Flow, before: int, after: int) -> bool:
    """Whether a value was computed from an input of the model that another one does not know."""
    return any(flow.depends(after, v) and not flow.depends(before, v) for v in flow.graph.inputs)
