"""Texts of identities are parsed many at a time; what is damaged is found as if each were read alone."""

import sqlite3
from collections.abc import Callable

import pytest

from passerby.errors import DamagedGalleryError
from passerby.gallery.stores.sqlite import text_slots
from passerby.gallery.stores.sqlite.text_slots import read_text, read_texts, write_text


@pytest.fixture
def slots() -> list[bytes]:
    db = sqlite3.connect(":memory:")
    db.execute("CREATE TABLE texts (slot INTEGER PRIMARY KEY, data BLOB)")
    for name in ("ann", 'quo"te, {', "Zoë [1, 2]", "", "x" * 400):
        write_text(db, {"name": name, "notes": "a\nb", "consent": ""}, None)
    return [data for (data,) in db.execute("SELECT data FROM texts ORDER BY slot")]


def test_many_texts_are_what_each_is_alone(slots: list[bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    alone = [read_text(slot, "g") for slot in slots]
    monkeypatch.setattr(text_slots, "read_text", lambda *_: pytest.fail("one at a time"))
    assert read_texts(slots, "g") == alone
    assert read_texts([slots[0].decode(), *slots[1:]], "g") == alone
    assert read_texts([], "g") == []


def test_a_text_in_another_order_of_keys_is_read_alone(slots: list[bytes]) -> None:
    other = b'{"sum": 1, "name": "ann"}'
    with pytest.raises(DamagedGalleryError, match="checksum"):
        read_texts([*slots, other], "g")
    content = {"name": "bob"}
    right = f'{{"sum": {text_slots._sum(content)}, "name": "bob"}}'.encode()
    assert read_texts([*slots, right], "g")[-1] == content


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda slots: [slots[0].replace(b"ann", b"bob"), *slots[1:]], "checksum"),
        (lambda slots: [slots[0].rstrip() + b"," + slots[1], *slots[2:]], "cannot be read"),
        (lambda slots: [slots[0].rstrip()[:-1], b"}", *slots[2:]], "cannot be read"),
        (lambda slots: [*slots, bytes(256)], "cannot be read"),
        (lambda slots: [*slots, None], "cannot be read"),
        (lambda slots: [b"[1]", *slots], "cannot be read"),
        (lambda slots: [b'"sum"', *slots], "cannot be read"),
        (lambda slots: [b'{"name": "ann"}', *slots], "checksum"),
    ],
)
def test_damage_is_named(damage: Callable[[list[bytes]], list[bytes | None]], message: str, slots: list[bytes]) -> None:
    with pytest.raises(DamagedGalleryError, match=message):
        read_texts(damage(slots), "g")
