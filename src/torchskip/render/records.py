"""The inspection as a JSON record: versioned, described by a schema, complete."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from importlib import resources
from typing import TYPE_CHECKING, Any

from torchskip.graph import Graph, SkipPath
from torchskip.render.outline import Outline, outline
from torchskip.render.words import totals

if TYPE_CHECKING:
    from torchskip.inspection import Inspection

__all__ = ["SCHEMA_VERSION", "schema", "to_record"]

SCHEMA_VERSION = 1  # raised when a reader of the old record would misread the new one


def to_record(inspection: Inspection) -> dict[str, Any]:
    """Return graph, skips and totals as values that `json.dumps` takes.

    Indices into the graph's nodes and values are kept, and beside them stands what they mean
    (module, source line, shape), so that a reader of skips need not look into the graph.
    """
    graph, skips = inspection.graph, inspection.skips
    chain = outline(graph, skips)
    return {
        "schema_version": SCHEMA_VERSION,
        "model": graph.model,
        "totals": {"skips": len(skips), "kinds": dict(totals(skips))},
        "steps": [
            {
                "module": step.module,
                "name": step.label,
                "type": step.type,
                "shape": list(step.shape),
                "nodes": list(step.nodes),
            }
            for step in chain.steps
        ],
        "skips": [_skip(graph, chain, skip, i) for i, skip in enumerate(skips, start=1)],
        "graph": _jsonable(graph),
    }


def schema() -> dict[str, Any]:
    """Return the JSON schema (draft 2020-12) of the record."""
    file = resources.files("torchskip.render") / "schema" / "inspection.schema.json"
    return dict(json.loads(file.read_text(encoding="utf-8")))


def _skip(graph: Graph, chain: Outline, skip: SkipPath, number: int) -> dict[str, Any]:
    return {
        "number": number,
        "kind": skip.kind,
        "merge": skip.merge,
        "split": {"value": skip.split, **_origin(graph, skip.split)},
        "join": {"node": skip.join, **_operation(graph, skip.join)},
        "arms": [
            {
                "role": arm.role,
                "layers": arm.layers,
                "detached": arm.detached,
                "shape": list(graph.values[arm.values[-1]].shape) if arm.values else [],
                "values": list(arm.values),
                "nodes": list(arm.nodes),
                "steps": [step.index for step in chain.along(arm.nodes)],
            }
            for arm in skip.arms
        ],
        "bypassed_layers": _bypassed(skip.arms),
        "alignment_error_px": _jsonable(skip.alignment),
        "live": skip.live,
        "detached": any(arm.detached for arm in skip.arms),
        "failed": graph.failure is not None and graph.failure.node == skip.join,
        "notes": list(skip.notes),
    }


def _bypassed(arms: Sequence[Any]) -> int:
    return max((arm.layers for arm in arms if arm.role == "branch"), default=0)


def _origin(graph: Graph, index: int) -> dict[str, Any]:
    """Return where a value comes from; a model input has neither module nor operation."""
    value = graph.values[index]
    shape = {"shape": list(value.shape), "dtype": value.dtype}
    if value.producer is None:
        return {"module": None, "op": None, "source": None, **shape}
    return {**_operation(graph, value.producer), **shape}


def _operation(graph: Graph, index: int) -> dict[str, Any]:
    node = graph.nodes[index]
    sizes = list(graph.values[node.outputs[0]].shape) if node.outputs else None
    source = _jsonable(node.source)
    return {"module": node.module, "op": node.op, "source": source, "shape": sizes}


def _jsonable(value: object) -> Any:
    """Return the value in JSON's types: what JSON lacks (inf, nan, dtypes) as text."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if is_dataclass(value) and not isinstance(value, type):
        record = {field.name: _jsonable(getattr(value, field.name)) for field in fields(value)}
        for name in ("arguments", "attributes"):  # pairs of name and value
            if name in record:
                record[name] = {str(key): item for key, item in record[name]}
        return record
    if isinstance(value, list | tuple | set | frozenset):
        return [_jsonable(item) for item in value]
    if isinstance(value, dict):
        return {str(key): _jsonable(item) for key, item in value.items()}
    return str(value)
