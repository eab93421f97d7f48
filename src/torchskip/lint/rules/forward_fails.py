"""The model's own forward fails on the example.

## What it does
Reports the operation at which forward stopped, when it is no join of two arms; whatever ran
before it is still checked. It is a warning where only training fails, and a note where the model
itself refuses the example there: a detector asks for its targets.

## Why is this bad
The model does not run. Where the failing layer reads a join, the shapes that met there are named:
a concatenation with other channels than the next layer expects is a usual cause. The mends look
for the layer of the list that was passed over, and for the feature that was not concatenated.

## Example

    self.decoder = nn.Conv2d(64, 32, 3)             # forgets the skip's 64 channels
    ...
    x = self.decoder(torch.cat([skip, x], 1))       # 128 channels

## Use instead

    self.decoder = nn.Conv2d(64 + 64, 32, 3)

## References
PyTorch documentation, *torch.cat*; Ronneberger et al., *U-Net*, 2015; jaxony/unet-pytorch pull
request 2; huggingface/diffusers#10247 (a layer overwritten by its result).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from torchskip.graph import Failure, Graph, Node
from torchskip.lint.evidence import Evidence, Pass
from torchskip.lint.finding import Finding, Mend, Severity
from torchskip.lint.flow import Flow
from torchskip.lint.mismatch import mismatch
from torchskip.lint.ops import ADDS, CONCATS, FORMS, is_norm, name
from torchskip.lint.rule import Rule
from torchskip.lint.widths import widths
from torchskip.lint.words import called, listed, shape

RULE = Rule("TS100", "forward-fails", "error", __doc__)


def check(evidence: Evidence) -> Iterator[Finding]:
    """A failure that is no mismatch of arms, in evaluation or only in training."""
    for run in (evidence.eval, evidence.train):
        failure = run.graph.failure
        if failure is None:
            continue
        if mismatch(run) is None:
            node = run.graph.nodes[failure.node] if failure.node is not None else None
            mode = "training" if run is evidence.train else "evaluation"
            first = failure.message.strip().partition("\n")[0]
            where = f" in {failure.module!r}" if failure.module else ""
            yield RULE.at(
                node,
                f"forward fails in {mode} mode{where}: {failure.error}: {first}"
                + (_fed_by(run, node) if node else ""),
                module=failure.module,
                source=failure.source,
                severity=_severity(failure) if run is evidence.train else None,
                mends=(*(widths(run, node, evidence.modules) if node else ()), *_spelt(failure)),
            )
        return


def _severity(failure: Failure) -> Severity:
    """How much a failure in training alone says: there the example may be the reason.

    It may be too small for statistics, or lack the targets that the model asks for. A tensor that
    has more axes than are unpacked is no such reason.
    """
    refused = failure.node is None and failure.error in {"AssertionError", "ValueError"}
    if "values to unpack" in failure.message:
        return "warning"
    return "note" if refused else "warning"


def _spelt(failure: Failure) -> Iterator[Mend]:
    """What was meant by a call or an assignment that Python or torch refuses."""
    joins = re.match(r"(cat|concat|stack)\(\)", failure.message.strip())
    if failure.error == "TypeError" and joins:
        yield Mend(f"give the tensors as one tuple: `torch.{joins[1]}((a, b), dim=1)`")
    layer = re.search(r"cannot assign '[^']*Tensor' as child module '(\w+)'", failure.message)
    if layer:
        yield Mend(f"keep the layer: assign to a local name, not to `self.{layer[1]}`")


def _fed_by(run: Pass, node: Node) -> str:
    """The join that the failing operation reads, behind what keeps its shape."""
    flow: Flow = run.flow
    graph: Graph = run.graph
    value = node.inputs[0] if node.inputs else None
    while value is not None and (maker := flow.producer(value)) is not None:
        if name(maker) in ADDS | CONCATS and len(maker.inputs) > 1:
            parts = listed(shape(graph.values[v].shape) for v in maker.inputs)
            return f"; it reads {shape(graph.values[value].shape)}, the {called(maker)} of {parts}"
        if not (name(maker) in FORMS or is_norm(maker) or len(maker.inputs) == 1):
            break
        if graph.values[maker.inputs[0]].shape != graph.values[value].shape:
            break
        value = maker.inputs[0]
    return ""
