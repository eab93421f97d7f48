"""Findings as SARIF 2.1.0, which code hosts and editors read.

Reference: OASIS, *Static Analysis Results Interchange Format (SARIF) Version 2.1.0*, 2020.
"""

from __future__ import annotations

import hashlib
import json
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torchskip.graph import Source
    from torchskip.lint.finding import Finding, Way
    from torchskip.lint.report import Report
    from torchskip.lint.rule import Rule

__all__ = ["sarif"]

_SCHEMA = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)


def sarif(reports: tuple[Report, ...], rules: tuple[Rule, ...], root: Path | None = None) -> str:
    """One SARIF log with one run; paths below `root` are relative to it."""
    base = (root or Path.cwd()).resolve()
    index = {rule.code: i for i, rule in enumerate(rules)}
    results = [_result(finding, index, base) for report in reports for finding in report.findings]
    driver = {
        "name": "torchskip",
        "semanticVersion": _version(),
        "rules": [_rule(rule) for rule in rules],
    }
    run = {
        "tool": {"driver": driver},
        "originalUriBaseIds": {"ROOT": {"uri": base.as_uri().rstrip("/") + "/"}},
        "results": results,
        "columnKind": "unicodeCodePoints",
    }
    return json.dumps(
        {"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2, ensure_ascii=False
    )


def _version() -> str:
    try:
        return version("torchskip")
    except PackageNotFoundError:  # a source tree that was never installed
        return "0.0.0"


def _rule(rule: Rule) -> dict[str, Any]:
    return {
        "id": rule.code,
        "name": "".join(part.capitalize() for part in rule.name.split("-")),
        "shortDescription": {"text": rule.summary},
        "fullDescription": {"text": rule.section("What it does") or rule.summary},
        "help": {"text": rule.documentation, "markdown": rule.documentation},
        "defaultConfiguration": {"level": rule.severity},
    }


def _result(finding: Finding, index: dict[str, int], base: Path) -> dict[str, Any]:
    mends = "".join(f"\nmend: {mend.text}" for mend in finding.mends)
    location: dict[str, Any] = {
        "logicalLocations": [{"fullyQualifiedName": finding.module or "model", "kind": "module"}]
    }
    if finding.source:
        location |= _physical(finding.source, base)
    mark = f"{finding.code}:{finding.module}:{finding.source.text if finding.source else ''}"
    result: dict[str, Any] = {
        "ruleId": finding.code,
        "ruleIndex": index[finding.code],
        "level": finding.severity,
        "message": {"text": finding.message + mends},
        "locations": [location],
        "partialFingerprints": {
            "torchskip/v1": hashlib.sha256(mark.encode()).hexdigest()[:32],
        },
    }
    if finding.join and finding.join != finding.source:
        result["relatedLocations"] = [
            {"id": 1, "message": {"text": "the join"}} | _physical(finding.join, base)
        ]
    flows = [_flow(way, base) for way in finding.arms]
    if flows := [flow for flow in flows if flow]:
        result["codeFlows"] = [{"threadFlows": flows}]
    return result


def _flow(way: Way, base: Path) -> dict[str, Any] | None:
    """An arm as a thread flow; None when no step of it has a source line."""
    steps = [
        {
            "location": _physical(step.source, base)
            | {"message": {"text": f"{way.role}: {step.op} {step.module} {step.shape}"}}
        }
        for step in way.steps
        if step.source
    ]
    return {"message": {"text": way.role}, "locations": steps} if steps else None


def _physical(source: Source, base: Path) -> dict[str, Any]:
    path = Path(source.file)
    known = path.is_absolute() and path.is_relative_to(base)
    artifact: dict[str, Any] = (
        {"uri": path.relative_to(base).as_posix(), "uriBaseId": "ROOT"}
        if known
        else {"uri": path.resolve().as_uri()}
    )
    region: dict[str, Any] = {"startLine": max(source.line, 1)}
    if source.text:
        region["snippet"] = {"text": source.text}
    return {"physicalLocation": {"artifactLocation": artifact, "region": region}}
