"""Vectors are read block by block when they are first needed: of one state of the file, whatever others do."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from tests.contracts.galleries import DIM, people

from passerby.cli.main import run
from passerby.errors import DamagedGalleryError
from passerby.gallery.gallery import Gallery
from passerby.gallery.stores.rows import Where
from passerby.gallery.stores.sqlite import vector_blocks
from passerby.gallery.stores.sqlite.memory_mirror import Memory
from passerby.gallery.stores.sqlite.schema import VECTORS_PER_BLOCK
from passerby.gallery.stores.sqlite.store import SqliteStore
from passerby.search.score import Score

EACH = 8
PEOPLE = people(200, EACH)
NAMES = [f"p{i // EACH}" for i in range(200 * EACH)]


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("sound") / "people.gallery"
    with Gallery.open(path) as gallery:
        gallery.enroll_many(NAMES, PEOPLE.reshape(-1, DIM), cameras="door", times=5)
        gallery.set_threshold(0.3)
    return path.read_bytes()


@pytest.fixture
def path(tmp_path: Path, content: bytes) -> Path:
    found = tmp_path / "people.gallery"
    found.write_bytes(content)
    return found


@pytest.fixture
def other(path: Path) -> Iterator[Gallery]:
    """The gallery as another process has it: with connections and memory of its own."""
    with Gallery(SqliteStore(path, location="other"), None, score=Score("min", 3)) as gallery:
        yield gallery


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The blocks that were read, in order."""
    blocks: list[int] = []
    put = vector_blocks._Reading._put

    def count(self: vector_blocks._Reading, place: int, block: int, data: bytes, total: int | None) -> None:
        blocks.append(block)
        put(self, place, block, data, total)

    monkeypatch.setattr(vector_blocks._Reading, "_put", count)
    return blocks


def damage(path: Path, statement: str) -> None:
    with sqlite3.connect(path) as db:
        db.execute(statement)
    db.close()


def vectors_of(gallery: Gallery, name: str) -> np.ndarray:
    return gallery.vectors([observation.id for observation in gallery.observations(name)])


def test_what_needs_no_vector_reads_none(path: Path, counted: list[int], capsys: pytest.CaptureFixture[str]) -> None:
    with Gallery.open(path) as gallery:
        gallery.rename("p3", "Three")
        assert gallery.describe("Three").observations == EACH
        assert len(gallery.identities()) == 200
        assert gallery.history("Three")
        assert gallery.observation_count == 200 * EACH
    for command in (["list"], ["observations", "p4"], ["rename", "p4", "Four"], ["history", "Four"]):
        assert run(["gallery", command[0], str(path), *command[1:]]) == 0, command
    assert not counted


def test_columns_are_not_read_for_names_alone(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Memory, db: sqlite3.Connection) -> None:
        raise AssertionError("columns")

    monkeypatch.setattr(Memory, "read_columns", refuse)
    with Gallery.open(path) as gallery:
        gallery.set_threshold(0.4)
        assert "p3" in gallery
        assert gallery.history("p3")
        assert len(gallery) == 200


