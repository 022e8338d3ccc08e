"""Damage is named, never silent and never a raw error; what is sound is saved."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import numpy as np
import pytest
from tests.contracts.galleries import DIM, TinyEncoder, people, picture

from passerby.cli.main import run
from passerby.errors import DamagedGalleryError, GalleryError, PasserbyError
from passerby.gallery.gallery import Gallery
from passerby.gallery.stores.sqlite.checksums import block_sum, record_sum
from passerby.gallery.stores.sqlite.schema import VECTORS_PER_BLOCK

PEOPLE = people(40, 8)


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sound") / "people.gallery"
    with Gallery.open(path, TinyEncoder()) as gallery:
        gallery.enroll_many([f"p{i // 8}" for i in range(320)], PEOPLE.reshape(-1, DIM), cameras="door", times=5)
        gallery.enroll("With Pictures", [picture(1), picture(2)], notes="somebody", consent="form 7")
        gallery.set_sightings(keep_vectors=True)
        gallery.observe(PEOPLE[3, 0], camera="hall", time=9, threshold=0.5, source="film.mp4")
        gallery.merge("p1", "p2")
        gallery.rename("p3", "P Three")
        gallery.forget("p4")
    return path


def everything(path: Path) -> object:
    with Gallery.open(path, read_only=True) as gallery:
        gallery.check()
        columns = gallery.observations()
        return (
            gallery.identities(),
            columns,
            gallery.vectors([o.id for o in columns]).tobytes(),
            [gallery.thumbnail(o.id) for o in columns],
            gallery.sightings(),
            gallery.history(),
            gallery.threshold,
            gallery.far,
        )


def test_no_flipped_bit_is_silent(tmp_path: Path, sound: Path) -> None:
    """Bits anywhere in the file: `check` says so, or it was a byte that nothing is stored in."""
    content, expected = sound.read_bytes(), everything(sound)
    draw = np.random.default_rng(3)
    used = np.flatnonzero(np.frombuffer(content, np.uint8))  # most of the rest is zeros that nobody reads
    noticed = 0
    for number in draw.choice(used, 60, replace=False).tolist():
        damaged = bytearray(content)
        damaged[number] ^= 1 << int(draw.integers(8))
        path = tmp_path / "people.gallery"
        path.write_bytes(damaged)
        try:
            found = everything(path)
        except GalleryError:
            noticed += 1
        else:
            assert found == expected, f"byte {number}"
        for end in ("-wal", "-shm"):
            path.with_name(path.name + end).unlink(missing_ok=True)
    assert noticed > 40


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("UPDATE identities SET created = 'yesterday' WHERE id = 3", "identities: record 3"),
        ("UPDATE observations SET camera = NULL WHERE slot = 7", "observations: record 7"),
        ("UPDATE observations SET identity = 'x' WHERE slot = 7", "cannot be read|observations: record 7"),
        ("UPDATE events SET detail = '[' WHERE id = 2", "events: record 2"),
        ("UPDATE events SET detail = '{\"first\": 1}' WHERE id = 2", "events: record 2"),
        ("UPDATE sightings SET camera = NULL", "sightings: record 0"),
        ("UPDATE settings SET threshold = 1.5", "settings: record 1"),
        ("UPDATE cameras SET name = 'dock' WHERE id = 1", "cameras: record 1"),
        ("UPDATE thumbnails SET data = zeroblob(length(data)) WHERE slot = 0", "thumbnails: record 0"),
        ("DELETE FROM events WHERE id = 2", "events: 1 records are missing"),
        ("UPDATE texts SET data = replace(data, 'p7', 'p8')", "checksum"),
        ("UPDATE texts SET data = replace(data, 'name', 'mane')", "damaged"),
        ("UPDATE texts SET data = zeroblob(256)", "name cannot be read"),
    ],
)
def test_a_changed_record_is_named(tmp_path: Path, sound: Path, statement: str, message: str) -> None:
    path = tmp_path / "people.gallery"
    path.write_bytes(sound.read_bytes())
    with sqlite3.connect(path) as db:
        db.execute(statement)
    db.close()
    with pytest.raises(DamagedGalleryError, match=message), Gallery.open(path, read_only=True) as gallery:
        gallery.check()


def test_a_damaged_block_names_its_observations_and_the_rest_is_saved(
    tmp_path: Path, sound: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "people.gallery"
    content = sound.read_bytes()
    row = PEOPLE[20, 0].tobytes()  # slot 160: of the second block
    assert content.count(row) == 1
    path.write_bytes(content.replace(row, row[:-1] + bytes([row[-1] ^ 1])))
    message = rf"block 1 \({VECTORS_PER_BLOCK} observations\).*gallery salvage"
    with pytest.raises(DamagedGalleryError, match=message), Gallery.open(path) as gallery:
        gallery.load()
    assert run(["gallery", "salvage", str(path), str(tmp_path / "new.gallery"), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["lost"] == {"observations whose vectors are damaged": VECTORS_PER_BLOCK}
    with Gallery.open(tmp_path / "new.gallery", TinyEncoder()) as gallery, Gallery.open(sound, read_only=True) as old:
        gallery.check()
        assert gallery.observation_count == old.observation_count - VECTORS_PER_BLOCK
        assert gallery.fingerprint == old.fingerprint
        assert gallery.describe("With Pictures").consent == "form 7"
        assert gallery.thumbnail(gallery.observations("With Pictures")[0].id)
        assert gallery.describe("p1").observations == 16
        assert "p2" not in [identity.name for identity in gallery.identities()]
        assert gallery.identify(PEOPLE[38, 0], threshold=0.1).identity == "p38"


def test_people_without_a_name_that_can_be_read_are_saved_under_another(tmp_path: Path, sound: Path) -> None:
    path = tmp_path / "people.gallery"
    path.write_bytes(sound.read_bytes())
    with sqlite3.connect(path) as db:
        db.execute("UPDATE texts SET data = zeroblob(256) WHERE slot = (SELECT text FROM identities WHERE id = 9)")
    db.close()
    found = Gallery.salvage(path, tmp_path / "new.gallery")
    assert found.renamed == 1
    with Gallery.open(tmp_path / "new.gallery") as gallery:
        assert gallery.describe("salvaged-9").observations == 8


@pytest.mark.parametrize("content", [b"", b"no gallery" * 99])
def test_what_is_no_gallery_cannot_be_salvaged(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "bad.gallery").write_bytes(content)
    with pytest.raises(PasserbyError):
        Gallery.salvage(tmp_path / "bad.gallery", tmp_path / "new.gallery")


def test_erasing_works_in_a_damaged_block_and_leaves_it_damaged(tmp_path: Path, sound: Path) -> None:
    path = tmp_path / "people.gallery"
    path.write_bytes(sound.read_bytes())
    with Gallery.open(path) as gallery:
        with sqlite3.connect(path) as db:
            db.execute("UPDATE vector_sums SET sum = sum + 1 WHERE block = 0")
        db.close()
        gallery.forget("p7")
        with pytest.raises(DamagedGalleryError, match="block 0"):
            gallery.check()


def test_sums() -> None:
    block = np.arange(64, dtype=np.float32).tobytes()
    changed = bytearray(block)
    changed[100] ^= 4
    assert block_sum(block) != block_sum(changed)
    assert record_sum(1, None, 2.5, b"x") != record_sum(1, None, 2.5, b"y")
