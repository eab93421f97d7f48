"""The finder against counts and places that were read from the models' sources."""

from __future__ import annotations

from collections import Counter
from fnmatch import fnmatchcase

import pytest
from tests.truth.drawn import DRAWN
from tests.truth.held_out import HELD_OUT
from tests.truth.row import Row
from tests.truth.second import SECOND
from tests.truth.table import QUICK, TABLE
from tests.truth.third import THIRD
from tests.truth.written import WRITTEN
from tests.truth.zoo import build

from torchskip.graph import Graph, SkipPath
from torchskip.skips import find_skips
from torchskip.trace import trace


@pytest.mark.parametrize("row", [r for r in TABLE if r.spec in QUICK], ids=lambda r: r.spec)
def test_counts_and_places(row: Row) -> None:
    _check(row)


@pytest.mark.slow
@pytest.mark.parametrize("row", [r for r in TABLE if r.spec not in QUICK], ids=lambda r: r.spec)
def test_counts_and_places_of_all(row: Row) -> None:
    _check(row)


@pytest.mark.parametrize("row", WRITTEN, ids=lambda r: r.spec)
def test_counts_and_places_of_written_networks(row: Row) -> None:
    _check(row)


@pytest.mark.slow
@pytest.mark.parametrize("row", [*DRAWN, *SECOND, *THIRD], ids=lambda r: r.spec)
def test_counts_and_places_of_every_family(row: Row) -> None:
    _check(row)


@pytest.mark.slow
@pytest.mark.parametrize("row", HELD_OUT, ids=lambda r: r.spec)
def test_counts_of_models_drawn_at_random(row: Row) -> None:
    _check(row)


def test_the_table_is_large_enough() -> None:
    rows = (*TABLE, *HELD_OUT, *DRAWN, *SECOND, *THIRD, *WRITTEN)
    assert len({row.spec for row in rows}) == len(rows) >= 290
    assert all(row.why for row in rows)


def _check(row: Row) -> None:
    model, example = build(row.spec)
    graph = trace(model, *example)
    assert graph.failure is None
    skips = find_skips(graph)
    counts = Counter(skip.kind for skip in skips)
    assert dict(counts) == {kind: n for kind, n in row.counts.items() if n}, row.why
    told = [_place(graph, skip) for skip in skips]
    for count, kind, join, text, split in row.places:
        matching = [
            place
            for place in told
            if place[0] == kind
            and fnmatchcase(place[1], join)
            and fnmatchcase(place[2], text)
            and fnmatchcase(place[3], split)
        ]
        assert len(matching) == count, (kind, join, text, split, told)


def _place(graph: Graph, skip: SkipPath) -> tuple[str, str, str, str]:
    join = graph.nodes[skip.join]
    producer = graph.values[skip.split].producer
    origin = "input" if producer is None else graph.nodes[producer].module
    return skip.kind, join.module, join.source.text if join.source else "", origin
