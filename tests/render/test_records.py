import json
import math
from dataclasses import fields, replace

import jsonschema
import pytest

from torchskip import graph as values
from torchskip.render import to_record
from torchskip.render.records import SCHEMA_VERSION, schema

NAMES = ("residual", "broken", "hostile", "hourglass")


@pytest.fixture(params=NAMES)
def seen(request):
    return request.getfixturevalue(request.param)


def test_the_schema_is_a_schema():
    jsonschema.Draft202012Validator.check_schema(schema())
    assert schema()["properties"]["schema_version"] == {"const": SCHEMA_VERSION}


def test_records_fit_the_schema_after_a_round_trip(seen):
    record = json.loads(json.dumps(to_record(seen), allow_nan=False))
    jsonschema.Draft202012Validator(schema()).validate(record)
    assert record == to_record(seen)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("skips", 0, "kind"), "shortcut"),
        (("skips", 0, "split", "shape"), "8x8"),
        (("totals", "kinds"), {"identity": 0}),
        (("graph", "nodes", 0, "op"), None),
        (("schema_version",), 2),
    ],
)
def test_the_schema_refuses_what_is_no_record(residual, path, value):
    record = to_record(residual)
    place = record
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(schema()).validate(record)


@pytest.mark.parametrize(
    ("name", "type_"),
    [
        ("graph", values.Graph),
        ("node", values.Node),
        ("value", values.Value),
        ("constant", values.Constant),
        ("module", values.Module),
        ("parameter", values.Parameter),
        ("failure", values.Failure),
        ("source", values.Source),
    ],
)
def test_the_schema_describes_every_field(name, type_):
    assert set(schema()["$defs"][name]["properties"]) == {field.name for field in fields(type_)}


def test_a_skip_says_where_it_splits_and_joins(residual):
    record = to_record(residual)
    assert record["totals"] == {"skips": 4, "kinds": {"identity": 3, "projection": 1}}
    skip = record["skips"][2]
    assert (skip["number"], skip["kind"], skip["merge"]) == (3, "projection", "add")
    assert (skip["split"]["module"], skip["split"]["shape"]) == ("layer1.1", [2, 8, 32, 32])
    assert (skip["join"]["module"], skip["join"]["shape"]) == ("layer2.0", [2, 16, 16, 16])
    assert skip["join"]["source"]["file"].endswith("small_models.py")
    assert skip["bypassed_layers"] == 2
    modules = [step["module"] for step in record["steps"]]
    arms = {arm["role"]: [modules[i] for i in arm["steps"]] for arm in skip["arms"]}
    assert arms == {
        "branch": ["layer2.0.conv1", "layer2.0.relu", "layer2.0.conv2"],
        "shortcut": ["layer2.0.down"],
    }


def test_the_record_tells_failed_detached_and_dead(broken, hostile):
    failed = to_record(broken)["skips"][-1]
    assert (failed["failed"], failed["join"]["shape"]) == (True, None)
    assert to_record(broken)["graph"]["failure"]["module"] == "bad"
    detached, dead = to_record(hostile)["skips"]
    assert (detached["detached"], detached["live"], dead["live"]) == (True, True, False)


def test_what_json_lacks_becomes_text(residual):
    node = replace(residual.graph.nodes[0], arguments=(("eps", math.inf), ("dtype", object)))
    graph = replace(residual.graph, nodes=(node, *residual.graph.nodes[1:]))
    arguments = to_record(replace(residual, graph=graph))["graph"]["nodes"][0]["arguments"]
    assert arguments == {"eps": "inf", "dtype": "<class 'object'>"}
