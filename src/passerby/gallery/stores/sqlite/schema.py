"""The tables of a gallery file, version by version.

Bytes that must be erasable (vectors, thumbnails, the texts of an identity) live in *slot tables*: rows are only
appended or overwritten in place by a BLOB of the same size, never moved and never deleted. SQLite's `secure_delete`
zeroes what is deleted, but when it rebalances a b-tree it may leave copies of moved rows behind in the unused part of a
page; in a slot table there is nothing to move. All other tables hold numbers (and camera names).

Thumbnails and texts have a row each. Vectors share a row with their neighbours: a row holds those of
`VECTORS_PER_BLOCK` slots one behind the other, so that a gallery is read in large pieces, without a Python object for
each vector, and one vector is still written and erased in place (SQLite's incremental BLOB I/O).
"""

from __future__ import annotations

import json
import logging
import sqlite3
import time as clock
from collections.abc import Callable
from typing import Any

from passerby.gallery.stores.names import free_name, name_hint
from passerby.gallery.stores.sqlite import checksums
from passerby.gallery.stores.sqlite.text_slots import read_text, sum_texts, write_text

log = logging.getLogger("passerby")

APPLICATION_ID = 0x70617373  # "pass"
PAGE_SIZE = 16_384
VECTORS_PER_BLOCK = 128


