"""A shortcut is constructed and never called.

## What it does
Reports layers with parameters that never run, in evaluation or training, inside a block that
does run, where they could be the block's shortcut: they take the block's channels and give the
channels of its result (or the channels of both arms of its sum, and give the sum's), or are named
a shortcut. It is a warning where nothing but the neighbours tell: the other layers of the list
run, or the layer of that name in an equal block does, or the joins beside a list of pointwise
layers take arms of their channels as they are. A gate that was built for the branch and never runs
(squeeze-and-excitation) is a warning too.

## Why is this bad
Either the shortcut was forgotten in `forward`, and the block has none, or it was built although
nothing has to be projected: its parameters are saved, counted and handed to the optimizer, and
distributed training stops with "parameters that were not used in producing loss".

## Example

    self.shortcut = nn.Conv2d(a, b, 1)
    ...
    return F.relu(self.body(x))

## Use instead

    return F.relu(self.body(x) + self.shortcut(x))

or build the projection only where the channels or the size change.

## References
Project-MONAI/MONAI#4314; YishuLiu/TransAttUnet#3; simonpf/quantnn pull request 2;
JDAI-CV/fast-reid#375 (a gate); PyTorch documentation, *DistributedDataParallel*,
`find_unused_parameters`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from torchskip.lint.evidence import Evidence
from torchskip.lint.finding import Finding, Mend, Severity
from torchskip.lint.flow import Flow
from torchskip.lint.gates import idle_gates
from torchskip.lint.idle import called_modules, holding, read_names, running, weights_of
from torchskip.lint.ops import ADDS, CONCATS, name
from torchskip.lint.rule import Rule
from torchskip.lint.spare import BYPASSES, NAMED, keep_arms, named_for_sums, pointwise
from torchskip.lint.twins import stand_ins
from torchskip.lint.words import listed, plural, shape

RULE = Rule("TS108", "unused-shortcut", "error", __doc__)
_SCALE = re.compile(r"((layer|res|skip|branch)_?)?(scale|gamma|alpha|gain)(_?\d)?", re.I)
_HEADS = re.compile(r"head|aux|class|pred|logit", re.I)
_ENDS = re.compile(r"(^|_)(out|last|final)", re.I)  # `proj_out`, `to_out`


def check(evidence: Evidence) -> Iterator[Finding]:
    """Blocks that run without the shortcut that was built for them."""
    graph = evidence.eval.graph
    if graph.failure is not None:
        return
    gates = {path: (block, width) for path, block, width in idle_gates(evidence)}
    yield from _ungated(evidence, gates)
    named, replaced = set(gates), stand_ins(evidence).keys()
    for block, unused in _unused(evidence).items():
        paths = [p for p in unused if p not in gates.keys() | replaced]
        fuses = [p for p in paths if _could_fuse(evidence, block, p)]
        fits = [p for p in paths if p in fuses or _could_bridge(evidence, block, p)]
        if not fits:
            continue
        # Normalisations that would follow the projection belong to it.
        group = [p for p in paths if p in fits or _is_norm(evidence, p)]
        named.update(group)
        module = evidence.modules[block]
        names = [p.removeprefix(block + ".") if block else p for p in group]
        weights = sum(
            1 for p in graph.parameters if any(p.name.startswith(path + ".") for path in group)
        )
        effect, mend, severity = _advice(evidence, block, names, fits == fuses)
        yield RULE.at(
            None,
            f"{listed(map(repr, names))} of {module.type} never run{'s' * (len(names) == 1)}: "
            f"{effect}, and "
            f"{plural(weights, 'tensor')} of parameters and statistics "
            f"{'is' if weights == 1 else 'are'} never trained",
            severity=severity,
            module=block,
            source=module.source,
            mends=(Mend(mend),),
        )
    if evidence.train.graph.failure is None:
        yield from _gaps(evidence, named)
        yield from _lists(evidence, named)
        yield from _scales(evidence)


def _ungated(evidence: Evidence, gates: dict[str, tuple[str, int]]) -> Iterator[Finding]:
    """Gates that never run."""
    for path, (block, width) in gates.items():
        kind, module = evidence.modules[path].type, evidence.modules[block]
        yield RULE.at(
            None,
            f"{path!r} ({kind}) never runs: {module.type} makes maps of its {width} channels, and "
            "nothing scales them",
            severity="warning",
            module=block,
            source=module.source,
            mends=(Mend("call it on the branch, before the addition, or do not build it"),),
        )


def _advice(
    evidence: Evidence, block: str, names: list[str], fused: bool
) -> tuple[str, str, Severity | None]:
    """What a block does without these layers, what to do, and how bad it is where that is known."""
    nodes = evidence.eval.graph.nodes
    if fused:
        return "the arms are added", "call it on their concatenation, or do not build it", None
    if any(n.module == block and name(n) in ADDS | CONCATS for n in nodes):
        if all(_ENDS.search(n) and not BYPASSES.search(n) for n in names):
            mend = "call it on the branch before the addition, or do not build it"
            return "the branch is added without it", mend, None
        mend = "call it on the input, or build it only where channels or size change"
        return "its shortcut is the identity", mend, None
    runs, kind = running(evidence), evidence.modules[block].type
    for path, module in evidence.modules.items():
        if module.type == kind and path != block and all(f"{path}.{n}" in runs for n in names):
            mend = "call it here too and add its result, or do not build it here"
            return f"it has no shortcut as {path!r} has", mend, "warning"
    return "it has no shortcut", "call it in forward and add its result", None


def _gaps(evidence: Evidence, named: set[str]) -> Iterator[Finding]:
    """Layers left out although their neighbours in a list, or their twins in equal blocks, run."""
    modules, called = evidence.modules, called_modules(evidence)
    runs = running(evidence)
    idle = holding(evidence).keys() - runs
    instead = stand_ins(evidence)
    for path in sorted(idle):
        parent, _, word = path.rpartition(".")
        if path in named or parent in idle or not {path, parent} <= modules.keys():
            continue
        if not parent and path not in instead:  # heads of a model that this pass leaves out
            continue
        module, above = modules[path], modules[parent]
        if above.type == "ModuleList":
            beside = [p for p in modules if p.rpartition(".")[0] == parent]
            lacking = [p for p in beside if p in idle]
            ends = (beside[: len(lacking)], beside[-len(lacking) :])
            if len(lacking) * 2 > len(beside) or lacking not in ends:
                continue
            why = f"{len(beside) - len(lacking)} of the {len(beside)} layers of {parent!r} run"
        else:
            twins = [
                p
                for p in runs & modules.keys()
                if modules[p].type == above.type and p != parent and f"{p}.{word}" in runs
            ]
            again = instead.get(path)
            if above.type == "Sequential" or parent not in called or not (twins or again):
                continue
            why = (
                f"the {word!r} of {min(twins)!r} does" if twins else f"{again!r} runs in its place"
            )
        yield RULE.at(
            None,
            f"{path!r} ({module.type}) never runs, and {why}: its weights are saved, counted and "
            "never trained",
            severity="warning",
            module=path,
            source=module.source,
            mends=(Mend("call it where its neighbours are called, or do not build it"),),
        )


def _lists(evidence: Evidence, named: set[str]) -> Iterator[Finding]:
    """Lists of pointwise layers that fit the arms of a forward's joins, none of which runs."""
    modules, called, runs = evidence.modules, called_modules(evidence), running(evidence)
    for path in holding(evidence):
        block = path.rpartition(".")[0]
        kind = modules[path].type if path in modules else ""
        if path in runs | named or block not in called or kind != "ModuleList":
            continue
        weights = weights_of(evidence, path)
        if not weights or not all(map(pointwise, weights)):
            continue
        if named_for_sums(evidence, path, weights):
            why = f"the sums of {modules[block].type} add their shortcuts as they are"
        elif not _HEADS.search(path) and keep_arms(evidence, block, weights):
            why = f"{modules[block].type} joins arms of their channels as they are"
        else:
            continue
        yield RULE.at(
            None,
            f"none of the {plural(len(weights), 'layer')} of {path!r} runs: {why}",
            severity="warning",
            module=path,
            source=modules[block].source,
            mends=(Mend("call them where they belong, or do not build them"),),
        )


