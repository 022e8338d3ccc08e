"""The file itself: durability, erasure, damage, other processes, formats."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import textwrap
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.contracts.galleries import DIM, TinyEncoder, people, picture

from passerby.errors import GalleryError, GalleryRequestError, StorageError
from passerby.gallery import transfer
from passerby.gallery.events import Note
from passerby.gallery.gallery import Gallery
from passerby.gallery.images_or_vectors import thumbnail
from passerby.gallery.stores.names import name_hint
from passerby.gallery.stores.rows import IdentityRecord
from passerby.gallery.stores.sqlite import schema
from passerby.gallery.stores.sqlite import store as sqlite
from passerby.gallery.stores.sqlite.new_file import ensure_file
from passerby.gallery.stores.sqlite.text_slots import read_text, write_text

PEOPLE = people(30, 4)
_JPEG_TABLES = 700  # the first bytes of a JPEG are tables that all have in common


def every_byte(path: Path) -> bytes:
    return b"".join(p.read_bytes() for p in sorted(path.parent.glob(path.name + "*")))


def traces(content: bytes, needles: dict[str, list[bytes]]) -> list[str]:
    return [name for name, parts in needles.items() if any(part in content for part in parts)]


def pieces(data: bytes, length: int = 24) -> list[bytes]:
    """Every part of some bytes, so that a torn copy is found, too."""
    return [data[i : i + length] for i in range(0, len(data) - length + 1, length)]


@pytest.mark.parametrize("storage", ["float32", "float16"])
def test_forget_leaves_no_byte_in_any_file(tmp_path: Path, storage: str) -> None:
    path = tmp_path / "people.gallery"
    draw = np.random.default_rng(5)
    with (
        Gallery.open(path, TinyEncoder(), storage=storage) as gallery,  # type: ignore[arg-type]
        Gallery.open(path, TinyEncoder(), read_only=True) as reader,
    ):
        for number in range(60):
            images = [picture(100 * number + i, 64, 32) for i in range(int(draw.integers(1, 4)))]
            gallery.enroll(f"Visitor Number {number}", images, notes=f"a long story about number {number} " * 9)
            len(reader)  # keeps a copy of earlier states in the write-ahead log for as long as it can
        gallery.rename("Visitor Number 7", "Somebody Renamed")
        gallery.rename("Somebody Renamed", "Somebody Renamed Twice")
        gallery.merge("Visitor Number 8", "Visitor Number 9")
        gallery.split("Visitor Number 8", [gallery.observations("Visitor Number 8")[0].id], name="Split Person")
        for number in (10, 11, 20, 46):
            gallery.judge_pair(f"Visitor Number {number}", f"Visitor Number {number + 2}", "one person")
        for kind in ("identify", "observe"):
            gallery.calibration(kind)  # knows everybody's neighbours
        gallery.find_duplicates()
        victims = ["Somebody Renamed Twice", "Visitor Number 8", "Split Person"]
        victims += [f"Visitor Number {number}" for number in range(20, 45)]
        dtype = np.float16 if storage == "float16" else np.float32
        vectors, thumbnails = [], []
        for name in victims:
            ids = [o.id for o in gallery.observations(name)]
            vectors += [part for row in gallery.vectors(ids) for part in pieces(row.astype(dtype).tobytes(), 16)]
            thumbnails += [part for i in ids for part in pieces((gallery.thumbnail(i) or b"")[_JPEG_TABLES:])]
        names = [*victims, "Visitor Number 7", "Visitor Number 9", "Somebody Renamed", "Split Person"]
        needles = {
            "vectors": vectors,
            "thumbnails": thumbnails,
            "names": [name.encode() + b'"' for name in names],
            "notes": [f"about number {n} ".encode() for n in (7, 8, 9, *range(20, 45))],
        }
        assert traces(every_byte(path), needles) == ["vectors", "thumbnails", "names", "notes"]  # they can be found
        assert len(thumbnails) > 1000
        for name in victims:
            assert gallery.forget(name).pending == ""
        assert traces(every_byte(path), needles) == []
        assert len(reader) == len(gallery) == 60 - 1 - 25 - 2
        gallery.enroll("After", picture(1))
        gallery.compact()
        gallery.check()
    assert traces(every_byte(path), needles) == []


@pytest.mark.slow
def test_calibrating_writes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "people.gallery"
    with Gallery.open(path) as gallery:
        gallery.enroll_many([f"p{i // 4}" for i in range(120)], vectors=PEOPLE.reshape(-1, DIM), cameras="door")
    before = path.read_bytes()
    with Gallery.open(path, read_only=True) as gallery:
        assert gallery.calibration("identify").people == 30
        assert gallery.identify(PEOPLE[0, 0], camera="hall").p_value is not None
        gallery.find_duplicates()
    assert path.read_bytes() == before


def test_memory_knows_nothing_of_who_was_forgotten(tmp_path: Path) -> None:
    with Gallery.open(tmp_path / "people.gallery") as gallery:
        gallery.enroll_many([f"p{i // 4}" for i in range(120)], vectors=PEOPLE.reshape(-1, DIM), cameras="door")
        gallery.calibration("identify")
        number = gallery.describe("p7").id
        gallery.forget("p7")
        _, rows, _ = gallery._calibrator._known
        assert number not in rows.rows.identities
        for made in rows.searches.values():
            assert number not in made.probes.identities
            assert all(number not in nearest.identities for nearest in made.nearest.values())


@pytest.mark.parametrize("dim", [3, 16, 40, 200])
def test_forget_leaves_no_byte_among_many_blocks(tmp_path: Path, dim: int) -> None:
    """Blocks of vectors smaller and larger than a page of the file, written in pieces and at once."""
    path = tmp_path / "people.gallery"
    draw = np.random.default_rng(dim)
    with Gallery.open(path) as gallery:
        for number in range(150):
            gallery.enroll(f"p{number}", vectors=draw.standard_normal((int(draw.integers(1, 9)), dim)))
            if number == 75:
                gallery.enroll_many([f"q{i // 10}" for i in range(900)], draw.standard_normal((900, dim)))
        victims = [f"p{number}" for number in range(0, 150, 2)] + [f"q{number}" for number in range(0, 90, 3)]
        ids = [o.id for name in victims for o in gallery.observations(name)]
        rows = {part for row in gallery.vectors(ids)[::3] for part in pieces(row.tobytes(), 12)[:: max(1, dim // 9)]}
        content = every_byte(path)
        assert sum(part in content for part in rows) > 0.95 * len(rows)  # others go across the end of a page
        for name in victims:
            gallery.forget(name)
        content = every_byte(path)
        assert not [part for part in rows if part in content]
        gallery.enroll_many([f"r{i}" for i in range(300)], draw.standard_normal((300, dim)))
        gallery.compact()
        gallery.check()
        content = every_byte(path)
        assert not [part for part in rows if part in content]


def test_undoing_an_enrolment_leaves_no_byte_either(tmp_path: Path) -> None:
    path = tmp_path / "people.gallery"
    with Gallery.open(path) as gallery:
        gallery.enroll("Kept", vectors=PEOPLE[0])
        gallery.enroll("Mistaken Person", vectors=PEOPLE[1])
        gallery.undo()
        assert traces(every_byte(path), {"v": [PEOPLE[1, 0].tobytes()], "n": [b"Mistaken Person"]}) == []


def test_a_reader_in_the_way_leaves_erasure_pending_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "_READER_SECONDS", 0.1)
    path = tmp_path / "people.gallery"
    with Gallery.open(path) as gallery:
        gallery.enroll("Ada", vectors=PEOPLE[0])
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN")
        other.execute("SELECT count(*) FROM vectors").fetchone()
        assert "another process" in gallery.forget("Ada").pending
        assert PEOPLE[0, 0].tobytes() in every_byte(path)
        other.execute("ROLLBACK")
        other.close()
        assert gallery.purge().pending == ""
        assert PEOPLE[0, 0].tobytes() not in every_byte(path)


def test_pending_erasure_is_finished_by_the_next_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "_READER_SECONDS", 0.1)
    path = tmp_path / "people.gallery"
    with Gallery.open(path) as gallery:
        gallery.enroll("Ada", vectors=PEOPLE[0])
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN")
        other.execute("SELECT count(*) FROM vectors").fetchone()
        gallery.forget("Ada")
        other.close()
        gallery.enroll("Bob", vectors=PEOPLE[1])
        assert PEOPLE[0, 0].tobytes() not in every_byte(path)


def test_freed_slots_are_used_again(tmp_path: Path) -> None:
    path = tmp_path / "people.gallery"
    with Gallery.open(path, TinyEncoder()) as gallery:
        for round_ in range(4):
            for number in range(20):
                gallery.enroll(f"p{number}", [picture(round_ * 20 + number)])
            if not round_:
                size = path.stat().st_size + path.with_name(path.name + "-wal").stat().st_size
            for number in range(20):
                gallery.forget(f"p{number}")
        assert path.stat().st_size < 2 * size


def other_database(path: Path) -> None:
    path.unlink()
    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE t(x)")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda p: p.write_bytes(b""), "empty"),
        (lambda p: p.write_bytes(b"not a database at all, but long enough"), "not a gallery"),
        (lambda p: p.write_bytes(p.read_bytes()[:20_000]), "damaged"),
        (lambda p: p.write_bytes(p.read_bytes()[:16384] + b"\xa5" * (p.stat().st_size - 16384)), "damaged"),
        (lambda p: (p.unlink(), p.mkdir()), "a folder"),
        (other_database, "not a gallery"),
    ],
    ids=["empty", "text", "truncated", "overwritten", "folder", "other database"],
)
def test_a_damaged_file_is_named(tmp_path: Path, damage: Callable[[Path], object], message: str) -> None:
    path = tmp_path / "people.gallery"
    with Gallery.open(path) as gallery:
        gallery.enroll_many([f"p{i}" for i in range(120)], PEOPLE.reshape(-1, DIM))
    damage(path)
    with pytest.raises(GalleryError, match=message) as caught:
        Gallery.open(path)
    assert str(path) in str(caught.value)


def test_a_flipped_vector_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "people.gallery"
    with Gallery.open(path) as gallery:
        gallery.enroll("Ada", vectors=PEOPLE[0])
    content = path.read_bytes()
    row = PEOPLE[0, 2].tobytes()
    assert row in content
    path.write_bytes(content.replace(row, row[:8] + b"\x00\x00\x80\x41" + row[12:]))
    message = r"block 0 \(4 observations\) do not match their checksum"
    with pytest.raises(GalleryError, match=message), Gallery.open(path) as gallery:
        gallery.load()


@pytest.mark.parametrize("name", ["missing/people.gallery", "ftp://host/people"])
def test_a_location_that_cannot_be_opened(tmp_path: Path, name: str) -> None:
    location = name if "://" in name else str(tmp_path / name)
    with pytest.raises(GalleryError):
        Gallery.open(location)
    with pytest.raises(GalleryError, match="no such gallery"):
        Gallery.open(tmp_path / "none.gallery", read_only=True)
    assert list(tmp_path.iterdir()) == []


def test_read_only_reads_and_refuses_changes(tmp_path: Path) -> None:
    path = tmp_path / "people.gallery"
    with Gallery.open(path) as gallery:
        gallery.enroll("Ada", vectors=PEOPLE[0])
    before = path.read_bytes()
    with Gallery.open(path, read_only=True) as gallery:
        assert gallery.identify(PEOPLE[0, 1], threshold=0.1).identity == "Ada"
        for attempt in (
            lambda: gallery.enroll("Bob", vectors=PEOPLE[1]),
            lambda: gallery.forget("Ada"),
            lambda: gallery.set_threshold(1.0),
            gallery.compact,
        ):
            with pytest.raises(StorageError, match="nothing was changed"):
                attempt()
    assert path.read_bytes() == before


def test_a_full_disk_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "people.gallery"
    with Gallery.open(path) as gallery:
        gallery.enroll("Ada", vectors=PEOPLE[0])
        database = gallery._store._db  # type: ignore[attr-defined]
        (pages,) = database.execute("PRAGMA page_count").fetchone()
        database.execute(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(StorageError, match="disk is full"):
            gallery.enroll_many([f"p{i}" for i in range(3000)], np.repeat(PEOPLE[1, :1], 3000, axis=0))
        assert [i.name for i in gallery.identities()] == ["Ada"]
        assert gallery.threshold is None
        database.execute("PRAGMA max_page_count = 100000")
        gallery.enroll("Bob", vectors=PEOPLE[1])
    with Gallery.open(path) as gallery:
        gallery.check()
        assert [i.name for i in gallery.identities()] == ["Ada", "Bob"]


FULL_DISK = """
    import resource, signal, sys
    import numpy as np
    from passerby.errors import StorageError
    from passerby.gallery.gallery import Gallery
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    with Gallery.open(sys.argv[1]) as gallery:
        resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, resource.RLIM_INFINITY))
        stored = 0
        try:
            for number in range(100):
                gallery.enroll_many([f"p{number}"] * 500, np.random.default_rng(number).standard_normal((500, 64)))
                stored += 1
        except StorageError as error:
            print(stored, error)
