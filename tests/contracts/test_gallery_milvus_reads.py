"""What the distributed store reads: no more rows where there are more of them."""

from __future__ import annotations

import importlib.util
import operator
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.contracts.galleries import DIM, open_gallery, people

from passerby.gallery.events import Note
from passerby.gallery.gallery import Gallery
from passerby.gallery.stores.rows import SightingRecord

if importlib.util.find_spec("milvus_lite") is None:
    pytest.skip("milvus-lite is not installed (extra `milvus`)", allow_module_level=True)
import pymilvus

from passerby.gallery.stores.milvus.newest import SPARE, Rows
from passerby.gallery.stores.milvus.sightings import _columns

pytestmark = pytest.mark.slow
NOON = 1_780_000_000.0
FEW, MANY = 400, 2_400
MOST = 2_000  # rows that one question may read, however many there are
PEOPLE = people(4, 1)[:, 0]


def add_sightings(gallery: Gallery, count: int) -> None:
    """Sightings of Ada by two cameras, in one request each thousand: as `observe` stores them."""
    store: Any = gallery._store
    ada = record_of(gallery, "Ada")
    with store.transaction():
        store.sightings.add(SightingRecord(ada, "door", None, None, 0.3), None, None)
    ids = 1 + np.arange(count)
    moments = NOON + np.random.default_rng(0).permutation(count) // 2  # many of them at one moment
    rows = [
        {
            **_columns(
                SightingRecord(
                    ada,
                    ("hall", "yard")[i % 2],
                    moment,
                    moment + 1,
                    0.1 + i / 1e6,
                    at=NOON,
                    id=i,
                    new=i == 1,
                )
            ),
            "thumbnail": "",
            "vector": np.zeros(DIM, np.float32),
        }
        for i, moment in zip(ids.tolist(), moments.tolist(), strict=True)
    ]
    for start in range(0, count, 1000):
        store.sightings._client.insert(store.sightings._name, rows[start : start + 1000])


def record_of(gallery: Gallery, name: str) -> int:
    return int(gallery._store.find([name])[name].id)


def filled(folder: Path, store: str, count: int) -> Gallery:
    gallery = open_gallery(folder, store)
    gallery.enroll_many(["Ada", "Bob", "Eve"], PEOPLE[:3], cameras="door", times=5)
    gallery.merge("Ada", "Eve")
    add_sightings(gallery, count)
    gallery.log_many([Note("looked", detail={"number": i % 100}) for i in range(count)])
    gallery.compact()
    return gallery


@pytest.fixture(scope="module")
def galleries(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Gallery, Gallery]]:
    with (
        filled(tmp_path_factory.mktemp("few"), "people.db", FEW) as few,
        filled(tmp_path_factory.mktemp("many"), "people.db", MANY) as many,
    ):
        yield few, many


@pytest.fixture
def rows_read(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The number of rows in each answer that the client got."""
    read: list[int] = []
    query = pymilvus.MilvusClient.query

    def recorded(self: Any, *arguments: Any, **keywords: Any) -> Any:
        rows = query(self, *arguments, **keywords)
        read.append(len(rows))
        return rows

    monkeypatch.setattr(pymilvus.MilvusClient, "query", recorded)
    return read


@pytest.mark.parametrize(
    "ask",
    [
        lambda gallery: gallery.last_sighting(),
        lambda gallery: gallery.describe("Ada").sightings,
        lambda gallery: len(gallery.sightings(newest=20)),
        lambda gallery: len(gallery.sightings("Ada", camera="hall", newest=20)),
        lambda gallery: len(gallery.history(limit=20)),
        lambda gallery: gallery.observation_count,
    ],
    ids=["last sighting", "describe", "newest", "newest of a person by a camera", "history", "count"],
)
def test_the_rows_that_are_read_do_not_grow(
    galleries: tuple[Gallery, Gallery], rows_read: list[int], ask: Callable[[Gallery], Any]
) -> None:
    for gallery in galleries:
        rows_read.clear()
        ask(gallery)
        assert sum(rows_read) < MOST, len(rows_read)
        assert len(rows_read) < 120


def test_the_answers_are_those_of_all_rows(galleries: tuple[Gallery, Gallery], tmp_path: Path) -> None:
    _, many = galleries
    everything = many.sightings()
    assert len(everything) == MANY + 1
    assert many.sightings(newest=30) == everything[-30:]
    assert many.sightings(newest=MANY) == everything[1:]
    assert many.sightings(camera="yard", newest=7) == [s for s in everything if s.camera == "yard"][-7:]
    assert many.last_sighting() == max(sighting.id for sighting in everything)
    ada = many.describe("Ada")
    assert ada == many.identities()[0]
    assert (ada.sightings, ada.cameras, ada.aliases) == (MANY + 1, ("door", "hall", "yard"), ("Eve",))
    assert (ada.first_seen, ada.last_seen) == (5, NOON + (MANY - 1) // 2 + 1)
    store = many._store
    identity = record_of(many, "Ada")
    newest = [s.distance for s in sorted(everything, key=lambda one: one.id) if not s.new]
    assert store.sightings.recent_distances([identity], newest=25) == {identity: newest[-25:]}
    assert store.events(limit=150) == store.events()[:150]


def test_sightings_of_one_moment_are_told_apart_by_their_ids(tmp_path: Path) -> None:
    with open_gallery(tmp_path, "people.db") as gallery:
        gallery.enroll("Ada", vectors=PEOPLE[0])
        add_sightings(gallery, 10)
        store: Any = gallery._store
        record = SightingRecord(record_of(gallery, "Ada"), "hall", NOON + 50, NOON + 50)
        row = {**_columns(record), "thumbnail": "", "vector": np.zeros(DIM, np.float32)}
        store.sightings._client.insert(store.sightings._name, [{**row, "id": 100 + i} for i in range(3 * SPARE)])
        newest = gallery.sightings(newest=5)
        assert [s.id for s in newest] == [100 + 3 * SPARE - 5 + i for i in range(5)]


def test_the_first_rows_are_found_in_any_order_of_values() -> None:
    class Counted:
        def __init__(self, values: list[Any]) -> None:
            self.values = np.array(values)

        def passing(self, condition: str) -> list[Any]:
            found = np.ones(len(self.values), np.bool_)
            for one in condition.replace("(", "").replace(")", "").split(" and "):
                _, sign, bound = one.split()
                found &= getattr(operator, {">=": "ge", "<=": "le", "==": "eq"}[sign])(self.values, float(bound))
            return list(self.values[found].tolist())

        def count(self, _: str, condition: str) -> int:
            return len(self.passing(condition))

        def query(self, _: str, condition: str, __: Any) -> list[dict[str, Any]]:
            return [{"v": v} for v in self.passing(condition)]

        def some(self, collection: str, condition: str, fields: Any, most: int) -> list[dict[str, Any]]:
            return self.query(collection, condition, fields)[:most]

    draw = np.random.default_rng(0)
    for values in (
        list(range(5000)),
        list(range(5000, 0, -1)),
        [2.0**k / 7 for k in range(900)],
        [*range(2000), 10**15],
        draw.lognormal(0, 9, 4000).tolist(),
        [-v for v in draw.lognormal(0, 9, 4000).tolist()],
        [7],
    ):
        for oldest in (False, True):
            for wanted in (1, 40):
                connection: Any = Counted(values)
                found = Rows(connection, "c", "v >= -1e300", "v", oldest=oldest).first(wanted, ["v"])
                expected = sorted(values, reverse=not oldest)[:wanted]
                assert sorted((row["v"] for row in found), reverse=not oldest)[:wanted] == expected
                assert len(found) <= wanted + SPARE