def _scales(evidence: Evidence) -> Iterator[Finding]:
    """Scales of a branch that a block declares and never multiplies by."""
    called, read = called_modules(evidence), read_names(evidence)
    joined = {n.module for n in evidence.eval.graph.nodes if name(n) in ADDS}
    for parameter in evidence.eval.graph.parameters:
        block, _, word = parameter.name.rpartition(".")
        if parameter.buffer or parameter.name in read or not _SCALE.fullmatch(word):
            continue
        if block in called & joined:
            yield RULE.at(
                None,
                f"{parameter.name!r} {shape(parameter.shape)} is never read: the branch of "
                f"{evidence.modules[block].type} is not scaled",
                severity="warning",
                module=block,
                source=evidence.modules[block].source,
                mends=(Mend(f"multiply the branch by {word}, or do not build it"),),
            )


def _unused(evidence: Evidence) -> dict[str, list[str]]:
    """Topmost modules with parameters that no pass calls, by the module that should."""
    called, runs = called_modules(evidence), running(evidence)
    found: dict[str, list[str]] = {}
    for path in holding(evidence):
        parent = path.rpartition(".")[0]
        if path not in runs and parent in called and path in evidence.modules:
            found.setdefault(parent, []).append(path)
    return found


def _could_bridge(evidence: Evidence, block: str, path: str) -> bool:
    """Whether the unused layer maps the block's input channels to its output channels."""
    weights = weights_of(evidence, path)
    ends = _ends(evidence.eval.flow, block)
    if not weights or ends is None:
        return False
    first, last = weights[0], weights[-1]
    axis = 1 if len(first) > 2 else -1  # a linear layer maps the last axis
    grouped = len(first) > 2 and first[1] == 1
    bridges = (first[1] == ends[0][axis] or grouped) and last[0] == ends[1][axis]
    word = path.rpartition(".")[2]
    return bridges and (bool(NAMED.search(word)) or pointwise(first))


