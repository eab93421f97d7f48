"""Random masks of a pass: what they multiply, along which axes, and where their result goes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from math import prod

from torchskip.graph import Constant, Module, Node, Source
from torchskip.lint.evidence import Pass
from torchskip.lint.flow import Flow
from torchskip.lint.joins import Join, joins
from torchskip.lint.ops import ADDS, FORMS, PRODUCTS, is_layer, is_norm, name

__all__ = [
    "DROP_PATH",
    "Drop",
    "after_sum",
    "around",
    "bypassed",
    "carried",
    "chance",
    "drops",
    "factor",
    "factor_of",
    "in_scope",
    "is_branch",
    "is_dropout",
    "is_shortcut",
    "met",
    "misshapen",
    "on_sums",
    "undropped",
]

DROP_PATH = re.compile(r"drop_?path|stochastic_?depth|drop_?connect", re.I)


@dataclass(frozen=True, slots=True)
class Drop:
    """A value times a nameless tensor: made in the forward, no parameter and no buffer.

    `start` is what is masked and `end` what becomes of it, without rescaling and changes of form.
    """

    node: Node
    mask: Constant
    start: int
    end: int

    @property
    def axes(self) -> tuple[int, ...]:
        """Axes along which the mask has numbers of its own."""
        return tuple(axis for axis, size in enumerate(self.mask.shape) if size > 1)

    @property
    def place(self) -> tuple[str, Source | None]:
        """Module and line."""
        return self.node.module, self.node.source


def chance(module: Module) -> float | None:
    """The probability that a module holds, of dropping or of keeping."""
    numbers = [value for _, value in module.attributes if isinstance(value, float)]
    return next((value for value in numbers if 0 < value < 1), None)


def drops(run: Pass) -> Iterator[Drop]:
    """Every product with one nameless tensor of the value's rank, or one number, in order."""
    for node in run.graph.nodes:
        if name(node) not in PRODUCTS or len(node.inputs) != 1 or not node.outputs:
            continue
        rank = len(run.flow.value(node.inputs[0]).shape)
        if len(node.constants) == 1 and not node.constants[0].names and rank > 1:
            mask = node.constants[0]
            if len(mask.shape) == rank or prod(mask.shape) == 1:
                yield Drop(node, mask, _start(run.flow, node), _end(run.flow, node))


def misshapen(run: Pass) -> Iterator[tuple[Node, Constant]]:
    """Products of a stochastic depth whose mask has more or fewer axes than what it masks.

    A mask of more axes makes the result one of all samples under all masks, and one of fewer
    stands on other axes than the samples': it fails, unless the sizes agree by chance.
    """
    failure = run.graph.failure
    for node in run.graph.nodes:
        failed = failure is not None and node.index == failure.node
        if name(node) not in PRODUCTS or len(node.inputs) != 1 or not in_scope(node):
            continue
        rank = len(run.flow.value(node.inputs[0]).shape)
        for mask in node.constants:
            fewer = failed and 0 < len(mask.shape) < rank
            if not mask.names and prod(mask.shape) > 1 and (len(mask.shape) > rank > 0 or fewer):
                yield node, mask


def _passes_on(node: Node) -> bool:
    """Whether an operation hands a value on in another form or size."""
    return name(node) in FORMS or (name(node) in PRODUCTS and not node.constants)


def _end(flow: Flow, node: Node) -> int:
    value = node.outputs[0]
    while True:
        readers = list(flow.reads(value))
        if len(readers) != 1 or not readers[0].outputs or len(readers[0].inputs) != 1:
            return value
        if not _passes_on(readers[0]):
            return value
        value = readers[0].outputs[0]


def _start(flow: Flow, node: Node) -> int:
    value = node.inputs[0]
    while (maker := flow.producer(value)) and len(maker.inputs) == 1 and _passes_on(maker):
        value = maker.inputs[0]
    return value


def met(meets: tuple[Join, ...], drop: Drop) -> Join | None:
    """The sum that the dropped value is an arm of."""
    return next((join for join in meets if drop.end in join.values), None)


def around(flow: Flow, meets: tuple[Join, ...], drop: Drop) -> Join | None:
    """The sum of whose arms one holds the mask and another goes around it."""
    end = drop.node.outputs[0]
    for join in meets:
        holding = [v for v in join.values if flow.depends(v, end)]
        if len(holding) == 1 and flow.depends(end, join.split) and join.split != end:
            return join
    return None


def is_dropout(node: Node) -> bool:
    """Whether a product is a dropout that does not know the model's mode.

    That is `F.dropout`, which drops unless it is told not to, and a module made in the forward.
    """
    known = "Dropout" in node.module_type and not node.module.endswith(")")
    text = node.source.text.lower() if node.source else ""
    return name(node) == "mul" and "dropout" in text and not known


