"""The arms of a join have different dtypes, and the join changes the stream's.

## What it does
Compares the floating dtypes of the arms of every sum and concatenation, as the model is and in
bfloat16, and reports joins that promote the shortcut. A stream that is kept in float32 is meant
(Mamba casts the shortcut itself), unless a layer of the model's own dtype reads it as it is.

## Why is this bad
PyTorch promotes silently: after `float32 + float64` the rest of the network computes in float64,
at half the speed or less, or the next layer fails with "mat1 and mat2 must have the same dtype".
A branch that makes a float32 tensor of its own does the same to a model in half precision.

## Example

    h = self.conv(x).double().softmax(1)
    return x + h

## Use instead

    return x + h.to(x.dtype)

Places and masks that a model puts beside its scores at the end are no stream.

## References
PyTorch documentation, *Tensor Attributes: type promotion*.
"""

from __future__ import annotations

from collections.abc import Iterator

from torchskip.graph import Node
from torchskip.lint.evidence import Evidence, Pass
from torchskip.lint.finding import Finding, Mend, Severity
from torchskip.lint.joins import Join, joins, way
from torchskip.lint.ops import ACTIVATIONS, ADDS, CONCATS, PRODUCTS, is_layer, name
from torchskip.lint.rule import Rule
from torchskip.lint.words import called, listed

RULE = Rule("TS110", "join-changes-dtype", "error", __doc__)
_CAST = Mend("cast the branch back before the join: `branch.to(x.dtype)`")
_CAST_WIDER = Mend("cast the wider arm back before the join: `residual.to(x.dtype)`")
_OWN_DTYPE = Mend(
    "make that tensor in the stream's dtype (`dtype=x.dtype`), or a parameter or buffer of it"
)
_FLOATS = frozenset({"float16", "bfloat16", "float32", "float64"})


def check(evidence: Evidence) -> Iterator[Finding]:
    """Joins of two floating dtypes, in the model's own precision and in half."""
    own = list(_mixed(evidence.eval, "", "error"))
    yield from own
    if not own and evidence.makes_floats:
        yield from _mixed(evidence.half, " when the model runs in bfloat16", "warning")


def _mixed(run: Pass, when: str, severity: Severity) -> Iterator[Finding]:
    flow = run.flow
    for join in joins(run, ADDS, CONCATS):
        types = {flow.value(v).dtype for v in join.values} & _FLOATS
        if len(types) < 2 or not join.node.outputs:
            continue
        result = join.node.outputs[0]
        kept = flow.value(join.split).dtype == flow.value(result).dtype
        refuses = _refuses(run, result)
        if (kept and refuses is None) or any(not flow.value(v).shape for v in join.values):
            continue
        # A residual stream may be kept in float32 on purpose, and never in float64.
        if _cast_back(run, result) and not (severity == "error" and _goes_on(run, result)):
            continue
        if refuses is None and severity == "warning" and _widened(run, join):
            continue
        branch = (n for v in join.values for n in flow.nodes_between(join.split, v))
        if refuses is None and not any(map(_works, branch)):
            continue
        if _places(run, join) and not any(map(is_layer, _behind(run, result))):
            continue
        arms = [flow.value(v).dtype for v in join.values]
        maker = _promoted(run, join)
        yield RULE.at(
            join.node,
            f"the arms are {listed(arms)}: the join makes the stream "
            f"{flow.value(result).dtype}{when}"
            + (f"; {called(maker)} meets a tensor of that dtype" if maker else "")
            + (f"; {called(refuses)} has narrower weights and fails on it" if refuses else ""),
            severity=severity,
            arms=tuple(way(flow, f"arm {i + 1}", join.split, v) for i, v in enumerate(join.values)),
            mends=(_OWN_DTYPE if maker else _CAST_WIDER if kept else _CAST,),
        )


def _refuses(run: Pass, value: int) -> Node | None:
    """The first layer that reads the value, as it is, with weights of another dtype: it fails."""
    flow = run.flow
    wide = flow.value(value).dtype
    todo = [value]
    for here in todo:
        for node in flow.reads(here):
            weights = {c.dtype for c in node.constants if c.names and len(c.shape) > 1} & _FLOATS
            if is_layer(node):
                if weights - {wide}:
                    return node
            elif name(node) != "_to_copy":
                made = (v for v in node.outputs if flow.value(v).dtype == wide)
                todo += [v for v in made if v not in todo]
    return None


def _promoted(run: Pass, join: Join) -> Node | None:
    """The operation on the wider arm that a tensor of the forward's own made wider."""
    flow = run.flow
    wide = flow.value(join.node.outputs[0]).dtype
    for value in join.values:
        if flow.value(value).dtype != wide:
            continue
        for node, made in flow.longest(join.split, value):
            if flow.value(made).dtype != wide:
                continue
            narrow = any(flow.value(v).dtype != wide for v in node.inputs)
            given = any(wide in c.dtype and c.shape and not c.names for c in node.constants)
            return node if narrow and given else None
    return None


def _places(run: Pass, join: Join) -> bool:
    """Whether an arm holds places or a mask: its numbers came through whole numbers or truths."""
    flow = run.flow

    def signals(value: int) -> bool:
        todo, seen = [value], {value}
        while todo:
            if (here := todo.pop()) == join.split:
                return True
            maker = flow.producer(here)
            new = {v for v in maker.inputs if flow.value(v).dtype in _FLOATS} if maker else set()
            todo += new - seen
            seen |= new
        return False

    return not all(map(signals, join.values))


def _behind(run: Pass, value: int) -> Iterator[Node]:
    """Operations that read what comes of a value."""
    after = run.flow.downstream(value)
    return (n for n in run.graph.nodes if not after.isdisjoint(n.inputs))


def _goes_on(run: Pass, value: int) -> bool:
    """Whether the sum is the shortcut of a further block, without a cast."""
    flow = run.flow
    return (
        any(
            s.split == value and s.kind == "identity" and s.live and s.merge == "add"
            for s in run.skips
        )
        and flow.value(value).dtype == "float64"
    )


def _widened(run: Pass, join: Join) -> bool:
    """Whether the shortcut is cast to the sum's float32, and nothing else is done to it: Mamba."""
    flow = run.flow
    result = flow.value(join.node.outputs[0]).dtype
    ways = [flow.nodes_between(join.split, v) for v in join.values]
    return result == "float32" and any(
        way and all(name(node) == "_to_copy" for node in way) for way in ways
    )


def _works(node: Node) -> bool:
    """Whether an arm with this operation is a branch: a layer, an activation, a product."""
    return is_layer(node) or name(node) in ACTIVATIONS | PRODUCTS


def _cast_back(run: Pass, value: int) -> bool:
    """Whether the sum is cast before any layer on every way: an island of precision."""
    flow = run.flow
    todo = [value]
    for here in todo:
        if here in flow.graph.outputs:
            return False
        for node in flow.reads(here):
            if is_layer(node):
                return False
            if name(node) != "_to_copy":
                todo += [v for v in node.outputs[:1] if v not in todo]
    return True