def test_only_the_blocks_that_are_asked_for_are_read(path: Path, counted: list[int]) -> None:
    with Gallery.open(path) as gallery:
        np.testing.assert_array_equal(vectors_of(gallery, "p20"), PEOPLE[20])
        assert counted == [EACH * 20 // VECTORS_PER_BLOCK]
        assert gallery.identify(PEOPLE[150, 1]).identity == "p150"
        assert sorted(counted) == list(range(-(-200 * EACH // VECTORS_PER_BLOCK)))
        gallery.load()
        gallery.identify(PEOPLE[3, 1])
        assert len(counted) == 13


def test_a_change_reads_the_blocks_that_it_touched(path: Path, counted: list[int]) -> None:
    with Gallery.open(path) as gallery:
        gallery.load()
        counted.clear()
        gallery.forget("p0")
        gallery.enroll("new", vectors=PEOPLE[0])
        assert gallery.identify(PEOPLE[0, 1]).identity == "new"
        assert set(counted) == {0}


def test_damage_is_found_by_who_needs_the_block(path: Path) -> None:
    damage(path, "UPDATE vector_sums SET sum = sum + 1 WHERE block = 3")
    message = rf"block 3 \({VECTORS_PER_BLOCK} observations\).*gallery salvage"
    with Gallery.open(path) as gallery:
        assert gallery.describe("p50").observations == EACH
        np.testing.assert_array_equal(vectors_of(gallery, "p0"), PEOPLE[0])
        for need in (
            lambda: gallery.identify(PEOPLE[0, 1]),
            lambda: vectors_of(gallery, "p50"),
            gallery.load,
            gallery.check,
        ):
            with pytest.raises(DamagedGalleryError, match=message):
                need()
        np.testing.assert_array_equal(vectors_of(gallery, "p0"), PEOPLE[0])
        assert gallery.forget("p50").observations == EACH
        assert "p50" not in gallery
        with pytest.raises(DamagedGalleryError, match=message.replace("128", "120")):
            gallery.check()


def test_nobody_is_enrolled_into_a_damaged_block(path: Path) -> None:
    damage(path, "UPDATE vector_sums SET sum = sum + 1 WHERE block = 12")  # the last one, which has free slots
    with Gallery.open(path) as gallery:
        with pytest.raises(DamagedGalleryError, match="block 12"):
            gallery.enroll("new", vectors=PEOPLE[0])
        assert "new" not in gallery
        assert gallery.observation_count == 200 * EACH


def test_threads_that_ask_first_at_once_read_once(path: Path, counted: list[int]) -> None:
    with Gallery.open(path) as gallery:
        start = threading.Barrier(6)
        found: dict[int, str | None] = {}

        def ask(number: int) -> None:
            start.wait()
            found[number] = gallery.identify(PEOPLE[number, 2]).identity

        threads = [threading.Thread(target=ask, args=(number,)) for number in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert found == {number: f"p{number}" for number in range(6)}
    assert len(counted) == 13


def test_what_others_change_before_the_first_reading_is_followed(path: Path, other: Gallery) -> None:
    with Gallery.open(path) as gallery:
        other.forget("p7")
        other.enroll("new", vectors=PEOPLE[7])
        other.rename("p8", "Eight")
        assert gallery.identify(PEOPLE[7, 1]).identity == "new"
        assert gallery.identify(PEOPLE[8, 1]).identity == "Eight"
        gallery.check()


def test_what_others_change_between_columns_and_vectors_is_followed(path: Path, other: Gallery) -> None:
    with Gallery.open(path) as gallery:
        ids = [observation.id for observation in gallery.observations("p199")]
        other.forget("p0")
        other.enroll("new", vectors=PEOPLE[0, :3])
        np.testing.assert_array_equal(gallery.vectors(ids), PEOPLE[199])
        other.forget("p1")
        other.compact()  # every slot is another one now
        np.testing.assert_array_equal(gallery.vectors(ids), PEOPLE[199])
        assert gallery.identify(PEOPLE[0, 1]).identity == "new"
        other.compact()
        assert gallery.identify(PEOPLE[1, 1]).identity is None
        gallery.check()


def test_a_change_between_asking_and_reading_is_followed(
    path: Path, other: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Slots were found, and before the blocks are read another process moves everything."""
    slots_of = Memory.slots_of
    with Gallery.open(path) as gallery:
        ids = [observation.id for observation in gallery.observations("p199")]

        def late(self: Memory, observations: np.ndarray) -> np.ndarray:
            found = slots_of(self, observations)
            monkeypatch.undo()
            other.forget("p0")
            other.compact()
            return found

        monkeypatch.setattr(Memory, "slots_of", late)
        np.testing.assert_array_equal(gallery.vectors(ids), PEOPLE[199])


def test_nothing_of_who_was_forgotten_stays_in_memory(path: Path, other: Gallery) -> None:
    with Gallery.open(path) as gallery:
        gallery.load()
        store: SqliteStore = gallery._store._opened()  # type: ignore[attr-defined]
        gallery.forget("p5")
        assert not store._memory.index.vectors(np.arange(5 * EACH, 6 * EACH)).any()  # type: ignore[union-attr]
        other.rename("p9", "Nine")
        other.merge("p10", "p11")  # of the same block, which is read again when it is needed
        other.forget("p6")
        assert len(gallery) == 197
        assert not store._memory.index.vectors(np.arange(6 * EACH, 7 * EACH)).any()  # type: ignore[union-attr]
        assert gallery.identify(PEOPLE[6, 1]).identity is None


def test_a_transaction_searches_what_was_there_when_it_began(path: Path) -> None:
    """Also where its first search comes after its changes; what is rolled back leaves nothing in memory."""
    with Gallery.open(path) as gallery:
        store = gallery._store
        probe = PEOPLE[:1, 0]

        def nearest() -> float:
            (ranking,) = store.search(probe, [Where()], top=1, score=Score("min", 3))
            return float(ranking.distances[0])

        def change_and_stop() -> None:
            with store.transaction():
                one = [observation.id for observation in gallery.observations("p0")]
                store.erase_observations(np.array(one))
                times = np.full(EACH, np.nan)
                store.add_observations(np.ones(EACH, np.int64), PEOPLE[1], ["a"] * EACH, times, [None] * EACH)
                assert nearest() == 0
                raise RuntimeError("stop")

        with pytest.raises(RuntimeError, match="stop"):
            change_and_stop()
        assert nearest() == 0
        gallery.check()
