"""Tracks in a table become sightings; nobody is two tracks of one camera at once."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from PIL import Image
from tests.contracts.galleries import TinyEncoder, picture

from passerby.errors import ConfigError, DataError
from passerby.gallery.gallery import Gallery
from passerby.tracking.observe_tracks import observe_tracks
from passerby.tracking.track_manifest import read_tracks

HEADER = ["path", "camid", "time", "tracklet", "source"]


def write(folder: Path, rows: Sequence[Sequence[object]], header: Sequence[str] = HEADER) -> Path:
    """A manifest, and the pictures that it names: `PERSON-n.png` shows that person."""
    for row in rows:
        person = str(row[0]).partition("-")[0]
        if person.isdigit():
            Image.fromarray(picture(int(person))).save(folder / str(row[0]))
    path = folder / "tracks.csv"
    with path.open("w", newline="") as lines:
        csv.writer(lines).writerows([header, *rows])
    return path


def test_two_who_look_alike_and_are_visible_at_once_are_two(tmp_path: Path) -> None:
    manifest = write(
        tmp_path,
        [
            ["1-a.png", "hall", 10.0, 1, "f"],
            ["1-b.png", "hall", 12.0, 1, "f"],
            ["1-c.png", "hall", 11.0, 2, "f"],  # equal pictures, but both are there from 11 to 12
            ["1-d.png", "hall", 13.0, 2, "f"],
            ["1-e.png", "yard", 11.0, 1, "f"],
            ["2-a.png", "hall", "1970-01-01T00:00:20+00:00", 3, "f"],
            ["1-f.png", "hall", 30.0, 4, "f"],
        ],
    )
    with Gallery.open(tmp_path / "people.gallery", TinyEncoder()) as gallery:
        found = observe_tracks(manifest, gallery)
        assert [(s.camera, s.start, s.end, s.frames) for s in found] == [
            ("hall", 10, 12, 2), ("hall", 11, 13, 2), ("yard", 11, 11, 1), ("hall", 20, 20, 1), ("hall", 30, 30, 1),
        ]  # fmt: skip
        names = [s.identity for s in found]
        assert names[0] != names[1]
        assert names[2] in names[:2]
        assert names[3] == "unknown-3"
        assert names[4] in names[:2]
        assert all(s.has_thumbnail and s.source == "f" for s in gallery.sightings())
        assert [s.id for s in observe_tracks(manifest, gallery)] == [s.id for s in found]  # once more changes nothing
        assert len(gallery.sightings()) == 5
        with pytest.raises(ConfigError, match="views"):
            observe_tracks(manifest, gallery, views=0)


def test_a_table_may_be_parquet_and_hold_frames(tmp_path: Path) -> None:
    rows = [["1-a.png", "hall", 1.5, 7, 30], ["1-b.png", "hall", 2.5, 7, 60]]
    csv_file = write(tmp_path, rows, ["path", "camid", "time", "tracklet", "frame"])
    pq.write_table(pa.csv.read_csv(csv_file), tmp_path / "tracks.parquet")
    assert read_tracks(tmp_path / "tracks.parquet") == read_tracks(csv_file)
    with Gallery.open(tmp_path / "people.gallery", TinyEncoder()) as gallery:
        (seen,) = observe_tracks(csv_file, gallery)
        assert (seen.first_frame, seen.last_frame) == (30, 60)


def test_a_track_and_a_camera_are_one_in_all_writings(tmp_path: Path) -> None:
    rows = [
        ["1-a.png", "1.0", 1, "7", "f"],
        ["1-b.png", "01", 2, "7.0", "f"],
        ["1-c.png", "1", 3, "07", "f"],
        ["1-d.png", "gate ", 4, "e\u0301", "f"],
        ["1-e.png", "gate", 5, "\u00e9", "f"],
    ]
    first, second = read_tracks(write(tmp_path, rows))
    assert (first.camera, first.name, len(first.pictures)) == ("1.0", "7", 3)
    assert (second.camera, len(second.pictures)) == ("gate", 2)


@pytest.mark.parametrize(
    ("rows", "header", "message"),
    [
        ([["1-a.png", "hall", 1, 1, "f"]], ["path", "camera", "time", "tracklet", "source"], "needs a column 'camid'"),
        ([["1-a.png", "hall", 1, 1, "f"]], ["path", "camid", "time", "tracklet", "sauce"], "sauce"),
        ([["1-a.png", "hall", "", 1, "f"]], HEADER, "row 2: time is empty"),
        ([["1-a.png", "hall", "soon", 1, "f"]], HEADER, "row 2: time"),
        ([["gone.png", "hall", 1, 1, "f"]], HEADER, "row 2: no such file"),
        ([["1-a.png", "hall", 1, 1]], HEADER, "not as many fields"),
        ([["1-a.png", "hall", 1, 1, "f"], ["1-b.png", "hall", 1, 1, "f"]], HEADER, "of one moment"),
        ([["1-a.png", "hall", 1, "-1", "f"]], HEADER, "row 2: tracklet is -1, which stands for none"),
        ([["1-a.png", "-1.0", 1, 1, "f"]], HEADER, "row 2: camid is -1.0, which stands for none"),
        ([], HEADER, "no rows"),
    ],
)
def test_a_wrong_table_is_refused(
    tmp_path: Path, rows: Sequence[Sequence[object]], header: Sequence[str], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        read_tracks(write(tmp_path, rows, header))
