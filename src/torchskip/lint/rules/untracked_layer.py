"""A layer or a scale is no part of the module tree, and is never trained.

## What it does
Reports layers that the module tree does not hold: made in forward, so that two evaluation passes
on one input differ, or kept in a plain list or dict with parameters that require a gradient.
Reports plain tensors (attributes, or in a list) that scale an arm of a sum, that are rectified or
made shares by a softmax and whose numbers then weigh in a sum, or that require a gradient and weigh
in a layer or, whole or row by row, in a sum.

## Why is this bad
The optimizer does not know their weights and `state_dict` does not hold them. `nn.Conv2d(...)`
inside `forward` moreover draws fresh random weights each time: the network's output is partly
noise, also in evaluation. A plain list is trained by nobody and stays behind in `model.to(device)`,
and so does a plain tensor; `nn.Parameter(...)` that is moved or multiplied at once is one.

## Example

    def forward(self, x):
        shortcut = nn.Conv2d(64, 128, 1).to(x.device)
        return self.body(x) + shortcut(x)

## Use instead

    def __init__(self):
        self.shortcut = nn.Conv2d(64, 128, 1)

and `nn.ModuleList` or `nn.ModuleDict` for several, `nn.Parameter` for a scale. Frozen layers
outside the tree are kept apart on purpose (a perceptual loss) and are not reported.

## References
lafith/Mobile-UNet#1; wangyida/softpool#11; Project-MONAI/MONAI pull request 8578;
LianpoWang/SLIIF#13; PyTorch documentation, *nn.ModuleList*.
"""

from __future__ import annotations

from collections.abc import Iterator

from torchskip.graph import Node
from torchskip.lint.evidence import Evidence, Pass
from torchskip.lint.facts import Loose
from torchskip.lint.finding import Finding, Mend
from torchskip.lint.ops import ADDS, PRODUCTS, is_layer, name
from torchskip.lint.outsiders import holder, listed_outside
from torchskip.lint.rule import Rule
from torchskip.lint.words import called, shape

RULE = Rule("TS207", "untracked-layer", "warning", __doc__)


def check(evidence: Evidence) -> Iterator[Finding]:
    """Layers and scales outside the module tree, new at every call or kept for training."""
    yield from _layers(evidence)
    if evidence.loose:
        yield from _tensors(evidence)


def _layers(evidence: Evidence) -> Iterator[Finding]:
    graph = evidence.eval.graph
    strange = [
        node
        for node in graph.nodes
        if is_layer(node)
        and node.module.rpartition(".")[2].startswith("(")
        and any(c.argument in {"weight", "mat2"} and not c.names for c in node.constants)
    ]
    if not strange:
        return
    numbers = evidence.numbers
    held = [node for node in strange if listed_outside(evidence, node)]
    # Two passes of what is kept may differ too: evaluation does not reach its dropout.
    made = numbers.unstable and not (numbers.kept_outside and not held)
    for node in strange if made else ():
        if node not in held:
            yield RULE.at(
                node,
                f"{called(node)} is made in forward: its weights are random at every call, and no "
                "optimizer trains them",
                mends=(Mend("make the layer in `__init__`"),),
            )
    kept = held if made else strange
    if kept and numbers.kept_outside:
        yield from _kept(evidence, kept)


def _kept(evidence: Evidence, strange: list[Node]) -> Iterator[Finding]:
    """One finding for each kind of module that a module keeps outside the tree."""
    firsts: dict[tuple[str, str], Node] = {}
    for node in strange:
        firsts.setdefault(holder(node), node)
    for (owner, kind), node in firsts.items():
        names = [s.name for s in evidence.strays if (s.owner, s.type) == (owner, kind)]
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        what = f"{names[0]!r} ({kind}){more}" if names else called(node)
        above = evidence.modules.get(owner)
        direct = node.module.endswith(f"({kind})")  # its line is one of the owner's
        yield RULE.at(
            node,
            f"{what} {'are' if more else 'is'} kept outside the module tree, in a plain list, dict "
            "or variable: `parameters()` and `state_dict` do not hold the weights, and no "
            "optimizer trains them",
            module=".".join(part for part in (owner, *names[:1]) if part) or None,
            source=node.source if direct or above is None else above.source,
            mends=(Mend("register it: `nn.ModuleList`, `nn.ModuleDict` or an attribute"),),
        )


def _tensors(evidence: Evidence) -> Iterator[Finding]:
    """Plain tensors that scale an arm, or that a layer uses although they should be trained."""
    arms = _arms(evidence)
    squashed = {(b.module, attribute) for b in evidence.bodies for attribute in b.squashed}
    for loose in evidence.loose:
        nodes = [n for n in evidence.eval.graph.nodes if n.module == loose.module]
        shares = (loose.module, loose.name.partition("[")[0]) in squashed
        # Of a tensor that is meant to be trained, the numbers of any sum are its scales.
        meant = loose.requires_grad or shares
        sums = arms | _summands(evidence.eval, nodes) if meant else arms
        scaled = [n for n in nodes if name(n) in PRODUCTS and n.index in sums]
        layers = [n for n in nodes if is_layer(n)] if loose.requires_grad else []
        node = _first(scaled, loose.shape) if loose.shape or meant else None
        node, what = node or _each(scaled, loose), "scales an arm of the sum"
        if node is None and shares:
            node = _first(scaled, loose.shape[1:]) or _first(scaled, ())
            what = "scales the arms of a sum with its squashed numbers"
        if node is None and (node := _first(layers, loose.shape)):
            what = f"is the weight of {called(node)}"
        if node is not None:
            yield RULE.at(
                node,
                f"{loose.name!r} {shape(loose.shape)} {what} and is a plain tensor, no "
                "parameter and no buffer: no optimizer trains it, `state_dict` does not hold "
                "it, `model.to(...)` leaves it behind",
                mends=(
                    Mend(f"make it a parameter: `self.{loose.name} = nn.Parameter(...)`")
                    if loose.name.isidentifier()
                    else Mend("keep the tensors in an `nn.ParameterList` or `ParameterDict`"),
                ),
            )


def _first(nodes: list[Node], sizes: tuple[int, ...]) -> Node | None:
    """The first operation with a nameless tensor of this shape."""
    return next((n for n in nodes if _thin(sizes) in _plain(n)), None)


def _each(nodes: list[Node], loose: Loose) -> Node | None:
    """The first of the operations that take the rows of a tensor to be trained, one each."""
    if not loose.shape or not loose.requires_grad:
        return None
    rows = [n for n in nodes if _thin(loose.shape[1:]) in _plain(n)]
    return rows[0] if len(rows) == loose.shape[0] else None


def _plain(node: Node) -> list[tuple[int, ...]]:
    """Shapes of the tensors that an operation takes and no parameter or buffer is behind."""
    return [_thin(c.shape) for c in node.constants if not c.names]


def _summands(run: Pass, nodes: list[Node]) -> set[int]:
    """The operations among these whose result is added to something."""
    return {
        n.index
        for n in nodes
        if any(name(r) in ADDS and len(r.inputs) > 1 for v in n.outputs for r in run.flow.reads(v))
    }


def _thin(sizes: tuple[int, ...]) -> tuple[int, ...]:
    """A shape without its axes of one: `scale[:, None, None]` is the scale."""
    return tuple(size for size in sizes if size != 1)


def _arms(evidence: Evidence) -> set[int]:
    """Operations between the split and the join of a sum."""
    run = evidence.eval
    return {
        node.index
        for skip in run.skips
        if skip.live and skip.merge == "add"
        for arm in skip.arms
        for node in run.flow.nodes_between(skip.split, arm.values[-1])
    }
