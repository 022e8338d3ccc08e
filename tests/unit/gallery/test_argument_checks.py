"""Arguments of another type than the documented one: one clear error each, and nothing stored."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.contracts.galleries import TinyEncoder, people

from passerby.errors import GalleryRequestError, WeightsError
from passerby.gallery.gallery import Gallery

ROWS = people(2, 3)
ROW = ROWS[0, 0]


@pytest.fixture
def gallery(tmp_path: Path) -> Iterator[Gallery]:
    with Gallery.open(tmp_path / "people.gallery") as opened:
        opened.enroll_many(["Ada"] * 3 + ["Bob"] * 3, ROWS.reshape(6, -1))
        opened.set_sightings(keep_vectors=True)
        opened.observe(ROW, threshold=0.5)
        yield opened


WRONG: dict[str, tuple[Callable[[Any], object], str]] = {
    "threshold, text": (lambda g: g.set_threshold("x"), "threshold: expected a distance .* found 'x'"),
    "threshold of a call": (lambda g: g.identify(ROW, threshold=[0.5]), "threshold: expected a distance"),
    "threshold, yes": (lambda g: g.set_threshold(True), "threshold: expected a distance .* found True"),
    "top, text": (lambda g: g.identify(ROW, top="x"), "top: expected a whole number, at least 1, found 'x'"),
    "top, a half": (lambda g: g.identify(ROW, top=2.5), "top: expected a whole number"),
    "top of sightings": (lambda g: g.find_sightings(ROW, top=2.5), "top: expected a whole number"),
    "frames of vectors": (lambda g: g.identify_many([ROW], frames="x"), "frames: expected whole numbers"),
    "frames of a film": (lambda g: g.observe(ROW, threshold=0.5, frames=7), r"frames: expected \(first, last\)"),
    "names, one text": (lambda g: g.enroll_many("abc", ROWS[0]), "a name for each observation, found 'abc'"),
    "names, lists": (lambda g: g.enroll_many([["a"]], ROW), "identity: expected a name"),
    "thumbnails, too few": (
        lambda g: g.enroll_many(["a", "b", "c"], ROWS[0], thumbnails=[]),
        "a list of 3, .* found 0",
    ),
    "notes": (lambda g: g.enroll("a", vectors=ROW, notes=b"x"), "notes: expected text, found bytes"),
    "consent": (lambda g: g.update("Ada", consent=5), "consent: expected text, found int"),
    "tracklet, none": (lambda g: g.observe_tracklet(None), "expected a passerby.Tracklet, found NoneType"),
    "tracklet, vectors": (lambda g: g.observe_tracklet(ROW), "expected a passerby.Tracklet, found ndarray"),
    "observations": (lambda g: g.vectors(["x"]), r"observations: expected whole numbers, found \['x'\]"),
    "observation": (lambda g: g.thumbnail("x"), "observation: expected whole numbers"),
    "sighting": (lambda g: g.sighting_thumbnail(None), "sighting: expected whole numbers"),
    "split": (lambda g: g.split("Ada", "x"), "observations: expected whole numbers, found 'x'"),
    "expiry": (lambda g: g.set_sightings(expire_after="soon"), "expire_after: expected a number of seconds"),
    "templates": (lambda g: g.set_sightings(templates_per_camera=2.5), "templates_per_camera: expected a whole number"),
    "keep": (lambda g: g.set_sightings(keep_vectors="no"), "keep_vectors: expected True or False, found 'no'"),
    "least": (lambda g: g.consolidate(least="x"), "least: expected a similarity"),
}


@pytest.mark.parametrize("case", WRONG)
def test_another_type_is_one_clear_error(gallery: Gallery, case: str) -> None:
    ask, message = WRONG[case]
    before = gallery.history()
    with pytest.raises(GalleryRequestError, match=message) as error:
        ask(gallery)
    assert "\n" not in str(error.value)
    assert gallery.history() == before


def test_numbers_of_numpy_are_numbers(gallery: Gallery) -> None:
    gallery.set_threshold(np.float32(0.5))  # type: ignore[arg-type]
    assert gallery.threshold == 0.5
    assert len(gallery.identify(ROW, top=np.int64(1))) == 1  # type: ignore[arg-type]
    assert gallery.vectors(np.array([1, 2])).shape == (2, ROW.size)  # type: ignore[arg-type]


def test_an_encoder_is_loaded_from_its_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []

    def load(path: object) -> TinyEncoder:
        asked.append(path)
        return TinyEncoder()

    monkeypatch.setattr("passerby.models.encoder.load_encoder", load)
    with Gallery.open(tmp_path / "people.gallery", "runs/x") as gallery:
        assert isinstance(gallery.encoder, TinyEncoder)
        assert asked == ["runs/x"]


def test_what_is_no_encoder_makes_no_gallery(tmp_path: Path) -> None:
    place = tmp_path / "people.gallery"
    with pytest.raises(WeightsError, match="none"):
        Gallery.open(place, tmp_path / "none")
    with pytest.raises(GalleryRequestError, match=r"encoder: expected an encoder .* found int"):
        Gallery.open(place, 5)  # type: ignore[arg-type]
    assert not place.exists()


def test_no_fingerprint_is_none(tmp_path: Path) -> None:
    assert inspect.signature(Gallery.open).parameters["fingerprint"].default is None
    with Gallery.open(tmp_path / "people.gallery", fingerprint=None) as gallery:
        gallery.enroll("Ada", vectors=ROW)
        assert gallery.fingerprint == ""
