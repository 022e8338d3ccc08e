"""One rule for names in every store: one name in any writing, which belongs to one identity."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest
from tests.contracts.galleries import STORES, location, open_gallery, people

from passerby.errors import GalleryRequestError
from passerby.gallery.gallery import Gallery
from passerby.gallery.migrate import migrate
from passerby.gallery.stores.milvus.filters import text_key
from passerby.gallery.stores.names import name_hint
from passerby.gallery.stores.sqlite.checksums import sum_everything
from passerby.gallery.stores.sqlite.text_slots import read_text, write_text

PEOPLE = people(8, 3)


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def names(gallery: Gallery) -> list[str]:
    return [identity.name for identity in gallery.identities()]


@pytest.mark.parametrize(
    ("stored", "asked"),
    [("José", "José"), ("Ada", " Ada\t"), ("Ada", "A\u200bda\ufeff"), ("1", "01"), ("007", "7.0"), ("7", 7)],
)
def test_one_name_in_any_writing(tmp_path: Path, store: str, stored: str, asked: str | int) -> None:
    with open_gallery(tmp_path, store) as gallery:
        gallery.enroll(stored, vectors=PEOPLE[0])
        gallery.enroll(asked, vectors=PEOPLE[0])
        gallery.enroll_many([asked, stored, f" {stored} "], PEOPLE[0])
        assert len(gallery) == 1
        gallery.enroll("Somebody Else", vectors=PEOPLE[1])
        with pytest.raises(GalleryRequestError, match="already"):
            gallery.rename("Somebody Else", str(asked))
        assert gallery.rename(stored, str(asked)).observations == 3 * 3
        gallery.forget(asked)
        assert names(gallery) == ["Somebody Else"]


def test_new_names_of_one_call_are_one_person(tmp_path: Path, store: str) -> None:
    with open_gallery(tmp_path, store) as gallery:
        gallery.enroll_many(["1", "01", "1.0"], PEOPLE[0])
        assert names(gallery) == ["1"]


def write_names(folder: Path, store: str, *writings: str) -> None:
    """The identities get these names, in their order, as an older version would have stored them."""
    if store == "people.gallery":
        write_names_to_file(folder / store, *writings)
        return
    with open_gallery(folder, store) as gallery:
        records = gallery._store._records  # type: ignore[attr-defined]
        for (number, body), name in zip(records.bodies('kind == "identity"'), writings, strict=True):
            (row,) = records._connection.by_ids(records._name, [f"identity:{number}"], ["*"])
            old = {"body": json.dumps({**body, "name": name}), "name_key": text_key(name), "unused": [0.0, 0.0]}
            records._client.upsert(records._name, [{**row, **old}])
        records.delete("format:0")


def write_names_to_file(path: Path, *writings: str) -> None:
    with sqlite3.connect(path) as db:
        for number, name in enumerate(writings, 1):
            slot, data = db.execute(
                "SELECT text, data FROM identities JOIN texts ON slot = text WHERE id = ?", (number,)
            ).fetchone()
            write_text(db, {**read_text(data, ""), "name": name}, slot)
            db.execute("UPDATE identities SET name_hint = ? WHERE id = ?", (name_hint(name), number))
        sum_everything(db)
    db.close()


@pytest.mark.parametrize("name", [" Ada ", "A\u200bda", "José", "0007"])
def test_names_of_older_versions_are_found(tmp_path: Path, store: str, name: str) -> None:
    with open_gallery(tmp_path, store) as gallery:
        gallery.enroll("x", vectors=PEOPLE[0])
    write_names(tmp_path, store, name)
    with open_gallery(tmp_path, store) as gallery:
        assert gallery.describe(name).name == name
        gallery.enroll(name, vectors=PEOPLE[0])
        gallery.update(name, notes="n")
        assert names(gallery) == [name]
        gallery.check()
        gallery.forget(name)
        assert not len(gallery)


def test_two_of_one_name_in_an_older_gallery_are_told_apart(tmp_path: Path, store: str) -> None:
    with open_gallery(tmp_path, store) as gallery:
        gallery.enroll("x", vectors=PEOPLE[0])
        gallery.enroll("y", vectors=PEOPLE[1])
    write_names(tmp_path, store, "1", "01")
    with open_gallery(tmp_path, store) as gallery:
        with pytest.raises(GalleryRequestError, match="'1', '01'"):
            gallery.forget("001")
        gallery.update("01", notes="n")
        with pytest.raises(GalleryRequestError, match="already"):
            gallery.rename("01", "1")
        with pytest.raises(GalleryRequestError, match=r"'0?1' already"):
            migrate(location(tmp_path, store), tmp_path / "copy.gallery")
        gallery.merge("1", "01")
        assert names(gallery) == ["1"]
