"""`passerby enroll` of many people, of the same pictures twice, and `identify` of many images; a tiny encoder."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest
from PIL import Image
from tests.contracts.galleries import TinyEncoder, picture

from passerby.cli import run
from passerby.gallery.gallery import Gallery
from passerby.gallery.stores.opening import remove_if_unused

ENCODER = ["--encoder", "hub:tiny"]


@pytest.fixture(autouse=True)
def tiny_encoder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("passerby.cli.open_gallery._encoder", lambda *_: TinyEncoder())


@pytest.fixture
def people(tmp_path: Path) -> Path:
    """Three people, two pictures each: two of them below the folder of a camera; and what is nobody's picture."""
    folder = tmp_path / "people"
    for seed, place in enumerate(
        ["ann/1.png", "ann/2.png", "bob/3.png", "bob/4.png", "cay/hall/5.png", "cay/hall/6.png"]
    ):
        save(folder / place, seed)
    save(folder / "loose.png", 90)
    (folder / "ann" / "notes.txt").write_text("x")
    (folder / "bob" / "broken.jpg").write_bytes(b"\xff\xd8 not a picture")
    (folder / "dan").mkdir()
    return folder


def save(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture(seed)).save(path)


def said(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    capsys.readouterr()
    assert run([str(word) for word in words]) == 0, capsys.readouterr().err
    return capsys.readouterr().out


def refused(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    capsys.readouterr()
    assert run([str(word) for word in words]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    return captured.err


def test_a_folder_of_people(people: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    place = tmp_path / "people.gallery"
    found = json.loads(said(capsys, "enroll", place, "--people", people, *ENCODER, "--consent", "form 3", "--json"))
    assert (found["people"], len(found["observations"])) == (3, 6)
    assert found["left_out"] == {
        "not an image by its name": 1,
        "beside the folders of people, so nobody's": 1,
        "a person without an image": 1,
        "cannot be read": 1,
    }
    assert "broken.jpg" in found["unreadable"][0]
    with Gallery.open(place) as gallery:
        assert [(one.name, one.observations, one.cameras) for one in gallery.identities()] == [
            ("ann", 2, ()), ("bob", 2, ()), ("cay", 2, ("hall",)),
        ]  # fmt: skip
        assert {one.consent for one in gallery.identities()} == {"form 3"}
        assert gallery.thumbnail(1) is not None
        gallery.undo()
        assert len(gallery) == 0


def test_folders_of_odd_names(people: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """A folder may be called like an image, a file like anything that Linux allows."""
    (people / "bob" / "folder.png").mkdir()
    save(people / "ann" / "new\nline.png", 50)
    save(people / "ann" / os.fsdecode(b"\xff.png"), 51)
    place = tmp_path / "people.gallery"
    found = json.loads(said(capsys, "enroll", place, "--people", people, *ENCODER, "--json"))
    assert len(found["observations"]) == 8
    assert found["left_out"] == {
        "not an image by its name": 1,
        "beside the folders of people, so nobody's": 1,
        "a person without an image": 1,
        "a folder in a person's without an image": 1,
        "cannot be read": 1,
    }
    lines = said(capsys, "identify", place, people / "ann" / "1.png", people / "ann" / "new\nline.png", *ENCODER)
    assert str(people / "ann" / "new\\nline.png") in lines
    (people / "an\nother").mkdir()
    assert "expected a name of 1 to 200 printable characters" in refused(
        capsys, "enroll", place, "--people", people, *ENCODER
    )
    assert "1 file name(s) that are no text in UTF-8, first " in refused(capsys, "identify", place, people, *ENCODER)


def test_a_folder_again_adds_what_is_new(people: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    place = tmp_path / "people.gallery"
    said(capsys, "enroll", place, "--people", people, *ENCODER)
    save(people / "ann" / "new.png", 40)
    save(people / "eve" / "new.png", 41)
    text = said(capsys, "enroll", place, "--people", people, *ENCODER)
    assert "2 pictures of 2 people enrolled" in text
    assert "left out: 6 (the same picture of the same person)" in text
    assert "4 people, 8 pictures" in text
    assert "8 pictures of 4 people" in said(capsys, "enroll", place, "--people", people, *ENCODER, "--keep-repeated")


def test_one_picture_under_two_names_is_said(people: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    place = tmp_path / "people.gallery"
    assert "two names" not in said(capsys, "enroll", place, "--people", people, *ENCODER)
    save(people / "eve" / "new.png", 2)  # bob's 3.png
    place = tmp_path / "twice.gallery"
    text = said(capsys, "enroll", place, "--people", people, *ENCODER)
    assert "one picture under two names: 1 pair" in text
    assert str(people / "bob" / "3.png") in text
    assert str(people / "eve" / "new.png") in text
    assert "bob" in said(capsys, "gallery", "duplicates", place), "also among fewer people than a tail needs"


def test_so_few_people_that_only_equal_pictures_are_found(
    people: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    place = tmp_path / "people.gallery"
    said(capsys, "enroll", place, "--people", people, *ENCODER)
    assert "3 people are too few to say more" in said(capsys, "gallery", "duplicates", place)


def test_a_table_of_people(people: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    table = tmp_path / "people.csv"
    table.write_text(
        "path,name,camera,time\npeople/ann/1.png,ann,door,2026-05-01T10:00:00+00:00\npeople/bob/3.png,bob,,\n"
        "people/gone.png,bob,,\n"
    )
    place = tmp_path / "people.gallery"
    text = said(capsys, "enroll", place, "--people", table, *ENCODER, "--camera", "hall")
    assert "2 pictures of 2 people enrolled" in text
    assert "left out: 1 (no such file)" in text
    with Gallery.open(place) as gallery:
        ann, bob = gallery.observations()
    assert (ann.camera, bob.camera, bob.time) == ("door", "hall", None)
    assert ann.time == 1777629600.0


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ("path,who\n", "path and name"),
        ("path,name,size\n", "size"),
        ("path,name\n,ann\n", "row 2: path is empty"),
        ("path,name,time\nx.png,ann,noon\n", "row 2: time: 'noon' is not ISO 8601"),
        ("path,name\n", "no picture of anybody"),
    ],
)
def test_a_wrong_table_is_refused(rows: str, words: str, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "people.csv").write_text(rows)
    place = tmp_path / "people.gallery"
    assert words in refused(capsys, "enroll", place, "--people", tmp_path / "people.csv", *ENCODER)
    assert not place.exists()


def test_who_is_enrolled_is_said_once(people: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    place = tmp_path / "people.gallery"
    assert "--people" in refused(capsys, "enroll", place, *ENCODER)
    assert "missing: IMAGE" in refused(capsys, "enroll", place, "ann", *ENCODER)
    assert "does not go with NAME" in refused(capsys, "enroll", place, "ann", "--people", people, *ENCODER)
    assert "--tracklet" in refused(capsys, "enroll", place, "--people", people, "--tracklet", *ENCODER)
    assert not place.exists()


def test_a_refused_enrolment_leaves_no_file(people: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    place, below = tmp_path / "galleries" / "new.gallery", tmp_path / "broken"
    place.parent.mkdir()
    save(below / "bob" / "fine.png", 1)
    (below / "bob" / "fine.png").write_bytes(b"no picture")
    for words in (["bob", people], ["bob", people / "bob" / "broken.jpg"], ["--people", below]):
        refused(capsys, "enroll", place, *words, *ENCODER)
        assert list(place.parent.iterdir()) == []
    refused(capsys, "observe", place, people / "bob" / "broken.jpg", *ENCODER)
    assert list(place.parent.iterdir()) == []


def test_a_refused_enrolment_leaves_galleries_that_were_there_or_are_in_use(
    people: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    place = tmp_path / "people.gallery"
    Gallery.open(place).close()
    refused(capsys, "enroll", place, "bob", people, *ENCODER)
    assert place.exists()
    with Gallery.open(place, TinyEncoder()) as gallery:
        assert not remove_if_unused(str(place)), "open in this process"
        gallery.enroll("ann", picture(1))
        gallery.undo()
    assert not remove_if_unused(str(place)), "its log says what was stored once"
    empty = tmp_path / "empty.gallery"
    Gallery.open(empty).close()
    assert remove_if_unused(str(empty))
    assert not list(tmp_path.glob("empty*"))


def test_a_place_where_no_gallery_can_be_is_refused_before_the_encoder_is_loaded(
    people: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("passerby.cli.open_gallery._encoder", None)
    error = refused(capsys, "enroll", tmp_path / "missing" / "people.gallery", "ann", people / "ann", *ENCODER)
    assert f"the folder {tmp_path / 'missing'} does not exist; make it" in error


def test_the_same_pictures_twice(people: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    place, pictures = tmp_path / "people.gallery", sorted((people / "ann").glob("*.png"))
    assert "2 images enrolled" in said(capsys, "enroll", place, "ann", *pictures, *ENCODER)
    text = said(capsys, "enroll", place, "ann", *pictures, *ENCODER)
    assert "0 images enrolled" in text
    assert "left out: 2" in text
    assert "1 image enrolled" in said(
        capsys, "enroll", place, "bob", pictures[0], *ENCODER
    )  # somebody else's it may be
    said(capsys, "enroll", place, "ann", *pictures, *ENCODER, "--keep-repeated")
    with Gallery.open(place) as gallery:
        assert [one.observations for one in gallery.identities()] == [4, 1]


def test_a_retention_date_that_has_passed(people: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    place, picture_file = tmp_path / "people.gallery", people / "ann" / "1.png"
    for words in (["ann", picture_file], ["--people", people]):
        assert "has passed" in refused(capsys, "enroll", place, *words, *ENCODER, "--expires", "2020-01-01")
    said(capsys, "enroll", place, "ann", picture_file, *ENCODER, "--expires", time.time() + 1e6)
    assert "has passed" in refused(capsys, "gallery", "update", place, "ann", "--expires", "2020-01-01")
    said(capsys, "gallery", "update", place, "ann", "--expires", "never")


def test_a_threshold_above_every_distance(people: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    place, picture_file = tmp_path / "people.gallery", people / "ann" / "1.png"
    said(capsys, "enroll", place, "--people", people, *ENCODER)
    assert "at most 2" in refused(capsys, "identify", place, picture_file, *ENCODER, "--threshold", "99")
    assert "at most 2" in refused(capsys, "gallery", "threshold", place, "99")
    said(capsys, "identify", place, picture_file, *ENCODER, "--threshold", "2")


def test_identify_many_images_and_a_folder(people: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    place = tmp_path / "people.gallery"
    said(capsys, "enroll", place, "--people", people, *ENCODER)
    save(tmp_path / "probes" / "deep" / "a.png", 0)
    save(tmp_path / "probes" / "b.png", 77)
    (tmp_path / "probes" / "c.jpg").write_bytes(b"\xff\xd8 not a picture")
    asked = ["identify", place, tmp_path / "probes", people / "bob" / "3.png", *ENCODER, "--threshold", "0.1"]
    text = said(capsys, *asked)
    assert "3 images: 2 known, 1 unknown" in text
    assert "left out: 1 (cannot be read)" in text
    found = {Path(row["probe"]).name: row for row in json.loads(said(capsys, *asked, "--json"))}
    assert found["a.png"]["matches"][0]["identity"] == "ann"
    assert found["3.png"]["matches"][0]["identity"] == "bob"
    verdicts = {name: (row["known"], row["identity"]) for name, row in found.items() if "error" not in row}
    assert verdicts == {"a.png": (True, "ann"), "b.png": (False, None), "3.png": (True, "bob")}
    assert "c.jpg" in found["c.jpg"]["error"]
    assert "c.jpg" in refused(capsys, "identify", place, tmp_path / "probes" / "c.jpg", *ENCODER)