def _pack_vectors(db: sqlite3.Connection) -> None:
    """From a row for each vector to a row for each block of slots; slots that have no row are zeros."""
    db.execute("ALTER TABLE vectors RENAME TO single_vectors")
    db.execute("CREATE TABLE vectors (block INTEGER PRIMARY KEY, data BLOB NOT NULL)")
    (size,) = db.execute("SELECT coalesce(max(length(data)), 0) FROM single_vectors").fetchone()
    (end,) = db.execute("SELECT coalesce(max(slot) + 1, 0) FROM single_vectors").fetchone()
    for block in range(-(-end // VECTORS_PER_BLOCK)):
        first = block * VECTORS_PER_BLOCK
        data = bytearray(VECTORS_PER_BLOCK * size)
        rows = db.execute(
            "SELECT slot, data FROM single_vectors WHERE slot >= ? AND slot < ?", (first, first + VECTORS_PER_BLOCK)
        )
        for slot, vector in rows:
            data[(slot - first) * size : (slot - first + 1) * size] = vector
        db.execute("INSERT INTO vectors VALUES (?, ?)", (block, data))
    db.execute("DROP TABLE single_vectors")


_NAME_TAKEN = """
    WHEN EXISTS (
        SELECT 1 FROM identities o JOIN texts t ON t.slot = o.text
        WHERE o.name_hint = NEW.name_hint AND o.id <> NEW.id
            AND json_extract(CAST(t.data AS TEXT), '$.name')
                = (SELECT json_extract(CAST(n.data AS TEXT), '$.name') FROM texts n WHERE n.slot = NEW.text)
    )
    BEGIN SELECT RAISE(ABORT, 'the name is taken'); END
"""


def _make_names_unique(db: sqlite3.Connection) -> None:
    """No two identities of one name. Undoing a renaming could make them: the younger gets another name now.

    A unique index would have to hold the names, or hashes that give them away to who guesses them, and could not be
    erased (see above). So an index of 16 bits of each name's hash finds the few that may be equal, and triggers compare
    those as they are.
    """
    # an older passerby that has the file open right now looks for the column of the old name, and stops
    db.execute("ALTER TABLE settings RENAME COLUMN generation TO slot_generation")
    db.execute("ALTER TABLE identities ADD COLUMN name_hint INTEGER NOT NULL DEFAULT -1")
    (location,) = db.execute("SELECT file FROM pragma_database_list WHERE name = 'main'").fetchone()
    rows = db.execute(
        "SELECT i.id, i.text, t.data FROM identities i LEFT JOIN texts t ON t.slot = i.text ORDER BY i.id"
    )
    texts = {identity: (slot, read_text(data, location, summed=False)) for identity, slot, data in rows.fetchall()}
    taken = {text["name"] for _, text in texts.values()}
    owners: dict[str, int] = {}
    for identity, (slot, text) in texts.items():
        name = text["name"]
        if name in owners:
            _rename_twin(db, identity, slot, text, free_name(name, taken))
            log.warning(
                "%s: identities %d and %d had one name; the younger, %d, has a number behind it now (see the history)",
                location, owners[name], identity, identity,
            )  # fmt: skip
            name = text["name"]
            taken.add(name)
        owners[name] = identity
        db.execute("UPDATE identities SET name_hint = ? WHERE id = ?", (name_hint(name), identity))
    db.execute("CREATE INDEX identities_name_hint ON identities (name_hint)")
    db.execute(f"CREATE TRIGGER name_of_new AFTER INSERT ON identities {_NAME_TAKEN}")
    db.execute(f"CREATE TRIGGER name_of_changed AFTER UPDATE OF text, name_hint ON identities {_NAME_TAKEN}")


def _rename_twin(db: sqlite3.Connection, identity: int, slot: int, text: dict[str, Any], name: str) -> None:
    old = write_text(db, {"name": text["name"]}, None)
    db.execute(
        "INSERT INTO events (at, action, actor, identity, detail, text) VALUES (?, 'unique_name', '', ?, '{}', ?)",
        (clock.time(), identity, old),
    )
    text["name"] = name
    db.execute("UPDATE settings SET revision = revision + 1")
    db.execute(
        "UPDATE identities SET text = ?, revision = (SELECT revision FROM settings) WHERE id = ?",
        (write_text(db, text, slot), identity),
    )


_SIGHTINGS = (
    "ALTER TABLE settings ADD COLUMN keep_sighting_vectors INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE settings ADD COLUMN sightings_expire_after REAL",
    "ALTER TABLE settings ADD COLUMN templates_per_camera INTEGER",
    """
    CREATE TABLE sightings (
        slot INTEGER PRIMARY KEY,
        id INTEGER NOT NULL,
        identity INTEGER,                   -- NULL: the slot is free
        camera INTEGER,
        started REAL,
        ended REAL,
        distance REAL,
        p_value REAL,
        frames INTEGER NOT NULL,
        first_frame INTEGER,
        last_frame INTEGER,
        is_new INTEGER NOT NULL,
        at REAL NOT NULL,
        first_observation INTEGER NOT NULL,
        last_observation INTEGER NOT NULL,
        event INTEGER NOT NULL,             -- entry of the log that holds camera, time and distance, too; or 0
        thumbnail INTEGER,                  -- slot
        source INTEGER,                     -- slot of a text
        vector INTEGER                      -- slot in sighting_vectors
    )
    """,
    "CREATE UNIQUE INDEX sightings_id ON sightings (id)",
    "CREATE INDEX sightings_identity ON sightings (identity)",
    "CREATE INDEX sightings_camera ON sightings (camera, started)",
    "CREATE TABLE sighting_vectors (slot INTEGER PRIMARY KEY, data BLOB NOT NULL)",
    "CREATE TABLE sighting_ids (one INTEGER PRIMARY KEY CHECK (one = 1), last INTEGER NOT NULL)",
    "INSERT INTO sighting_ids VALUES (1, 0)",
)


def _add_sightings(db: sqlite3.Connection) -> None:
    """Sightings as data; those of former times are taken from the log, as far as it still knows them.

    A known person's is an entry "seen" (camera, time, distance), an unknown person's an entry "observe" with the
    observations that were stored; they may belong to another identity by now.
    """
    for statement in _SIGHTINGS:
        db.execute(statement)
    merged = dict(db.execute("SELECT id, merged_into FROM identities"))
    rows = db.execute(
        "SELECT id, at, action, identity, detail FROM events WHERE action IN ('seen', 'observe') AND undone = 0 "
        "AND detail <> '{}' ORDER BY id"
    ).fetchall()
    cameras = {name: code for code, name in db.execute("SELECT id, name FROM cameras").fetchall()}
    number = 0
    for event, at, action, identity, text in rows:
        detail = json.loads(text)
        first = last = 0
        if action == "seen" and "distance" in detail:
            for camera in {detail.get("camera")} - {None} - set(cameras):
                cameras[camera] = db.execute("INSERT INTO cameras (name) VALUES (?)", (camera,)).lastrowid
            place, moment = cameras.get(detail.get("camera")), detail.get("time")
            while merged.get(identity) is not None:
                identity = merged[identity]
        elif action == "observe" and "first" in detail:
            first, last = detail["first"], detail["last"]
            found = db.execute(
                "SELECT identity, camera, time FROM observations WHERE id >= ? AND id <= ? AND identity IS NOT NULL "
                "ORDER BY id LIMIT 1",
                (first, last),
            ).fetchone()
            identity, place, moment = found or (None, None, None)
        else:
            continue
        if identity not in merged:
            continue
        number += 1
        db.execute(
            "INSERT INTO sightings VALUES (?, ?, ?, ?, ?, ?, ?, NULL, 1, NULL, NULL, ?, ?, ?, ?, ?, NULL, NULL, NULL)",
            (
                number - 1,
                number,
                identity,
                place,
                moment,
                moment,
                detail.get("distance"),
                bool(detail.get("created")),
                at,
                first,
                last,
                event if action == "seen" else 0,
            ),
        )
    db.execute("UPDATE sighting_ids SET last = ?", (number,))


def _add_calibration(db: sqlite3.Connection) -> None:
    """The asked false accept rate, and a quick way to the pairs of identities that somebody has judged."""
    db.execute("ALTER TABLE settings ADD COLUMN far REAL")
    db.execute("CREATE INDEX events_pairs ON events (id) WHERE action = 'pair'")


def _find_names_in_any_writing(db: sqlite3.Connection) -> None:
    """Hints that are the same for 1, 01 and 1.0, and however a letter is composed."""
    (location,) = db.execute("SELECT file FROM pragma_database_list WHERE name = 'main'").fetchone()
    rows = db.execute("SELECT i.id, t.data FROM identities i LEFT JOIN texts t ON t.slot = i.text").fetchall()
    db.executemany(
        "UPDATE identities SET name_hint = ? WHERE id = ?",
        [(name_hint(read_text(data, location, summed=False)["name"]), identity) for identity, data in rows],
    )


def _add_checksums(db: sqlite3.Connection) -> None:
    """The sums themselves are computed when all steps are done (see new_file.py)."""
    for statement in checksums.TABLES:
        db.execute(statement)
    db.execute("CREATE INDEX sightings_source ON sightings (source)")
    db.execute("CREATE INDEX events_text ON events (text)")
    db.execute("CREATE INDEX identities_text ON identities (text)")
    sum_texts(db)
    for name in ("sightings_source", "events_text", "identities_text"):
        db.execute(f"DROP INDEX {name}")


_COMPARISON = """
    ALTER TABLE settings ADD COLUMN cohort INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE settings ADD COLUMN camera_means INTEGER NOT NULL DEFAULT 0;
    CREATE TABLE camera_means (
        version INTEGER PRIMARY KEY,
        data BLOB NOT NULL,                 -- empty: erased
        has_forgotten INTEGER NOT NULL      -- somebody who was in the means has been forgotten since
    );
    CREATE TABLE calibrations (             -- what calibration has computed: may be gone at any time
        key TEXT PRIMARY KEY,
        data BLOB NOT NULL,
        sum INTEGER NOT NULL
    );
"""

MIGRATIONS: tuple[str | Callable[[sqlite3.Connection], None], ...] = (
    # 0 -> 1
    """
    CREATE TABLE settings (
        one INTEGER PRIMARY KEY CHECK (one = 1),
        revision INTEGER NOT NULL,          -- grows with every change that readers must see
        dim INTEGER NOT NULL,
        fingerprint TEXT NOT NULL,
        threshold REAL,
        storage TEXT NOT NULL,
        unknowns INTEGER NOT NULL,
        generation INTEGER NOT NULL,        -- grows when slots are given back: readers must read everything anew
        erasure_pending INTEGER NOT NULL    -- something was forgotten and the log may still hold its bytes
    );
    INSERT INTO settings VALUES (1, 0, 0, '', NULL, 'float32', 0, 0, 0);

    CREATE TABLE vectors (slot INTEGER PRIMARY KEY, data BLOB NOT NULL);
    CREATE TABLE thumbnails (slot INTEGER PRIMARY KEY, data BLOB NOT NULL);
    CREATE TABLE texts (slot INTEGER PRIMARY KEY, data BLOB NOT NULL);
    CREATE TABLE free_slots (kind TEXT NOT NULL, slot INTEGER NOT NULL, PRIMARY KEY (kind, slot)) WITHOUT ROWID;

    CREATE TABLE cameras (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
    CREATE TABLE identities (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        text INTEGER NOT NULL,              -- slot of its name, notes and consent
        is_unknown INTEGER NOT NULL,
        expires REAL,
        created REAL NOT NULL,
        merged_into INTEGER,
        revision INTEGER NOT NULL
    );
    CREATE INDEX identities_revision ON identities (revision);

    CREATE TABLE observations (
        slot INTEGER PRIMARY KEY,           -- the slot of its vector
        id INTEGER NOT NULL,
        identity INTEGER,                   -- NULL: the slot is free
        camera INTEGER,
        time REAL,
        thumbnail INTEGER,                  -- slot
        revision INTEGER NOT NULL
    );
    CREATE INDEX observations_revision ON observations (revision);
    CREATE TABLE observation_ids (one INTEGER PRIMARY KEY CHECK (one = 1), last INTEGER NOT NULL);
    INSERT INTO observation_ids VALUES (1, 0);

    CREATE TABLE erased_identities (id INTEGER PRIMARY KEY, revision INTEGER NOT NULL);
    CREATE TABLE events (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        at REAL NOT NULL,
        action TEXT NOT NULL,
        actor TEXT NOT NULL,
        identity INTEGER,
        other INTEGER,
        detail TEXT NOT NULL,
        text INTEGER,                       -- slot of what names people in it
        undone INTEGER NOT NULL DEFAULT 0
    );
    CREATE INDEX events_identity ON events (identity);
    CREATE INDEX events_other ON events (other);
    """,
    # 1 -> 2
    _pack_vectors,
    # 2 -> 3
    _make_names_unique,
    # 3 -> 4
    _add_sightings,
    # 4 -> 5
    _add_calibration,
    # 5 -> 6
    _find_names_in_any_writing,
    # 6 -> 7
    _add_checksums,
    # 7 -> 8
    _COMPARISON,
)
