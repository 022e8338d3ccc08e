"""The tables of a gallery file, version by version.

Bytes that must be erasable (vectors, thumbnails, the texts of an identity) live in *slot tables*: one BLOB a row,
rows only appended or overwritten in place by a BLOB of the same size, never moved and never deleted. SQLite's
`secure_delete` zeroes what is deleted, but when it rebalances a b-tree it may leave copies of moved rows behind in the
unused part of a page; in a slot table there is nothing to move. All other tables hold numbers (and camera names).
"""

from __future__ import annotations

APPLICATION_ID = 0x70617373  # "pass"
PAGE_SIZE = (
    16_384  # seven vectors of 512 float32 a page; with SQLite's 4,096 there would be one, and half the page lost
)

MIGRATIONS: tuple[str, ...] = (
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
)
