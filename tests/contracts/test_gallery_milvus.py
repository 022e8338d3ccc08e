"""What only the distributed store must prove: filtered recall, erasure, migration, and what it refuses."""

from __future__ import annotations

import importlib.util
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.contracts.galleries import SERVER, location, people

from passerby.errors import GalleryError, StorageError
from passerby.gallery.gallery import Gallery

if importlib.util.find_spec("milvus_lite") is None:
    pytest.skip("milvus-lite is not installed (extra `milvus`)", allow_module_level=True)
from passerby.gallery.stores.milvus.connection import parse_address
from passerby.gallery.stores.milvus.records import Records
from passerby.gallery.stores.milvus.search import effort
from passerby.gallery.stores.milvus.store import MilvusStore

SIZE, DIM = 3000, 64


@pytest.mark.slow
@pytest.mark.parametrize("name", ["people.db", *(["server"] if SERVER else [])])
def test_filtered_recall_is_that_of_exact_search(tmp_path: Path, name: str) -> None:
    rows = people(SIZE, 1, spread=0.0, dim=DIM)[
        :, 0
    ]  # one image of each person, no clusters: the hard case for a graph
    names = [f"p{i}" for i in range(SIZE)]
    cameras = [f"camera {i % 8}" for i in range(SIZE)]
    times = [float(i) for i in range(SIZE)]
    probes = people(20, 1, seed=1, dim=DIM)[:, 0]
    filters: list[dict[str, Any]] = [
        {},
        {"exclude_camera": ["camera 1"]},
        {"exclude_camera": [f"camera {i}" for i in range(7)]},
        {"after": 0.5 * SIZE, "before": 0.51 * SIZE},
        {"after": 0.9 * SIZE, "exclude_camera": ["camera 1", "camera 2"]},
    ]
    with Gallery.open(tmp_path / "exact.gallery") as exact, Gallery.open(location(tmp_path, name)) as gallery:
        for store in (exact, gallery):
            store.enroll_many(names, rows, cameras=cameras, times=times)
        if name == "server":
            time.sleep(60)  # until then the coarse interim index answers (docs/scaling.md)
        for where in filters:
            expected = exact.identify_many(probes, **where)
            found = gallery.identify_many(probes, **where)
            hits = [
                len({m.identity for m in one} & {m.identity for m in other}) / len(one)
                for one, other in zip(expected, found, strict=True)
            ]
            assert np.mean(hits) >= 0.99, where
            assert [answer.considered for answer in found] == [answer.considered for answer in expected]
            assert [a.matches[0].distance for a in found] == pytest.approx(
                [a.matches[0].distance for a in expected], abs=1e-3
            )


@pytest.mark.slow
def test_forgetting_says_what_is_pending(tmp_path: Path) -> None:
    with Gallery.open(f"milvus:{tmp_path / 'people.db'}") as gallery:
        gallery.enroll("Ada", vectors=people(1, 2)[0])
        gallery.enroll("Bob", vectors=people(1, 2, seed=1)[0])
        assert gallery.purge().pending == ""
        assert "milvus-lite" in gallery.forget("Ada").pending
        assert "milvus-lite" in str(gallery.purge())
        gallery.compact()
        assert [i.name for i in gallery.identities()] == ["Bob"]


def test_effort_grows_as_fewer_pass_the_filter() -> None:
    efforts = [effort(72, share) for share in (1.0, 0.5, 0.1, 0.01, 1e-6)]
    assert efforts == sorted(efforts)
    assert efforts[0] >= 72
    assert efforts[-1] == 32_768


@pytest.mark.slow
def test_a_change_that_fails_half_way_is_taken_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Gallery.open(f"milvus:{tmp_path / 'people.db'}") as gallery:
        gallery.enroll("Ada", vectors=people(1, 2)[0])
        gallery.enroll("Bob", vectors=people(1, 2, seed=1)[0])

        def fails(*_: object) -> int:
            raise StorageError("gone")

        with monkeypatch.context() as patch:
            patch.setattr(MilvusStore, "append_event", fails)
            for attempt in (
                lambda: gallery.enroll("Carl", vectors=people(1, 2, seed=2)[0]),
                lambda: gallery.merge("Ada", "Bob"),
                lambda: gallery.rename("Ada", "Eve"),
            ):
                with pytest.raises(StorageError, match="gone"):
                    attempt()
        assert [(i.name, i.observations) for i in gallery.identities()] == [("Ada", 2), ("Bob", 2)]
        assert gallery.observation_count == 4
        gallery.check()


