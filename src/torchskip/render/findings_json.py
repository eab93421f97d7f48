"""Findings as plain records: the JSON of ``torchskip check --format json``."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torchskip.lint.finding import Finding
    from torchskip.lint.report import Report

__all__ = ["SCHEMA", "as_json", "finding_record", "report_record"]

SCHEMA = "torchskip-check-1"


def finding_record(finding: Finding) -> dict[str, Any]:
    """One finding as nested dictionaries, lists, numbers and strings."""
    record = asdict(finding)
    for mend in record["mends"]:
        for edit in mend["edits"]:
            edit["value"] = _plain(edit["value"])
    return record


def report_record(report: Report) -> dict[str, Any]:
    """One report, without its graph: the totals, the findings, what was run."""
    return {
        "model": report.model,
        "totals": {s: report.count(s) for s in ("error", "warning", "note")},
        "suppressed": report.suppressed,
        "skips": len(report.skips),
        "findings": [finding_record(finding) for finding in report.findings],
        "ran": [asdict(ran) for ran in report.ran],
    }


def as_json(reports: tuple[Report, ...]) -> str:
    """All reports as one JSON document with a schema version."""
    record = {"schema": SCHEMA, "reports": [report_record(report) for report in reports]}
    return json.dumps(record, indent=2, ensure_ascii=False)


def _plain(value: object) -> object:
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    return value if isinstance(value, bool | int | float | str | None) else repr(value)