def is_shortcut(flow: Flow, join: Join, drop: Drop) -> bool:
    """Whether the dropped value is the identity of a sum whose other arm holds the layers."""
    if any(is_layer(n) or is_norm(n) for n in flow.nodes_between(join.split, drop.end)):
        return False
    return any(
        any(is_layer(n) for n in flow.nodes_between(join.split, v))
        for v in join.values
        if v != drop.end
    )


def bypassed(flow: Flow, drop: Drop) -> bool:
    """Whether anything that comes in goes around the mask to an output."""
    reached = set(flow.graph.inputs)
    for node in flow.graph.nodes:
        if node.index != drop.node.index and reached.intersection(node.inputs):
            reached.update(node.outputs)
    return not reached.isdisjoint(flow.graph.outputs)


def carried(run: Pass, drop: Drop) -> bool:
    """Whether a skip connection, other than those of the whole network, goes around the mask."""
    return any(
        drop.node.index in {n.index for n in run.flow.nodes_between(skip.split, arm.values[-1])}
        for skip in run.skips
        if skip.live and skip.kind != "long"
        for arm in skip.arms
    )


def factor(flow: Flow, value: int) -> float | None:
    """By what plain numbers an arm is multiplied behind its last operation of another kind.

    None where a tensor other than a nameless mask takes part.
    """
    whole = 1.0
    while (maker := flow.producer(value)) and len(maker.inputs) == 1:
        if name(maker) in PRODUCTS:
            number = maker.argument("other", 1.0)
            if any(c.names or not c.shape for c in maker.constants):
                return None
            if isinstance(number, (int, float)) and number:
                whole = whole / number if name(maker) == "div" else whole * number
        elif name(maker) not in FORMS:
            break
        value = maker.inputs[0]
    return whole


def factor_of(run: Pass, join: Join, place: int) -> float | None:
    """The plain factor of the same arm of the same sum in another pass."""
    key = (join.node.module, join.node.source, join.node.call)
    for other in joins(run, ADDS):
        same = (other.node.module, other.node.source, other.node.call) == key
        if same and len(other.values) == len(join.values):
            return factor(run.flow, other.values[place])
    return None


def in_scope(node: Node) -> bool:
    """Whether the module or function that runs the operation is called a stochastic depth."""
    words = (node.module.rpartition(".")[2], node.module_type)
    function = node.source.function.rpartition(".")[2] if node.source else ""
    return any(DROP_PATH.search(word) for word in (*words, function))


def undropped(flow: Flow, join: Join, drop: Drop, found: list[Drop]) -> bool:
    """Whether an arm with layers beside the dropped one holds no mask."""
    masks = {other.node.index for other in found}
    arms = [flow.nodes_between(join.split, v) for v in join.values if v != drop.end]
    return any(
        any(is_layer(n) for n in arm) and masks.isdisjoint(n.index for n in arm) for arm in arms
    )


def after_sum(flow: Flow, drop: Drop) -> bool:
    """Whether what is masked is the sum of a shortcut and a branch."""
    maker = flow.producer(drop.start)
    if maker is None or name(maker) not in ADDS or len(set(maker.inputs)) != 2:
        return False
    a, b = maker.inputs
    for long, short in ((a, b), (b, a)):
        if flow.depends(long, short) and any(is_layer(n) for n in flow.nodes_between(short, long)):
            return True
    return False


def on_sums(run: Pass, meets: tuple[Join, ...], found: list[Drop]) -> Iterator[Drop]:
    """Dropouts of a whole sum, in blocks of a class whose other dropouts stand on a branch."""
    flow = run.flow
    single = [d for d in found if len(d.axes) > 1 and not in_scope(d.node)]
    sums = [(join, d) for d in single if (join := met(meets, d)) is not None]
    kinds = {join.node.module_type for join, d in sums if not is_shortcut(flow, join, d)}
    for drop in single:
        maker = flow.producer(drop.start)
        whole = maker is not None and maker.module_type in kinds and after_sum(flow, drop)
        if whole and not is_branch(flow, meets, drop.end) and not carried(run, drop):
            yield drop


def is_branch(flow: Flow, meets: tuple[Join, ...], end: int) -> bool:
    """Whether the masked value is itself the branch of an outer sum."""
    for join in meets:
        if end in join.values and any(
            flow.depends(end, v) or _lighter(flow, join, v, end) for v in join.values if v != end
        ):
            return True
    return False


def _lighter(flow: Flow, join: Join, value: int, other: int) -> bool:
    def count(v: int) -> int:
        return sum(is_layer(n) for n in flow.nodes_between(join.split, v))

    return count(value) < count(other)