def _could_fuse(evidence: Evidence, block: str, path: str) -> bool:
    """Whether the unused layer takes the channels of both arms of a sum in the block to the sum's.

    It was built for their concatenation.
    """
    weights, flow = weights_of(evidence, path), evidence.eval.flow
    if not weights or not pointwise(weights[0]):
        return False
    sums = [
        node
        for node in flow.graph.nodes
        if node.module == block and name(node) in ADDS and len(node.inputs) == 2 and node.outputs
    ]
    return any(
        weights[0][1] == sum(flow.value(v).shape[1] for v in node.inputs)
        and weights[-1][0] == flow.value(node.outputs[0]).shape[1]
        for node in sums
    )


def _is_norm(evidence: Evidence, path: str) -> bool:
    shapes = [
        p.shape
        for p in evidence.eval.graph.parameters
        if p.name.startswith(path + ".") and not p.buffer
    ]
    return bool(shapes) and all(len(shape) == 1 for shape in shapes)


def _ends(flow: Flow, block: str) -> tuple[tuple[int, ...], tuple[int, ...]] | None:
    """Shapes of the first value that comes into the block and of the last that leaves it."""
    inside = [
        n
        for n in flow.graph.nodes
        if n.module == block or n.module.startswith(block + ".") or not block
    ]
    if not inside:
        return None
    made = {v for n in inside for v in n.outputs}
    entering = [v for n in inside for v in n.inputs if v not in made]
    leaving = [
        v
        for n in inside
        for v in n.outputs
        if v in flow.graph.outputs
        or any(r not in {m.index for m in inside} for r in flow.readers[v])
    ]
    if not entering or not leaving:
        return None
    first, last = flow.value(entering[0]).shape, flow.value(leaving[-1]).shape
    return (first, last) if len(first) > 1 and len(last) > 1 else None