@pytest.mark.slow
def test_equal_names_of_an_older_version_are_made_unique(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = people(3, 2)
    with Gallery.open(f"milvus:{tmp_path / 'people.db'}") as gallery:
        for number, name in enumerate(["Bob", "Rob", "Rab"]):
            gallery.enroll(name, vectors=rows[number])
        store = gallery._store
        with monkeypatch.context() as patch:  # as it was once
            patch.setattr(Records, "check_names", lambda self: None)
            for name in ("Rob", "Rab"):
                with store.transaction():
                    store.put_identity(replace(store.find([name])[name], name="Bob"))
        store._records.delete("format:0")  # type: ignore[attr-defined]
    for _ in range(2):  # the second time there is nothing to do
        with Gallery.open(f"milvus:{tmp_path / 'people.db'}") as gallery:
            assert [i.name for i in gallery.identities()] == ["Bob", "Bob (2)", "Bob (3)"]
            assert [e.name for e in gallery.history() if e.action == "unique_name"] == ["Bob (3)", "Bob (2)"]
    with Gallery.open(f"milvus:{tmp_path / 'people.db'}") as gallery:
        for number, name in enumerate(["Bob", "Bob (2)", "Bob (3)"]):
            assert gallery.identify(rows[number, 0], threshold=0.1).identity == name
            assert gallery.forget(name).observations == 2


@pytest.mark.parametrize(
    "location",
    [
        "milvus://",
        "milvus://host:19530",
        "milvus://host:19530/a/b",
        "milvus://host/a-b",
        "milvus:http://host:19530",
        "milvus:ftp://host/people",
    ],
)
def test_an_address_must_name_a_collection(location: str) -> None:
    with pytest.raises(GalleryError, match="milvus://host:19530/NAME"):
        Gallery.open(location)


def test_addresses_name_server_and_collection_and_hide_the_password() -> None:
    address = parse_address("milvus://ann:secret@host/people")
    assert (address.location, address.uri) == ("milvus://host:19530/people", "http://host:19530")
    assert (address.token, address.name, address.embedded) == ("ann:secret", "people", False)
    address = parse_address("milvus:https://ann:secret@host:443/people")
    assert (address.location, address.uri) == ("milvus:https://host:443/people", "https://host:443")
    assert parse_address(address.location).uri == address.uri
    for path in ("folder/people.db", "milvus:folder/people.db"):
        address = parse_address(path)
        assert (address.location, address.uri, address.embedded) == (path, "folder/people.db", True)


def test_only_float32_is_stored(tmp_path: Path) -> None:
    with pytest.raises(GalleryError, match="Milvus stores float32"):
        Gallery.open(f"milvus:{tmp_path / 'people.db'}", storage="float16")
    assert not (tmp_path / "people.db").exists()


@pytest.mark.slow
def test_a_path_may_say_that_it_is_of_milvus(tmp_path: Path) -> None:
    with Gallery.open(f"milvus:{tmp_path / 'people.db'}", storage="float32") as gallery:
        gallery.enroll("Ada", vectors=people(1, 2)[0])
    with pytest.warns(DeprecationWarning, match="write milvus:"):
        gallery = Gallery.open(tmp_path / "people.db")  # the short form of 0.1
    with gallery:
        assert "Ada" in gallery


def test_a_new_path_is_a_file_whatever_its_ending(tmp_path: Path) -> None:
    with Gallery.open(tmp_path / "people.db") as gallery:
        gallery.enroll("Ada", vectors=people(1, 2)[0])
    assert (tmp_path / "people.db").is_file()
    with Gallery.open(tmp_path / "people.db") as gallery:
        assert "Ada" in gallery


def test_locations_that_cannot_be_opened(tmp_path: Path) -> None:
    (tmp_path / "file.db").write_bytes(b"SQLite format 3\0")
    with pytest.raises(GalleryError, match="expects its folder"):
        Gallery.open(f"milvus:{tmp_path / 'file.db'}")
    with pytest.raises(GalleryError, match=r"ends in \.db"):
        Gallery.open(f"milvus:{tmp_path / 'people.gallery'}")
    with pytest.raises(GalleryError, match="does not exist"):
        Gallery.open(f"milvus:{tmp_path / 'missing' / 'people.db'}")
    with pytest.raises(GalleryError, match="no such gallery"):
        Gallery.open(f"milvus:{tmp_path / 'none.db'}", read_only=True)


@pytest.mark.slow
def test_read_only_refuses_changes(tmp_path: Path) -> None:
    Gallery.open(f"milvus:{tmp_path / 'people.db'}").close()
    with Gallery.open(f"milvus:{tmp_path / 'people.db'}", read_only=True) as gallery:
        assert len(gallery) == 0
        with pytest.raises(StorageError, match="nothing was changed"):
            gallery.enroll("Ada", vectors=np.ones(4))
        with pytest.raises(GalleryError, match="milvus-backup"):
            gallery.backup(tmp_path / "copy")
