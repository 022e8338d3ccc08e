"""Crops of a place: what is read, what is not, which cannot be one person."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from passerby.adaptation.crops import read_crops
from passerby.adaptation.place import place_of
from passerby.data.records import Sample
from passerby.errors import DataError


def image(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.zeros((8, 4, 3), np.uint8)).save(path)
    return path


def test_manifest_with_names_times_and_tracklets(tmp_path: Path) -> None:
    for name in "abc":
        image(tmp_path / f"{name}.jpg")
    (tmp_path / "m.csv").write_text(
        "path,pid,camid,time,tracklet\na.jpg,7,hall,1.5,3\nb.jpg,9,hall,2,3\nc.jpg,7,door,2024-05-01T12:00:00+00:00,3\n"
    )
    crops = read_crops(tmp_path / "m.csv")
    assert crops.cameras == {0: "door", 1: "hall"}
    assert [s.pid for s in crops.samples] == [0, 0, 0]
    assert [s.camid for s in crops.samples] == [1, 1, 0]
    assert [s.time for s in crops.samples] == [1.5, 2.0, 1714564800.0]
    assert [s.tracklet for s in crops.samples] == [0, 0, 1]  # a tracklet belongs to one camera


def test_writings_of_cameras_and_tracklets_are_one_and_minus_one_is_none(tmp_path: Path) -> None:
    for name in "abcd":
        image(tmp_path / f"{name}.jpg")
    rows = ["a.jpg,1,7", "b.jpg,01,07", "c.jpg,1.0,7.0", "d.jpg,-1.0,-01"]
    (tmp_path / "m.csv").write_text("\n".join(["path,camid,tracklet", *rows]) + "\n")
    crops = read_crops(tmp_path / "m.csv")
    assert crops.cameras == {1: "1"}
    assert [(s.camid, s.tracklet) for s in crops.samples] == [(1, 0), (1, 0), (1, 0), (-1, None)]


def test_folder_of_manifests_and_numbers_of_cameras(tmp_path: Path) -> None:
    for film, camera in (("one", 3), ("two", 5)):
        image(tmp_path / film / "x.jpg")
        (tmp_path / film / "manifest.csv").write_text(f"path,pid,camid,tracklet\nx.jpg,1,{camera},1\n")
    crops = read_crops(tmp_path)
    assert [(s.camid, s.tracklet) for s in crops.samples] == [(3, 0), (5, 1)]


def test_cameras_of_long_numbers_are_names_and_folders_may_stand_for_none(tmp_path: Path) -> None:
    image(tmp_path / "a.png")
    long = "2886729728" * 2
    (tmp_path / "m.csv").write_text(f"path,camid\na.png,{long}\na.png,7\n")
    crops = read_crops(tmp_path / "m.csv")
    assert crops.cameras == {0: long, 1: "7"}
    for camera in ("-1", "02"):
        image(tmp_path / "folder" / camera / "a.png")
    crops = read_crops(tmp_path / "folder")
    assert crops.cameras == {2: "2"}
    assert crops.notes == ("1 of 2 crops name no camera",)


def test_times_that_are_none_are_unknown_or_refused(tmp_path: Path) -> None:
    image(tmp_path / "a.png")
    (tmp_path / "m.csv").write_text("path,time\na.png,nan\na.png,2\n")
    assert [s.time for s in read_crops(tmp_path / "m.csv").samples] == [None, 2.0]
    (tmp_path / "m.csv").write_text("path,time\na.png,1e999\n")
    with pytest.raises(DataError, match=r"row 1: time is '1e999'; expected seconds"):
        read_crops(tmp_path / "m.csv")


def test_folder_of_images(tmp_path: Path) -> None:
    image(tmp_path / "hall" / "p_c2_1.jpg")
    image(tmp_path / "door" / "p_c1_1.jpg")
    (tmp_path / "notes.txt").write_text("x")
    crops = read_crops(tmp_path)
    assert crops.cameras == {0: "door", 1: "hall"}
    assert crops.notes[0] == "not read: 1 file(s) by extension (.txt: 1): notes.txt"
    assert [s.camid for s in read_crops(tmp_path, camera="_c([0-9])").samples] == [1, 2]
    loose = image(tmp_path / "loose" / "a.jpg").parent
    assert "1 of 1 crops name no camera" in read_crops(loose).notes[0]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("file,camid\nx.jpg,1\n", "needs a column 'path'"),
        ("path\nmissing.jpg\n", "row 1: no image file"),
        ("path,time\nx.jpg,noon\n", "row 1: time is 'noon'"),
        ("path\n", "has no rows"),
    ],
)
def test_wrong_manifests(tmp_path: Path, table: str, message: str) -> None:
    image(tmp_path / "x.jpg")
    (tmp_path / "m.csv").write_text(table)
    with pytest.raises(DataError, match=message):
        read_crops(tmp_path / "m.csv")


def test_wrong_places(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such manifest or folder"):
        read_crops(tmp_path / "nowhere")
    with pytest.raises(DataError, match="found 0 other files"):
        read_crops(tmp_path)
    image(tmp_path / "a.jpg")
    with pytest.raises(DataError, match="finds no camera in this name"):
        read_crops(tmp_path, camera="_c([0-9])")
    with pytest.raises(DataError, match="at least 64 crops"):
        place_of([Sample(tmp_path / "a.jpg", 0)])


def crop(number: int, camera: int, time: float | None, tracklet: int | None) -> Sample:
    return Sample(Path(f"{number}.jpg"), 5, camera, time, tracklet)


def test_simultaneous_tracklets_of_one_camera_cannot_be_one_person() -> None:
    alone = [crop(100 + i, 0, 0.5, None) for i in range(60)]
    tracked = [
        crop(0, 0, 0.0, 10), crop(1, 0, 2.0, 10),  # overlaps 11, not 12; 13 is another camera
        crop(2, 0, 1.0, 11), crop(3, 0, 3.0, 11),
        crop(4, 0, 4.0, 12), crop(5, 1, 1.0, 13), crop(6, 0, None, 14),
    ]  # fmt: skip
    place = place_of([*tracked, *alone])
    assert place.units[:7].tolist() == [0, 0, 1, 1, 2, 3, 4]
    assert place.has_tracklets
    assert place.cannot.tolist() == [[0, 1]]
    some = place.select(np.array([0, 2, 3, 66]))
    assert (some.units.tolist(), some.cannot.tolist()) == ([0, 1, 1, 2], [[0, 1]])
    assert {s.pid for s in place.samples} == {0}


def test_a_tracklet_has_one_camera() -> None:
    samples = [crop(i, i % 2, None, 1) for i in range(64)]
    with pytest.raises(DataError, match="crops of several cameras"):
        place_of(samples)


def test_what_is_left_out_is_told(tmp_path: Path) -> None:
    for name in ("one/a.jpg", "two/b.jpg", "elsewhere/c.jpg"):
        (tmp_path / name).parent.mkdir()
        image(tmp_path / name)
    (tmp_path / "one" / "linked").symlink_to(tmp_path / "elsewhere")
    assert "not read: 1 folder(s) behind symbolic links: linked" in read_crops(tmp_path / "one").notes
    (tmp_path / "one" / "manifest.csv").write_text("path\na.jpg\n")
    crops = read_crops(tmp_path)
    assert len(crops.samples) == 1
    assert crops.notes[0] == "not read: 2 folder(s) of images without manifest.csv: elsewhere, two"
    image(tmp_path / "two" / os.fsdecode(b"\xff.jpg"))
    with pytest.raises(DataError, match="1 file name"):
        read_crops(tmp_path / "two")
