"""What a gallery's file keeps of its calibration: a later process need not search again; nobody's erasure is late."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from tests.contracts.galleries import open_gallery, people, threshold_of

from passerby.gallery import calibration, impostor_searches
from passerby.gallery.gallery import Gallery

ENROLLED, IMAGES = 60, 4
CROWD = people(90, IMAGES + 1, seed=3, spread=0.12)
NAME = "people.gallery"


@pytest.fixture(autouse=True)
def _keeps_small_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibration, "LEAST_ROWS", 100)


@pytest.fixture
def searches(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many probes each search had."""
    made: list[int] = []
    search = impostor_searches.search

    def counted(rows: Any, probes: Any, *others: Any) -> Any:
        made.append(len(probes))
        return search(rows, probes, *others)

    monkeypatch.setattr(impostor_searches, "search", counted)
    return made


def fill(gallery: Gallery) -> None:
    rows = CROWD[:ENROLLED, :IMAGES].reshape(-1, CROWD.shape[2])
    names = [f"p{i // IMAGES}" for i in range(len(rows))]
    gallery.enroll_many(names, vectors=rows, cameras=[("door", "hall")[i % 2] for i in range(len(rows))])


def kept(path: Path) -> list[tuple[str, bytes]]:
    with closing(sqlite3.connect(path)) as db:
        return db.execute("SELECT key, data FROM calibrations").fetchall()


def test_a_second_process_does_not_search_again(tmp_path: Path, searches: list[int]) -> None:
    with open_gallery(tmp_path, NAME) as gallery:
        fill(gallery)
        first = gallery.identify(CROWD[0, 4], camera="gate")
        law, threshold = gallery.calibration(), threshold_of(gallery)
    assert searches
    searches.clear()
    with open_gallery(tmp_path, NAME) as gallery:
        assert gallery.identify(CROWD[0, 4], camera="gate") == first
        assert gallery.calibration() == law, "with its interval"
        assert threshold_of(gallery, far=0.2) > threshold
    with open_gallery(tmp_path, NAME, read_only=True, guaranteed=True) as gallery:
        assert gallery.calibration(far=0.1).threshold is not None
    assert not searches
    assert len(kept(tmp_path / NAME)) == 1


def test_keeping_it_is_no_change(tmp_path: Path, searches: list[int]) -> None:
    with open_gallery(tmp_path, NAME) as gallery, open_gallery(tmp_path, NAME) as other:
        fill(gallery)
        revision, history = gallery._store.revision(), gallery.history()
        gallery.calibration()
        assert (gallery._store.revision(), gallery.history()) == (revision, history)
        searches.clear()
        assert other.calibration() == gallery.calibration()
        other.check()
    assert not searches


@pytest.mark.parametrize("change", ["enrol", "forget", "undo", "merge", "cohort"])
def test_after_a_change_it_is_computed_anew(tmp_path: Path, change: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("passerby.gallery.comparison.LEAST_PEOPLE", 20)
    monkeypatch.setattr(calibration, "LEAST_PEOPLE_OF_COHORT", 20)
    with open_gallery(tmp_path, NAME) as gallery:
        fill(gallery)
        before = gallery.calibration()
    with open_gallery(tmp_path, NAME) as gallery:
        if change == "enrol":
            gallery.enroll("late", vectors=CROWD[80, :4], camera="hall")
        elif change == "forget":
            gallery.forget("p7")
        elif change == "undo":
            gallery.undo()
            fill(gallery)
            gallery.enroll("late", vectors=CROWD[80, :4], camera="hall")
        elif change == "merge":
            gallery.merge("p1", "p2")
        else:
            gallery.set_comparison(cohort=True)
        after = gallery.calibration()
    assert after != before
    monkeypatch.setattr(calibration, "LEAST_ROWS", 10**9)
    with open_gallery(tmp_path, NAME, read_only=True) as gallery:
        assert gallery.calibration().threshold == pytest.approx(after.threshold, rel=1e-9)


@pytest.mark.parametrize("erasure", ["forget", "purge", "undo"])
def test_it_is_erased_with_anybody_who_is_in_it(tmp_path: Path, erasure: str) -> None:
    with open_gallery(tmp_path, NAME) as gallery:
        fill(gallery)
        gallery.enroll("late", vectors=CROWD[80, :4], camera="hall", expires=1.0 if erasure == "purge" else None)
        gallery.calibration()
        gallery.identify(CROWD[0, 4])
        found = kept(tmp_path / NAME)
        assert len(found) == 2
        erasures: dict[str, Callable[[], object]] = {
            "forget": lambda: gallery.forget("p7"),
            "purge": gallery.purge,
            "undo": gallery.undo,
        }
        erasures[erasure]()
        assert not kept(tmp_path / NAME)
        for path in tmp_path.glob(f"{NAME}*"):
            content = path.read_bytes()
            assert not any(data[100:200] in content for _, data in found), path


def test_what_was_computed_before_somebody_was_forgotten_is_not_kept(tmp_path: Path) -> None:
    with open_gallery(tmp_path, NAME) as gallery, open_gallery(tmp_path, NAME) as other:
        fill(gallery)
        revision = gallery._store.revision()
        other.forget("p7")
        gallery._store.store_calibration("late", b"distances of p7", revision)
        assert not kept(tmp_path / NAME)
        gallery._store.store_calibration("now", b"distances", gallery._store.revision())
        assert kept(tmp_path / NAME) == [("now", b"distances")]


def test_readers_compute_and_keep_nothing(tmp_path: Path, searches: list[int]) -> None:
    with open_gallery(tmp_path, NAME) as gallery:
        fill(gallery)
    for _ in range(2):
        searches.clear()
        with open_gallery(tmp_path, NAME, read_only=True) as gallery:
            assert gallery.calibration().threshold is not None
        assert searches
    assert not kept(tmp_path / NAME)


def test_what_is_damaged_is_computed_anew(tmp_path: Path, searches: list[int]) -> None:
    with open_gallery(tmp_path, NAME) as gallery:
        fill(gallery)
        law = gallery.calibration()
    with closing(sqlite3.connect(tmp_path / NAME)) as db, db:
        db.execute("UPDATE calibrations SET data = substr(data, 1, 300) || x'00' || substr(data, 302)")
    searches.clear()
    with open_gallery(tmp_path, NAME) as gallery:
        gallery.check()
        assert gallery.calibration() == law
    assert searches


def test_observe_keeps_it_too(tmp_path: Path, searches: list[int]) -> None:
    with open_gallery(tmp_path, NAME) as gallery:
        fill(gallery)
        gallery.observe(CROWD[0, 4], camera="hall")
    searches.clear()
    with open_gallery(tmp_path, NAME) as gallery:
        assert gallery.observe(CROWD[85, 4], camera="hall").new
        gallery.observe(CROWD[86, 4], camera="hall")
    assert not searches, "identities that observe made do not calibrate"


def test_only_the_newest_are_kept(tmp_path: Path) -> None:
    with open_gallery(tmp_path, NAME) as gallery:
        fill(gallery)
        for number in range(10):
            gallery.enroll(f"late-{number}", vectors=CROWD[70 + number, :2], camera="hall")
            gallery._made_calibrator = None  # as another process would
            gallery.calibration()
        assert len(kept(tmp_path / NAME)) == 8
