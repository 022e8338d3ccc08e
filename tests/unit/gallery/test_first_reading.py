"""Opening a file of many observations: what several threads read is what one reads, and damage is named."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from passerby.errors import DamagedGalleryError
from passerby.gallery.gallery import Gallery
from passerby.gallery.stores.sqlite.connection import connect
from passerby.gallery.stores.sqlite.first_reading import read_columns
from passerby.gallery.stores.sqlite.vector_blocks import VectorBlocks
from passerby.search.index import ExactIndex

DIM, COUNT = 4, 20_000
PARTLY_TIMED = [None if i % 3 else i / 7 for i in range(COUNT)]


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A gallery of more blocks than one thread reads, with gaps."""
    path = tmp_path_factory.mktemp("many") / "people.gallery"
    vectors = np.random.default_rng(0).standard_normal((COUNT, DIM)).astype(np.float32)
    names = [f"person {i // 100}" for i in range(COUNT)]
    cameras = [f"camera {i % 3}" if i % 5 else None for i in range(COUNT)]
    with Gallery.open(path) as gallery:
        gallery.enroll_many(names, vectors, cameras=cameras, times=PARTLY_TIMED)
        gallery.forget("person 7")
        gallery.rename("person 8", "Ünknown Name 08")
    return path


def read(path: Path, another: Callable[[], sqlite3.Connection | None]) -> ExactIndex:
    db = connect(path, read_only=True)
    db.execute("BEGIN")
    index = ExactIndex(DIM)
    try:
        read_columns(db, index, "people.gallery")
        state = db.execute("SELECT revision, slot_generation FROM settings").fetchone()
        VectorBlocks(index, "float32", "people.gallery", another).read(db, state, None)
    finally:
        db.close()
    return index


def test_threads_read_what_one_reads(many: Path) -> None:
    opened = []

    def another() -> sqlite3.Connection:
        opened.append(connect(many, read_only=True))
        return opened[-1]

    one, several = read(many, lambda: None), read(many, another)
    assert len(opened) > 1
    assert len(one) == COUNT - 100
    slots = np.arange(one.size)
    for column in ("ids", "identities", "cameras", "times"):
        np.testing.assert_array_equal(getattr(one, column)[slots], getattr(several, column)[slots])
    np.testing.assert_array_equal(one.vectors(slots), several.vectors(slots))


def test_what_is_read_is_what_was_enrolled(many: Path) -> None:
    with Gallery.open(many, read_only=True) as gallery:
        found = gallery.observations()
        assert [o.time for o in found] == [t for i, t in enumerate(PARTLY_TIMED) if i // 100 != 7]
        assert [o.camera for o in found[:6]] == [None, "camera 1", "camera 2", "camera 0", "camera 1", None]
        assert "Ünknown Name 08" in gallery


def test_a_connection_to_another_state_is_not_used(many: Path, tmp_path: Path) -> None:
    """Where somebody has written meanwhile, the transaction that asked reads everything itself."""
    other = tmp_path / "other.gallery"
    with Gallery.open(other) as gallery:
        gallery.enroll("somebody", vectors=np.ones(DIM))
    index = read(many, lambda: connect(other, read_only=True))
    assert len(index) == COUNT - 100


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("DELETE FROM vectors WHERE block = 100", "128 vectors are missing"),
        ("DELETE FROM vectors WHERE block = 156", "32 vectors are missing"),
        ("UPDATE vector_sums SET sum = sum + 1 WHERE block = 99", r"block 99 \(128 observations\).* checksum"),
        ("UPDATE vectors SET data = zeroblob(7) WHERE block = 98", "does not have 4 numbers a vector"),
        ("UPDATE observations SET identity = 'x' WHERE slot = 12000", "a record cannot be read"),
        ("UPDATE observations SET camera = 1.5 WHERE slot = 12000", "a record cannot be read"),
        ("UPDATE observations SET time = 'noon' WHERE slot = 12000", "a record cannot be read"),
        ("UPDATE observations SET slot = 1 << 60 WHERE slot = 12000", "1 vectors are missing"),
        ("UPDATE observations SET slot = -5 WHERE slot = 12000", "1 vectors are missing"),
    ],
)
@pytest.mark.filterwarnings("error")
def test_damage_is_named(tmp_path: Path, many: Path, statement: str, message: str) -> None:
    path = tmp_path / "people.gallery"
    path.write_bytes(many.read_bytes())
    with sqlite3.connect(path) as db:
        db.execute(statement)
    db.close()
    with pytest.raises(DamagedGalleryError, match=message), Gallery.open(path, read_only=True) as gallery:
        gallery.load()
