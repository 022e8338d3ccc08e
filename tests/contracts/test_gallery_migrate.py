"""Moving a gallery from one store to another keeps everything, and notices when it does not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.contracts.galleries import STORES, TinyEncoder, location, people, picture

from passerby.errors import GalleryError
from passerby.gallery.gallery import Gallery
from passerby.gallery.migrate import migrate
from passerby.gallery.stores.sqlite.store import SqliteStore


def fill(folder: Path) -> Path:
    path = folder / "old.gallery"
    with Gallery.open(path, TinyEncoder()) as gallery:
        for number in range(6):
            gallery.enroll(
                f"person-{number}", [picture(10 * number + i) for i in range(3)], camera=["a", "b", "c"], time=[1, 2, 3]
            )
        gallery.enroll("bare", vectors=people(1, 2)[0])
        gallery.update("person-0", notes="n", consent="c", expires="2099-01-01")
        gallery.merge("person-0", "person-1")
        gallery.observe(picture(99), threshold=0.01)
        gallery.set_threshold(0.2)
        gallery.forget("person-2")
    return path


@pytest.mark.parametrize("name", STORES)
def test_a_migrated_gallery_is_the_same(tmp_path: Path, name: str) -> None:
    source = fill(tmp_path)
    before = source.read_bytes()
    done = migrate(source, location(tmp_path, name))
    assert source.read_bytes() == before
    assert (done.identities, done.observations, done.agreement) == (7, 18, 1.0)
    assert "18 observations" in str(done)
    with Gallery.open(source, TinyEncoder()) as old, Gallery.open(location(tmp_path, name), TinyEncoder()) as new:
        for mine, theirs in zip(new.identities(), old.identities(), strict=True):
            assert {**vars(mine), "id": 0} == {**vars(theirs), "id": 0}
        assert [(e.action, e.at, e.name) for e in new.history()[1:]] == [
            (e.action, e.at, e.name) for e in old.history()
        ]
        assert new.threshold == 0.2
        assert new.fingerprint == "tiny-1"
        assert new.thumbnail(new.observations("person-3")[0].id) == old.thumbnail(old.observations("person-3")[0].id)
        assert new.identify(picture(41)).identity == "person-4"
        with pytest.raises(GalleryError, match="nothing to undo"):
            new.undo()
        assert new.observe(picture(98), threshold=0.01).identity == "unknown-2"
    back = migrate(location(tmp_path, name), tmp_path / "back.gallery")
    assert (back.observations, back.agreement) == (19, 1.0)
    with pytest.raises(GalleryError, match="holds identities already"):
        migrate(source, location(tmp_path, name))


def test_a_copy_that_differs_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = fill(tmp_path)
    true_vectors = SqliteStore.vectors

    def turned(self: SqliteStore, observations: np.ndarray) -> np.ndarray:
        rows = true_vectors(self, observations)
        return rows if self.location == str(source) else np.roll(rows, 1, axis=1)

    monkeypatch.setattr(SqliteStore, "vectors", turned)
    with pytest.raises(GalleryError, match="differs from its source"):
        migrate(source, tmp_path / "new.gallery")


def test_a_missing_source_makes_no_target(tmp_path: Path) -> None:
    with pytest.raises(GalleryError, match="no such gallery"):
        migrate(tmp_path / "none.gallery", tmp_path / "new.gallery")
    assert list(tmp_path.iterdir()) == []
