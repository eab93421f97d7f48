"""`check`: run a model for evidence, apply the rules, return a report."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from torch import nn
from torch.nn.parameter import is_lazy

from torchskip.errors import ArgumentError
from torchskip.lint.evidence import Evidence
from torchskip.lint.finding import SEVERITIES, Finding
from torchskip.lint.registry import CHECKS
from torchskip.lint.report import Report
from torchskip.lint.suppress import chosen, suppressed, unknown
from torchskip.lint.verify import verified
from torchskip.trace.tree import leaves

__all__ = ["check", "judge"]


def check(
    model: nn.Module,
    *example: Any,
    select: Iterable[str] = (),
    ignore: Iterable[str] = (),
    verify_mends: bool = False,
    **kwargs: Any,
) -> Report:
    """Check the skip connections of ``model(*example, **kwargs)`` and return a `Report`.

    The model runs on meta tensors, in evaluation and in training mode, and once on small
    random numbers, forward and backward; it comes back bit-identical. `select` and `ignore`
    take codes (``"TS104"``) or their beginnings (``"TS1"``); a comment
    ``# torchskip: ignore[TS104]`` at the line of a finding or its join hides it. With
    `verify_mends`, every mend that is code is applied to a copy and run.

    Raises `ArgumentError` when there is nothing to run, and `SpecError` for unknown codes.

    >>> import torch
    >>> from torch import nn
    >>> class Twice(nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.conv = nn.Conv2d(3, 3, 3, padding=1)
    ...     def forward(self, x):
    ...         x = self.conv(x)
    ...         return x + x
    >>> [finding.code for finding in check(Twice(), torch.zeros(1, 3, 8, 8)).findings]
    ['TS106']
    """
    if not isinstance(model, nn.Module):
        raise ArgumentError(f"check needs a torch.nn.Module, got {type(model).__name__}")
    if not any(leaves((*example, kwargs))):
        raise ArgumentError(
            "check needs an example input; mend: check(model, torch.zeros(1, 3, 224, 224))"
        )
    lazy = [name for name, tensor in model.named_parameters() if is_lazy(tensor)]
    if lazy:
        raise ArgumentError(
            f"{type(model).__name__} has parameters without a shape yet ({lazy[0]!r}); mend: run "
            "the model once on the example, then check it"
        )
    select, ignore = tuple(select), tuple(ignore)
    unknown((*select, *ignore), (rule.code for rule, _ in CHECKS))
    evidence = Evidence(model, example, kwargs)
    findings, hidden = judge(evidence, select, ignore)
    if verify_mends:
        findings = tuple(verified(model, example, kwargs, finding) for finding in findings)
    run = evidence.eval
    name, ran = type(model).__name__, tuple(evidence.ran)
    return Report(name, findings, run.graph, run.skips, ran, hidden)


def judge(
    evidence: Evidence, select: tuple[str, ...] = (), ignore: tuple[str, ...] = ()
) -> tuple[tuple[Finding, ...], int]:
    """Apply the wanted rules; findings, most severe first, and how many comments hide."""
    found: dict[tuple[object, ...], Finding] = {}
    hidden: set[tuple[object, ...]] = set()
    for rule, rule_check in CHECKS:
        if not chosen(rule.code, select, ignore):
            continue
        for finding in rule_check(evidence):
            place = finding.source or finding.module
            key = (finding.code, finding.severity, place)
            if suppressed(finding):
                hidden.add((*key, finding.module))
            elif key not in found:
                found[key] = finding
            elif finding.module != found[key].module and finding.module not in found[key].also:
                found[key] = _together(found[key], finding)
    ordered = sorted(found.values(), key=lambda f: -SEVERITIES.index(f.severity))
    return tuple(ordered), len(hidden)


def _together(first: Finding, again: Finding) -> Finding:
    """One finding of the same line in two modules, with mends that change both."""
    mends = tuple(
        replace(mend, edits=(*mend.edits, *other.edits))
        for mend, other in zip(first.mends, again.mends, strict=False)
    )
    return replace(
        first,
        mends=mends if len(first.mends) == len(again.mends) else first.mends,
        also=(*first.also, again.module),
    )
