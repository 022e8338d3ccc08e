"""How many questions each operation puts to the distributed store, and that it waits for nothing."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.contracts.galleries import open_gallery, people

from passerby.gallery.gallery import Gallery

if importlib.util.find_spec("milvus_lite") is None:
    pytest.skip("milvus-lite is not installed (extra `milvus`)", allow_module_level=True)
import pymilvus
from pymilvus.client.grpc_handler import GrpcHandler

pytestmark = pytest.mark.slow
ROWS = people(4, 8)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The condition of each question, or its ids."""
    conditions: list[str] = []
    query = pymilvus.MilvusClient.query

    def recorded(self: Any, collection: str, **keywords: Any) -> Any:
        conditions.append(str(keywords.get("filter") or keywords.get("ids")))
        return query(self, collection, **keywords)

    monkeypatch.setattr(pymilvus.MilvusClient, "query", recorded)
    return conditions


def filled(folder: Path) -> Gallery:
    """Ada and Bob, each enrolled and seen once."""
    gallery = open_gallery(folder, "people.db")
    gallery.set_threshold(0.5)
    gallery.enroll("Ada", vectors=ROWS[0, :2], camera="door")
    gallery.enroll("Bob", vectors=ROWS[1, :2], camera="door")
    gallery.observe(ROWS[0, 2], camera="hall", time=10)
    gallery.observe(ROWS[1, 2], camera="hall", time=20)
    return gallery


@pytest.mark.parametrize(
    ("operation", "most"),
    [
        pytest.param(lambda gallery: gallery.enroll("Ada", vectors=ROWS[0, 3]), 2, id="enroll"),
        pytest.param(lambda gallery: gallery.enroll("Eve", vectors=ROWS[2, 3]), 3, id="enroll somebody new"),
        pytest.param(lambda gallery: gallery.identify(ROWS[0, 3]), 3, id="identify"),
        pytest.param(lambda gallery: gallery.identify(ROWS[0, 3], camera="door"), 4, id="identify with a filter"),
        pytest.param(lambda gallery: gallery.identify_many(ROWS[:, 3]), 3, id="identify many"),
        pytest.param(lambda gallery: gallery.observe(ROWS[0, 3], camera="hall", time=30), 5, id="observe"),
        pytest.param(lambda gallery: gallery.observe(ROWS[3, 3], camera="hall", time=30), 7, id="observe somebody new"),
        pytest.param(lambda gallery: gallery.rename("Ada", "Eve"), 8, id="name"),
        pytest.param(lambda gallery: gallery.describe("Ada"), 5, id="describe"),
        pytest.param(lambda gallery: gallery.calibration(), 1, id="calibration"),
    ],
)
def test_each_operation_asks_little(
    tmp_path: Path, asked: list[str], operation: Callable[[Gallery], Any], most: int
) -> None:
    with filled(tmp_path) as gallery:
        gallery.identify(ROWS[0, 4], camera="door")
        gallery.calibration("observe")
        gallery.identities()
        asked.clear()
        operation(gallery)
        assert len(asked) <= most, asked
        assert sum("settings" in condition for condition in asked) <= 3


def test_what_another_program_has_changed_decides_at_once(tmp_path: Path) -> None:
    """Nothing of the settings is remembered but what the first vectors fix."""
    with filled(tmp_path) as one, open_gallery(tmp_path, "people.db") as other:
        for gallery, seen in ((one, other), (other, one)):
            gallery.set_threshold(1e-6)
            assert seen.threshold == 1e-6
            assert seen.identify(ROWS[0, 5]).identity is None
            gallery.set_threshold(0.5)
            assert seen.identify(ROWS[0, 5]).identity == "Ada"
            assert seen.observe(ROWS[0, 5]).identity == "Ada"
            gallery.set_sightings(keep_vectors=True)
            assert seen.observe(ROWS[0, 5]).has_vector
            gallery.set_sightings(keep_vectors=False)
            assert not seen.observe(ROWS[0, 5]).has_vector
        assert one.observe(ROWS[2, 0]).identity == "unknown-1"
        assert other.observe(ROWS[3, 0]).identity == "unknown-2"


def test_programs_that_open_one_new_gallery_see_each_other(tmp_path: Path) -> None:
    with open_gallery(tmp_path, "people.db") as one, open_gallery(tmp_path, "people.db") as other:
        assert other.identify(ROWS[0, 3], threshold=0.5).identity is None
        one.enroll("Ada", vectors=ROWS[0, :2])
        assert other.identify(ROWS[0, 3], threshold=0.5).identity == "Ada"
        assert other.observation_count == 2
        assert other.enroll("Bob", vectors=ROWS[1, :2])
        assert one.observation_count == 4
        assert one.sightings() == other.sightings() == []
        one.observe(ROWS[0, 3], threshold=0.5, time=1)
        other.observe(ROWS[0, 4], threshold=0.5, time=2)
        assert [seen.start for seen in one.sightings()] == [seen.start for seen in other.sightings()] == [1, 2]


def test_making_a_gallery_waits_for_no_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The client would sleep half a second for each, and there is nothing to build."""
    waited: list[str] = []
    monkeypatch.setattr(GrpcHandler, "wait_for_creating_index", lambda *_, **given: waited.append(str(given)))
    with filled(tmp_path) as gallery:
        client = gallery._store._connection.client  # type: ignore[attr-defined]
        for name, fields in (
            ("gallery", {"vector", "identity", "camera_key", "time"}),
            ("gallery_sightings", {"vector", "identity", "camera_key", "start"}),
            ("gallery_records", {"unused"}),
        ):
            assert set(client.list_indexes(name)) == fields
            assert str(client.get_load_state(name)["state"]) == "Loaded"
        assert gallery.identify(ROWS[0, 3]).identity == "Ada"
    assert waited == []


def test_pictures_and_vectors_are_read_together(tmp_path: Path, asked: list[str]) -> None:
    with filled(tmp_path) as gallery:
        gallery.set_sightings(keep_vectors=True)
        for view in range(8):
            gallery.observe(ROWS[2 + view % 2, view], camera="yard", time=100 + 10 * view, threshold=1e-3)
        asked.clear()
        gallery.export_parquet(tmp_path / "people.parquet")
        few = len(asked)
        gallery.enroll("Ada", vectors=np.repeat(ROWS[0], 3, axis=0))
        asked.clear()
        gallery.export_parquet(tmp_path / "more.parquet")
        assert len(asked) == few
        asked.clear()
        gallery.consolidate()
        assert len(asked) <= 5
