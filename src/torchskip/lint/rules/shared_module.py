"""One module with weights serves several places.

## What it does
Reports modules with parameters that are registered under several names (`[block] * n`), that are
called on their own output from different lines, twice on the same value, or twice while a twin of
the same kind and size (or a layer that keeps the same channels) beside them never runs, and
normalisations that serve both arms of one sum, or several places of a stream between layers that
run once each.

## Why is this bad
`nn.Sequential(*[block] * 8)` is one block applied eight times: an eighth of the parameters, and
normalisation statistics that are averaged over places where they differ. Networks that share
weights on purpose loop over one module, hand one of their own to blocks below, run it on several
inputs side by side or one after another (Siamese encoders), feed it the sum of an earlier value and
its own result, name it `shared`, or look one label up in one table again; these are not reported.

## Example

    self.blocks = nn.Sequential(*([ResBlock(64)] * 8))

## Use instead

    self.blocks = nn.Sequential(*(ResBlock(64) for _ in range(8)))

## References
deep-learning-with-pytorch/dlwpt-code#89; SSinyu/RED-CNN#8; joeylitalien/noise2noise-pytorch#7;
Project-MONAI/MONAI#7802.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import pairwise

from torchskip.graph import Node, Source
from torchskip.lint.evidence import Evidence
from torchskip.lint.finding import Finding, Mend
from torchskip.lint.flow import Flow
from torchskip.lint.ops import ACTIVATIONS, ADDS, FORMS, PRODUCTS, is_layer, is_norm, name
from torchskip.lint.promises.twins import stand_ins
from torchskip.lint.regions import below
from torchskip.lint.repeats import form
from torchskip.lint.rule import Rule
from torchskip.lint.siamese import another_input, side_by_side
from torchskip.lint.words import listed, times

RULE = Rule("TS203", "shared-module", "warning", __doc__)
_CONTAINERS = frozenset({"Sequential", "ModuleList", "ModuleDict"})
_SHARED = re.compile(r"(?<![a-z])(shared?|tied)(?![a-z])", re.I)  # its names say it: TabNet
_SQUASHED = frozenset({"_softmax", "_log_softmax"})
_OWN = (Mend("make one module per place"),)
_ONCE = (Mend("run it once and use that result"),)
_DROPPED = (Mend("drop one of the two calls"),)


def check(evidence: Evidence) -> Iterator[Finding]:
    """Modules registered more than once, or called from several lines on their own result."""
    modules = evidence.modules
    reported: set[str] = set()
    for names in evidence.registered:
        known = [name for name in names if name in modules]
        module = modules.get(known[0]) if known else None
        if module is None or module.calls < 2 or _handed_down(evidence, names):
            continue
        if all(_SHARED.search(name) for name in names) or _siamese(evidence, names):
            continue
        reported.update(names)
        shown = listed([repr(n) for n in names[:4]]) + (" ..." if len(names) > 4 else "")
        yield RULE.at(
            None,
            f"{shown} are one {module.type}: it runs {times(module.calls)} with the same weights",
            module=names[0],
            source=module.source,
            mends=_OWN,
        )
    for finding in _stand_ins(evidence):
        reported.add(finding.module)
        yield finding
    yield from _lines(evidence, reported)


def _siamese(evidence: Evidence, names: tuple[str, ...]) -> bool:
    """Whether attributes are two names of one encoder; a list that repeats one is a slip."""
    above = (evidence.modules.get(n.rpartition(".")[0]) for n in names)
    named = all(m is not None and m.type not in _CONTAINERS for m in above)
    return named and side_by_side(evidence.eval, names[0])


def _handed_down(evidence: Evidence, names: tuple[str, ...]) -> bool:
    """Whether a module keeps it under a name of its own and hands it to blocks below."""
    top, *others = sorted((n.rpartition(".")[0] for n in names), key=len)
    blocks = [evidence.modules.get(other) for other in others if below(other, top) and other != top]
    return len(blocks) == len(others) and all(b and b.type not in _CONTAINERS for b in blocks)


def _stand_ins(evidence: Evidence) -> Iterator[Finding]:
    """Modules that run twice while a twin of theirs, beside them, never runs."""
    for path, other in stand_ins(evidence.blocks).items():
        again = [n for n in evidence.eval.graph.nodes if n.module == other.path and n.call]
        same = evidence.modules[path].type == other.type
        alike = "of its kind and size" if same else "which takes and gives the same channels"
        yield RULE.at(
            None,
            f"{other.path!r} ({other.type}) runs {times(other.module.calls)} and {path!r}, "
            f"{alike}, never: two places share one module",
            module=other.path,
            source=again[0].source
            if again and other.module.leaf
            else _caller(evidence, other.path),
            mends=(Mend(f"call {path!r} where it belongs"),),
        )


def _caller(evidence: Evidence, path: str) -> Source | None:
    """The forward that calls a module: lists of modules have none."""
    while path:
        path = path.rpartition(".")[0]
        if (module := evidence.modules.get(path)) and module.calls:
            return module.source
    return None


def _lines(evidence: Evidence, reported: set[str]) -> Iterator[Finding]:
    flow = evidence.eval.flow
    calls: dict[str, list[Node]] = {}
    for node in evidence.eval.graph.nodes:
        if (is_layer(node) or is_norm(node)) and any(c.names for c in node.constants):
            calls.setdefault(node.module, []).append(node)
    meant: set[str] = set()
    for path, nodes in calls.items():
        first = {node.call: node for node in reversed(nodes)}
        if len(first) < 2 or any(path == r or path.startswith(r + ".") for r in reported):
            continue
        ordered = [first[call] for call in sorted(first)]
        owner = _owner(evidence, path)
        if owner in meant:
            continue
        for before, after in pairwise(ordered):
            lines, mends = (before.source, after.source), _OWN
            if before.inputs and before.inputs[:1] == after.inputs[:1]:
                if name(before) == "embedding":  # a condition is looked up where it is needed
                    continue
                text = f"{path!r} runs twice on the same value: "
                if not flow.live.isdisjoint(before.outputs):
                    text += "both arms hold the same layer"
                else:
                    text, mends = text + "the first result is thrown away", _ONCE
            elif is_norm(after) and _meet(flow, before, after):
                text = (
                    f"{path!r} normalises both arms of a sum: its statistics and its scale are a "
                    "compromise between two layers"
                )
            elif None in lines or not after.inputs:
                continue
            elif flow.depends(after.inputs[0], before.outputs[0]):
                ways = _ways(flow, before, after)
                if not ways:
                    continue
                own = _own(evidence, path, ways)
                if own and lines[0] == lines[1] and is_norm(after) and not _SHARED.search(path):
                    yield RULE.at(
                        after,
                        f"{path!r} runs {times(len(ordered))} on one stream, {listed(own[:2])} "
                        "between its calls fewer times: places between different layers share one "
                        "normalisation",
                        mends=mends,
                    )
                    break
                # A loop shares its layer on purpose, and so does what comes before or after it.
                if lines[0] == lines[1] or _iterates(flow, owner, before, after):
                    meant.add(owner)
                    break
                if another_input(flow, before.inputs[0], after.inputs[0]):
                    continue
                text = f"{path!r} runs on its own result from another line "
                if is_norm(after) and form(flow, after.inputs[0]) in before.outputs:
                    text += "with nothing between: what is normalised is normalised again"
                    mends = _DROPPED
                else:
                    text += f"({times(len(ordered))} in all): two levels share one layer"
            else:
                continue
            yield RULE.at(after, text, mends=mends)
            break


def _owner(evidence: Evidence, path: str) -> str:
    """The topmost module around the path that is called as often: what the user calls again."""
    calls = evidence.modules[path].calls if path in evidence.modules else 0
    while (parent := path.rpartition(".")[0]) and parent in evidence.modules:
        if evidence.modules[parent].calls != calls:
            break
        path = parent
    return path


def _iterates(flow: Flow, owner: str, before: Node, after: Node) -> bool:
    """Whether the second call reads nothing but a sum of an earlier value and the first's result.

    ``y = f(x); y = f(x + y)`` is a recurrence and ``f(x + h / 2 * k)`` a step of Runge and Kutta.
    A sum that also goes on as the stream is two blocks with one layer.
    """
    value = _scaled(flow, after.inputs[0])
    total = flow.producer(value)
    if total is None or name(total) not in ADDS or below(total.module, owner):
        return False
    if len(flow.readers[total.outputs[0]]) != 1:
        return False
    return any(flow.depends(before.inputs[0], v) for v in total.inputs)


def _ways(flow: Flow, before: Node, after: Node) -> frozenset[int]:
    """Nodes by which a layer's result goes on to where the layer is called again, as the stream.

    What a prediction brings back is none: it passes a softmax or has no gradient (a head that
    looks at each block's result: self-conditioned CTC, Mask2Former).
    """
    start = before.outputs[0]
    reached: dict[int, bool] = {start: True}
    found: set[int] = set()
    for node in flow.graph.nodes[before.index + 1 : after.index]:
        if any(reached.get(v) for v in node.inputs) and node.grad and name(node) not in _SQUASHED:
            found.add(node.index)
            reached.update((v, flow.value(v).requires_grad is not False) for v in node.outputs)
    if not reached.get(after.inputs[0]):
        return frozenset()
    # Of what follows the first call, only what the second one is made of.
    return frozenset(
        n
        for n in found
        if any(flow.depends(after.inputs[0], v) for v in flow.graph.nodes[n].outputs)
    ) or frozenset({after.index})


def _own(evidence: Evidence, path: str, ways: Iterable[int]) -> list[str]:
    """Layers on the way between two calls of a module that run fewer times than it does."""
    nodes = (evidence.eval.graph.nodes[n] for n in ways)
    paths = dict.fromkeys(n.module for n in nodes if is_layer(n) and n.module != path)
    calls = evidence.modules[path].calls if path in evidence.modules else 0
    known = [p for p in paths if p in evidence.modules]
    return [repr(p) for p in known if evidence.modules[p].calls < calls]


def _scaled(flow: Flow, value: int) -> int:
    """The value behind constant factors and changes of form."""
    while (maker := flow.producer(value)) and len(maker.inputs) == 1:
        if name(maker) not in FORMS | PRODUCTS:
            break
        value = maker.inputs[0]
    return value


def _meet(flow: Flow, before: Node, after: Node) -> bool:
    """Whether both results go straight into one sum, behind layers of their own."""
    makers = [flow.producer(n.inputs[0]) for n in (before, after)]
    if (
        any(m is None or not is_layer(m) for m in makers)
        or len({m.module for m in makers if m}) < 2
    ):
        return False
    return bool(_sums(flow, before) & _sums(flow, after))


def _sums(flow: Flow, node: Node) -> set[int]:
    """The sums that an operation's first result is an operand of, activated or not."""
    found: set[int] = set()
    todo = [node.outputs[0]]
    while todo:
        for reader in flow.reads(todo.pop()):
            if name(reader) in ADDS:
                found.add(reader.index)
            elif name(reader) in ACTIVATIONS | FORMS and len(reader.inputs) == 1:
                todo.extend(reader.outputs[:1])
    return found
