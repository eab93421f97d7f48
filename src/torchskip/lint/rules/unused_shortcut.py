"""A shortcut is constructed and never called.

## What it does
Reports layers with parameters that never run, in evaluation or training, inside a block that
does run, where they could be the block's shortcut: they take the block's channels and give the
channels of its result (or the channels of both arms of its sum, and give the sum's), or are named
a shortcut. It is a warning where nothing but the neighbours tell: the other layers of the list
run, or the layer of that name in an equal block does, or the joins beside a list of pointwise
layers take arms of their channels as they are; and where the weights are the block's own
parameters. A block whose layers are called from outside, without its forward, counts too. A gate
that was built for the branch and never runs (squeeze-and-excitation) is a warning.

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

from torchskip.lint.byhand import by_hand, left_out
from torchskip.lint.evidence import Evidence
from torchskip.lint.finding import Finding, Mend
from torchskip.lint.gates import idle_gates
from torchskip.lint.idle import called_modules, holding, running, weights_of
from torchskip.lint.ops import ADDS, name
from torchskip.lint.regions import region_of
from torchskip.lint.rule import Rule
from torchskip.lint.spare import keep_arms, named_for_sums, pointwise
from torchskip.lint.twins import stand_ins
from torchskip.lint.unread import unread_scales, unread_weights
from torchskip.lint.vocabulary import may_project, promises
from torchskip.lint.without import without
from torchskip.lint.words import listed, plural, shape

RULE = Rule("TS108", "unused-shortcut", "error", __doc__)
_HEADS = re.compile(r"head|aux|class|pred|logit", re.I)


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
        effect, mend, severity = without(evidence, block, names, fits == fuses)
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
        yield from _by_hand(evidence)
        yield from _gaps(evidence, named)
        yield from _lists(evidence, named)
        yield from _scales(evidence)
        yield from _weights(evidence)


def _ungated(evidence: Evidence, gates: dict[str, tuple[str, int]]) -> Iterator[Finding]:
    """Gates that never run."""
    for path, (block, width) in gates.items():
        kind, module = evidence.modules[path].type, evidence.modules[block]
        yield RULE.at(
            None,
            f"{path!r} ({kind}) never runs: {module.type} makes maps"
            + (f" of its {width} channels" if width else "")
            + ", and nothing scales them",
            severity="warning",
            module=block,
            source=module.source,
            mends=(Mend("call it on the branch, before the addition, or do not build it"),),
        )


def _by_hand(evidence: Evidence) -> Iterator[Finding]:
    """Shortcuts of blocks whose layers are called from outside, without the block's forward."""
    for block in by_hand(evidence):
        for path in left_out(evidence, block):
            kind = evidence.modules[block.path].type
            yield RULE.at(
                block.nodes[0],
                f"{path.rpartition('.')[2]!r} of {kind} {block.path!r} never runs: the block's "
                "layers are called one by one, without its forward and without its shortcut",
                module=block.path,
                mends=(Mend(f"call the block itself, or add {path!r} of its input to the result"),),
            )


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
    for parameter, block in unread_scales(evidence):
        word = parameter.name.rpartition(".")[2]
        yield RULE.at(
            None,
            f"{parameter.name!r} {shape(parameter.shape)} is never read: the branch of "
            f"{evidence.modules[block].type} is not scaled",
            severity="warning",
            module=block,
            source=evidence.modules[block].source,
            mends=(Mend(f"multiply the branch by {word}, or do not build it"),),
        )


def _weights(evidence: Evidence) -> Iterator[Finding]:
    """Weights of a shortcut that a block keeps itself, none of which is ever read."""
    for block, words in unread_weights(evidence).items():
        module = evidence.modules[block]
        flags = [k for k, v in module.attributes if v is True and promises(k)]
        though = f", though {flags[0]} is True" if flags else ""
        yield RULE.at(
            None,
            f"{listed(map(repr, words))} of {module.type} {'is' if len(words) == 1 else 'are'} "
            f"never read{though}: no shortcut is made with them",
            severity="warning",
            module=block,
            source=module.source,
            mends=(Mend("join the shortcut that they make, or do not build them"),),
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
    region = region_of(evidence.eval, block)
    if not weights or region is None:
        return False
    entry, end = (evidence.eval.flow.value(v).shape for v in (region.entry, region.exit))
    first, last = weights[0], weights[-1]
    if len(entry) < 2 or len(end) < 2:
        return False
    axis = 1 if len(first) > 2 else -1  # a linear layer maps the last axis
    grouped = len(first) > 2 and first[1] == 1
    bridges = (first[1] == entry[axis] or grouped) and last[0] == end[axis]
    word = path.rpartition(".")[2]
    return bridges and (may_project(word) or pointwise(first))


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