"""


def test_a_disk_that_fills_up_keeps_what_was_acknowledged(tmp_path: Path) -> None:
    path = tmp_path / "people.gallery"
    done = run_python(FULL_DISK, path)
    stored = int(done.split()[0])
    assert stored > 0
    assert "nothing was changed" in done
    with Gallery.open(path) as gallery:
        gallery.check()
        assert len(gallery) == stored


def run_python(script: str, *arguments: object) -> str:
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), *map(str, arguments)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    return done.stdout


WRITER = """
    import sys
    import numpy as np
    from passerby.gallery.gallery import Gallery
    who = int(sys.argv[2])
    with Gallery.open(sys.argv[1]) as gallery:
        for number in range(25):
            gallery.observe(np.eye(16)[number % 8] + 0.001 * who, threshold=0.5, keep=True)
            gallery.enroll(f"writer {who}", vectors=np.eye(16)[15 - who])
"""


def test_processes_write_at_the_same_time(tmp_path: Path) -> None:
    path = tmp_path / "people.gallery"
    with Gallery.open(path) as gallery:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
        writers = [
            subprocess.Popen([sys.executable, "-c", textwrap.dedent(WRITER), str(path), str(who)], env=environment)
            for who in range(3)
        ]
        seen = 0
        while any(writer.poll() is None for writer in writers):
            assert gallery.observation_count >= seen  # a reader never goes back
            seen = gallery.observation_count
        assert [writer.returncode for writer in writers] == [0, 0, 0]
        assert gallery.observation_count == 3 * 50
        # observing is one step: eight people, however many watched them
        assert sorted(i.name for i in gallery.identities() if i.unknown) == [f"unknown-{n}" for n in range(1, 9)]
        assert [gallery.describe(f"writer {who}").observations for who in range(3)] == [25, 25, 25]
        gallery.check()


def test_a_newer_format_is_refused_and_an_older_one_migrated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "people.gallery"
    with Gallery.open(path) as gallery:
        gallery.enroll("Ada", vectors=PEOPLE[0])
    added = "CREATE TABLE later (x);\nINSERT INTO later VALUES (7);\n"
    with monkeypatch.context() as patch:
        patch.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, added))
        with pytest.raises(GalleryError, match="open it once for writing"):
            Gallery.open(path, read_only=True)
        for _ in range(2):  # the second time there is nothing to do
            with Gallery.open(path) as gallery:
                assert gallery.identify(PEOPLE[0, 0], threshold=0.1).identity == "Ada"
        with sqlite3.connect(path) as database:
            assert database.execute("SELECT x FROM later").fetchall() == [(7,)]
        database.close()
    with pytest.raises(GalleryError, match="install a newer passerby"):
        Gallery.open(path)


def make_version_2(path: Path, *changes: str) -> None:
    """Turn a gallery file into one of the second version of the format, which let two have one name."""
    database = sqlite3.connect(path, isolation_level=None)
    for slot, data in database.execute("SELECT slot, data FROM texts").fetchall():
        if data.strip(b"\0"):
            text = json.dumps(read_text(data, ""), ensure_ascii=False).encode()
            database.execute("UPDATE texts SET data = ? WHERE slot = ?", (text.ljust(len(data)), slot))
    for statement in (
        "DROP TABLE record_sums",
        "DROP TABLE vector_sums",
        "DROP TABLE calibrations",
        "DROP TABLE camera_means",
        "ALTER TABLE settings DROP COLUMN cohort",
        "ALTER TABLE settings DROP COLUMN camera_means",
        "DROP INDEX events_pairs",
        "ALTER TABLE settings DROP COLUMN far",
        "DROP TRIGGER name_of_new",
        "DROP TRIGGER name_of_changed",
        "DROP INDEX identities_name_hint",
        "ALTER TABLE identities DROP COLUMN name_hint",
        "DROP TABLE sightings",
        "DROP TABLE sighting_vectors",
        "DROP TABLE sighting_ids",
        "ALTER TABLE settings DROP COLUMN keep_sighting_vectors",
        "ALTER TABLE settings DROP COLUMN sightings_expire_after",
        "ALTER TABLE settings DROP COLUMN templates_per_camera",
    ):
        database.execute(statement)
    database.execute("ALTER TABLE settings RENAME COLUMN slot_generation TO generation")
    for change in changes:
        database.execute(change)
    database.execute("PRAGMA user_version = 2")
    database.close()


def make_version_1(path: Path) -> None:
    """Turn a gallery file into one of the first version of the format, which had a row for each vector."""
    make_version_2(path)
    database = sqlite3.connect(path, isolation_level=None)
    blocks = database.execute("SELECT block, data FROM vectors").fetchall()
    (dim,) = database.execute("SELECT dim FROM settings").fetchone()
    database.execute("DROP TABLE vectors")
    database.execute("CREATE TABLE vectors (slot INTEGER PRIMARY KEY, data BLOB NOT NULL)")
    rows = [
        (schema.VECTORS_PER_BLOCK * block + place, data[4 * dim * place : 4 * dim * (place + 1)])
        for block, data in blocks
        for place in range(schema.VECTORS_PER_BLOCK)
    ]
    present = {slot for (slot,) in database.execute("SELECT slot FROM observations")}
    database.executemany("INSERT INTO vectors VALUES (?, ?)", [row for row in rows if row[0] in present])
    database.execute("PRAGMA user_version = 1")
    database.close()


def test_a_file_of_the_first_format_is_migrated(tmp_path: Path) -> None:
    path = tmp_path / "people.gallery"
    with Gallery.open(path) as gallery:
        gallery.enroll_many([f"p{i // 9}" for i in range(270)], people(30, 9).reshape(-1, DIM))
        gallery.forget("p3")
        before = gallery.identities(), gallery.observations()
        vectors = gallery.vectors([o.id for o in before[1]])
    make_version_1(path)
    with pytest.raises(GalleryError, match="open it once for writing"):
        Gallery.open(path, read_only=True)
    with Gallery.open(path) as gallery:
        assert (gallery.identities(), gallery.observations()) == before
        assert np.array_equal(gallery.vectors([o.id for o in before[1]]), vectors)
        needles = {"vectors": pieces(gallery.vectors([gallery.observations("p7")[0].id])[0].tobytes(), 16)}
        gallery.forget("p7")
        gallery.enroll("new", vectors=people(1, 20, seed=3)[0])
        gallery.check()
        gallery.purge()
    assert traces(every_byte(path), needles) == []  # not even in the pages of the old table


def called(old: str, new: str) -> str:
    """SQL that gives an identity another name (of the same length) as undoing a renaming once did: unchecked."""
    return (
        f'UPDATE texts SET data = CAST(replace(CAST(data AS TEXT), \'"name": "{old}"\', \'"name": "{new}"\') AS BLOB)'
    )


def test_equal_names_of_an_older_format_are_made_unique(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "people.gallery"
    with Gallery.open(path) as gallery:
        for number, name in enumerate(["Bob", "Rob", "Rab", "Bob (2)", "Rib"]):
            gallery.enroll(name, vectors=PEOPLE[number])
        gallery.merge("Bob (2)", "Rib")
    make_version_2(path, *(called(name, "Bob") for name in ("Rob", "Rab", "Rib")))
    for _ in range(2):  # the second time there is nothing to do
        with Gallery.open(path) as gallery:
            assert [i.name for i in gallery.identities()] == ["Bob", "Bob (3)", "Bob (4)", "Bob (2)"]
            assert gallery.describe("Bob (2)").aliases == ("Bob (5)",)
            assert [e.name for e in gallery.history() if e.action == "unique_name"] == ["Bob (5)", "Bob (4)", "Bob (3)"]
            assert gallery.history("Bob (3)")[0].private == {"name": "Bob"}
            gallery.check()
    assert [record.args[1:] for record in caplog.records] == [(1, 2, 2), (1, 3, 3), (1, 5, 5)]  # type: ignore[index]
    with Gallery.open(path) as gallery:
        assert gallery.undo().action == "merge"  # no more in the way than other entries that only note something
        for number, name in enumerate(["Bob", "Bob (3)", "Bob (4)", "Bob (2)", "Bob (5)"]):
            assert gallery.identify(PEOPLE[number, 0], threshold=0.1).identity == name
            assert gallery.forget(name).observations == 4
        assert gallery.observation_count == 0
    assert traces(every_byte(path), {"names": [b'"Bob']}) == []


def test_a_name_made_unique_has_at_most_200_characters(tmp_path: Path) -> None:
    path = tmp_path / "people.gallery"
    with Gallery.open(path) as gallery:
        gallery.enroll("B" + 199 * "o", vectors=PEOPLE[0])
        gallery.enroll("R" + 199 * "o", vectors=PEOPLE[1])
    make_version_2(path, called("R" + 199 * "o", "B" + 199 * "o"))
    with Gallery.open(path) as gallery:
        assert gallery.forget("B" + 195 * "o" + " (2)").observations == 4
        gallery.check()


def test_the_file_itself_lets_no_two_have_one_name(tmp_path: Path) -> None:
    with Gallery.open(tmp_path / "people.gallery") as gallery:
        gallery.enroll("Ada", vectors=PEOPLE[0])
        gallery.enroll("Bob", vectors=PEOPLE[1])
        store = gallery._store
        for record in (IdentityRecord(0, "Ada"), replace(store.find(["Bob"])["Bob"], name="Ada")):
            with pytest.raises(GalleryRequestError, match="'Ada' already"), store.transaction():
                store.put_identity(record)
        assert [(i.name, i.observations) for i in gallery.identities()] == [("Ada", 4), ("Bob", 4)]
        gallery.check()
        store._db.execute("UPDATE identities SET name_hint = 7 WHERE id = 1")  # type: ignore[attr-defined]
        with pytest.raises(GalleryError, match="found by its name"):
            gallery.check()


def test_many_names_with_few_hints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "name_hint", lambda name: len(name))
    names = [f'{letter}"{number}, é' for letter in "ab" for number in range(15)]
    with Gallery.open(tmp_path / "people.gallery") as gallery:
        for number, name in enumerate(names):
            gallery.enroll(name, vectors=PEOPLE[number])
        for number in range(15):
            gallery.rename(names[number], f"c{number}")
            gallery.forget(f"c{number}")
            gallery.enroll(names[number], vectors=PEOPLE[number])
        assert {i.name: i.observations for i in gallery.identities()} == dict.fromkeys(names, 4)
        store = gallery._store
        for name in names:
            with pytest.raises(GalleryRequestError, match="already"), store.transaction():
                store.put_identity(IdentityRecord(0, name))
        gallery.check()


def test_a_file_that_became_newer_meanwhile_is_not_written_to(tmp_path: Path) -> None:
    path = tmp_path / "people.gallery"
    with Gallery.open(path) as gallery:
        gallery.enroll("Ada", vectors=PEOPLE[0])
        with sqlite3.connect(path) as database:
            database.execute(f"PRAGMA user_version = {len(schema.MIGRATIONS) + 1}")
        database.close()
        for attempt in (lambda: gallery.enroll("Bob", vectors=PEOPLE[1]), gallery.identities):
            with pytest.raises(GalleryError, match="install a newer passerby"):
                attempt()


def test_compacting_closes_gaps(tmp_path: Path) -> None:
    path = tmp_path / "people.gallery"
    rows = people(200, 5, dim=64).reshape(-1, 64)
    with Gallery.open(path) as gallery, Gallery.open(path) as reader:
        gallery.enroll_many([f"p{i // 5}" for i in range(1000)], rows)
        for number in range(200):
            if number % 3:
                gallery.forget(f"p{number}")
        before = path.stat().st_size
        gallery.compact()
        assert path.stat().st_size < before - 0.5 * rows.nbytes
        kept = [number for number in range(200) if not number % 3]
        for each in (gallery, reader):
            assert [i.name for i in each.identities()] == [f"p{number}" for number in kept]
            for number in kept:
                ids = [o.id for o in each.observations(f"p{number}")]
                assert np.array_equal(each.vectors(ids), rows[5 * number : 5 * number + 5])
        reader.enroll("new", vectors=rows[:3])
        assert gallery.identify(rows[1], threshold=0.01, top=2).matches[0].distance == 0
        gallery.check()
        for identity in gallery.identities():
            gallery.forget(identity.name)
        gallery.compact()
        gallery.enroll("first again", vectors=rows[0])
        gallery.check()
        assert len(reader) == 1


def test_missing_vectors_are_noticed(tmp_path: Path) -> None:
    path = tmp_path / "people.gallery"
    with Gallery.open(path) as gallery:
        gallery.enroll("Ada", vectors=PEOPLE[0])
    for damage, message in (
        ("UPDATE vectors SET data = x'00'", "numbers a vector"),
        ("DELETE FROM vectors", "missing"),
    ):
        with sqlite3.connect(path) as database:
            database.execute(damage)
        database.close()
        with pytest.raises(GalleryError, match=message), Gallery.open(path) as gallery:
            gallery.load()


def test_a_migration_that_fails_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "people.gallery"
    Gallery.open(path).close()
    monkeypatch.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, "CREATE TABLE later (x);\nSELECT no_such();\n"))
    with pytest.raises(GalleryError):
        Gallery.open(path)
    monkeypatch.undo()
    with Gallery.open(path) as gallery:
        assert len(gallery) == 0


def test_an_import_in_several_parts_is_one_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "_CHUNK", 7)
    with Gallery.open(tmp_path / "a.gallery") as gallery:
        gallery.enroll_many([f"p{i // 4}" for i in range(120)], PEOPLE.reshape(-1, DIM))
        assert gallery.export_parquet(tmp_path / "out.parquet") == 120
    with Gallery.open(tmp_path / "b.gallery") as gallery:
        gallery.enroll("p3", vectors=PEOPLE[3, 0])
        assert gallery.import_parquet(tmp_path / "out.parquet") == 120
        assert len(gallery) == 30
        gallery.undo()
        assert [(i.name, i.observations) for i in gallery.identities()] == [("p3", 1)]


@pytest.mark.skipif(os.name != "posix", reason="modes of files")
def test_files_are_their_owners_alone(tmp_path: Path) -> None:
    with Gallery.open(tmp_path / "people.gallery") as gallery:
        gallery.enroll("Ada", vectors=PEOPLE[0])
        gallery.backup(tmp_path / "copy.gallery")
        gallery.export_parquet(tmp_path / "out.parquet")
        assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}
        assert len(list(tmp_path.iterdir())) >= 4


def test_a_backup_is_a_gallery(tmp_path: Path) -> None:
    with Gallery.open(tmp_path / "people.gallery") as gallery:
        gallery.enroll("Ada", vectors=PEOPLE[0])
        gallery.backup(tmp_path / "copy.gallery")
        gallery.enroll("Bob", vectors=PEOPLE[1])
        with pytest.raises(GalleryError, match="exists already"):
            gallery.backup(tmp_path / "copy.gallery")
        with pytest.raises(StorageError):
            gallery.backup(tmp_path / "missing" / "copy.gallery")
    with Gallery.open(tmp_path / "copy.gallery") as copy:
        assert [i.name for i in copy.identities()] == ["Ada"]
        copy.enroll("Carl", vectors=PEOPLE[2])
    assert not [p for p in tmp_path.iterdir() if "partial" in p.name]


def test_a_backup_taken_while_others_write_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "people.gallery"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
    with Gallery.open(path) as gallery:
        gallery.enroll("Ada", vectors=PEOPLE[0])
        writer = subprocess.Popen([sys.executable, "-c", textwrap.dedent(WRITER), str(path), "0"], env=environment)
        copies = 0
        while writer.poll() is None or not copies:
            gallery.backup(tmp_path / f"copy-{copies}.gallery")
            copies += 1
        assert writer.returncode == 0
    sizes = []
    for number in range(copies):
        with Gallery.open(tmp_path / f"copy-{number}.gallery") as copy:
            copy.check()
            sizes.append(copy.observation_count)
            events = [event for event in copy.history() if event.action in ("enroll", "observe")]
            assert sum(event.detail["count"] for event in events) == sizes[-1]  # the log and the vectors agree
    assert sizes == sorted(sizes)


def test_float16_halves_the_file_and_hardly_moves_distances(tmp_path: Path) -> None:
    rows = people(500, 2, dim=256).reshape(-1, 256)
    names = [f"p{i // 2}" for i in range(1000)]
    sizes: dict[str, int] = {}
    answers = {}
    for storage in ("float32", "float16"):
        path = tmp_path / f"{storage}.gallery"
        with Gallery.open(path, storage=storage) as gallery:
            gallery.enroll_many(names, rows)
            answers[storage] = gallery.identify_many(people(20, 1, seed=2, dim=256)[:, 0])
        sizes[storage] = path.stat().st_size
    assert sizes["float32"] - sizes["float16"] == pytest.approx(rows.nbytes / 2, rel=0.1)
    for full, half in zip(answers["float32"], answers["float16"], strict=True):
        assert [m.distance for m in half] == pytest.approx([m.distance for m in full], abs=2e-4)


def test_threads_share_a_gallery(tmp_path: Path) -> None:
    with Gallery.open(tmp_path / "people.gallery") as gallery:
        gallery.enroll_many([f"p{i // 4}" for i in range(120)], PEOPLE.reshape(-1, DIM))

        def work(number: int) -> str | None:
            gallery.enroll(f"new {number}", vectors=people(1, 1, seed=1000 + number)[0])
            return gallery.identify(PEOPLE[number % 30, 0], threshold=0.01).identity

        with ThreadPoolExecutor(4) as pool:
            assert list(pool.map(work, range(40))) == [f"p{n % 30}" for n in range(40)]
        assert len(gallery) == 70


@pytest.mark.parametrize("replaced", [False, True])
def test_a_deleted_file_is_not_written_to(tmp_path: Path, replaced: bool) -> None:
    path = tmp_path / "people.gallery"
    with Gallery.open(path) as gallery:
        gallery.enroll("Ada", vectors=PEOPLE[0])
        gallery.log("identify", identity="Ada")
        path.rename(tmp_path / "elsewhere")
        if replaced:
            path.write_bytes((tmp_path / "elsewhere").read_bytes())
        for write in (
            lambda: gallery.enroll("Bob", vectors=PEOPLE[1]),
            lambda: gallery.log("identify", identity="Ada"),
            lambda: gallery.forget("Ada"),
        ):
            with pytest.raises(StorageError, match="replaced" if replaced else "deleted or moved away"):
                write()
        (tmp_path / "elsewhere").rename(path)
        gallery.enroll("Eve", vectors=PEOPLE[2])
        assert [i.name for i in gallery.identities()] == ["Ada", "Eve"]


def test_notes_are_written_while_others_read_and_write(tmp_path: Path) -> None:
    with Gallery.open(tmp_path / "people.gallery") as gallery, ThreadPoolExecutor(4) as pool:
        gallery.enroll("Ada", vectors=PEOPLE[0])

        def work(number: int) -> None:
            if number % 4 == 0:
                gallery.enroll(f"p{number}", vectors=PEOPLE[number % 30])
            gallery.identify(PEOPLE[number % 30, 0])
            gallery.log_many([Note("identify", "Ada", f"desk-{number}"), Note("seen", "Ada", f"desk-{number}")])

        list(pool.map(work, range(40)))
        noted = [(e.action, e.actor) for e in gallery.history() if e.actor]
        assert sorted(noted) == sorted((a, f"desk-{n}") for a in ("identify", "seen") for n in range(40))


def test_a_closed_gallery_says_so(tmp_path: Path) -> None:
    gallery = Gallery.open(tmp_path / "people.gallery")
    gallery.close()
    with pytest.raises(GalleryError, match="closed"):
        gallery.identify(np.ones(DIM))
    with pytest.raises(GalleryError, match="closed"):
        gallery.log("asked")


def test_another_storage_than_the_files_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "people.gallery"
    Gallery.open(path, storage="float16").close()
    with pytest.raises(GalleryRequestError, match="stores vectors as float16, opened with storage='float32'"):
        Gallery.open(path, storage="float32")
    Gallery.open(path, storage="float16").close()
    with Gallery.open(path) as gallery:  # without a wish: as it is
        gallery.enroll("Ada", vectors=PEOPLE[0])


@pytest.mark.parametrize("storage", ["float32", "float16"])
def test_forget_leaves_no_byte_of_sightings_in_any_file(tmp_path: Path, storage: str) -> None:
    path = tmp_path / "people.gallery"
    with Gallery.open(path, TinyEncoder(), storage=storage) as gallery:  # type: ignore[arg-type]
        gallery.set_sightings(keep_vectors=True)
        for number in range(12):
            gallery.enroll(f"person-{number}", picture(number, 64, 32))
        for number in range(12):
            for look in range(6):
                moment = 1_780_000_000.25 + 100 * number + look
                gallery.observe(
                    picture(number, 64, 32),
                    camera="hall",
                    time=moment,
                    source=f"films of {number}/{look}.mp4",
                    threshold=0.3,
                    thumbnail=thumbnail(picture(1000 + 10 * number + look)),
                )
        assert [s.identity for s in gallery.sightings("person-3")] == ["person-3"] * 6
        needles: dict[str, list[bytes]] = {"vectors": [], "thumbnails": [], "sources": []}
        for number in (3, 7):
            for sighting in gallery.sightings(f"person-{number}"):
                needles["thumbnails"] += pieces((gallery.sighting_thumbnail(sighting.id) or b"")[_JPEG_TABLES:])
                needles["sources"].append(sighting.source.encode())
            dtype = np.float16 if storage == "float16" else np.float32
            vector = TinyEncoder().encode([picture(number, 64, 32)])[0]
            needles["vectors"] += pieces(vector.astype(dtype).tobytes(), 16)
        assert traces(every_byte(path), needles) == ["vectors", "thumbnails", "sources"]
        gallery.forget("person-3")
        gallery.set_sightings(expire_after=50)
        expired = 1_780_000_000 + 100 * 7 + 60  # those of the persons 0 to 7
        assert gallery.purge(now=expired).sightings == 7 * 6
        gallery.forget("person-7")
        assert traces(every_byte(path), needles) == []
        assert len(gallery.sightings()) == 4 * 6
        gallery.observe(picture(8, 64, 32), camera="hall", time=1_780_009_000, threshold=0.3)
        gallery.compact()
        gallery.check()
        assert len(gallery.find_sightings(picture(8, 64, 32), top=100)) == 4 * 6 + 1
    assert traces(every_byte(path), needles) == []


def test_vectors_of_sightings_are_erased_when_they_are_no_longer_wanted(tmp_path: Path) -> None:
    path = tmp_path / "people.gallery"
    with Gallery.open(path) as gallery:
        gallery.set_sightings(keep_vectors=True)
        gallery.enroll("ada", vectors=PEOPLE[0, 0])
        for view in range(1, 4):
            gallery.observe(PEOPLE[0, view], threshold=1.0)
        needles = {"vectors": [PEOPLE[0, view].tobytes() for view in range(1, 4)]}
        assert traces(every_byte(path), needles) == ["vectors"]
        gallery.set_sightings(keep_vectors=False)
        assert traces(every_byte(path), needles) == []
        assert [s.has_vector for s in gallery.sightings()] == [False] * 3


def test_sightings_of_former_times_are_taken_from_the_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "people.gallery"
    with monkeypatch.context() as old:
        old.setattr(schema, "MIGRATIONS", schema.MIGRATIONS[:3])
        ensure_file(path, path, must_exist=False, storage="float32")
    db = sqlite3.connect(path)
    add_identity(db, 1, "ada")
    add_identity(db, 2, "unknown-1")
    add_identity(db, 3, "unknown-2", merged_into=1)
    db.execute("INSERT INTO cameras VALUES (1, 'hall')")
    log = [
        ("seen", 1, '{"camera": "hall", "time": 5.0, "distance": 0.25}', 0),
        ("seen", 3, '{"camera": "yard", "time": null, "distance": 0.5}', 0),
        ("seen", 9, "{}", 0),  # forgotten
        ("seen", 1, '{"migrated": true}', 0),
        ("observe", 2, '{"first": 1, "last": 1, "count": 1, "created": true}', 0),
        ("observe", 2, '{"first": 2, "last": 2, "count": 1, "created": false}', 1),
    ]
    for at, (action, identity, detail, undone) in enumerate(log):
        db.execute(
            "INSERT INTO events (at, action, actor, identity, detail, undone) VALUES (?, ?, '', ?, ?, ?)",
            (1000.0 + at, action, identity, detail, undone),
        )
    db.commit()
    db.close()
    with Gallery.open(path) as gallery:
        seen = gallery.sightings()
        assert [(s.identity, s.camera, s.start, s.distance, s.at) for s in seen] == [
            ("ada", "yard", None, 0.5, 1001.0),
            ("ada", "hall", 5.0, 0.25, 1000.0),
        ]
        gallery.check()
        gallery.set_sightings(expire_after=1)
        assert gallery.purge().sightings == 2
        assert [e.detail for e in gallery.history("ada") if e.action == "seen"] == [{"migrated": True}, {}]


def add_identity(db: sqlite3.Connection, number: int, name: str, merged_into: int | None = None) -> None:
    slot = write_text(db, {"name": name, "notes": "", "consent": ""}, None)
    db.execute(
        "INSERT INTO identities VALUES (?, ?, 0, NULL, 0, ?, 1, ?)", (number, slot, merged_into, name_hint(name))
    )
