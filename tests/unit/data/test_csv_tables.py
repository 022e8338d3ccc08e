"""Tables of text are read with commas, semicolons or tabs, with or without blanks behind them."""

from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from passerby.adaptation.crops import read_crops
from passerby.data.csv_tables import table_reader
from passerby.data.manifest import read_manifest
from passerby.errors import ConfigError
from passerby.gallery.people_files import read_people
from passerby.tracking.track_manifest import read_tracks
from passerby.tracking.travel_times import read_travel_times

SEPARATORS = {"commas": ",", "blanks behind them": ", ", "semicolons": ";", "tabs": "\t"}


def manifest(file: Path) -> object:
    return [(s.pid, s.camid, s.time) for s in read_manifest(file, test_share=1.0).gallery]


def people(file: Path) -> object:
    return [(picture.name, picture.camera, picture.time) for picture in read_people(file).pictures]


def tracks(file: Path) -> object:
    return [(track.camera, track.name, track.start) for track in read_tracks(file)]


def crops(file: Path) -> object:
    found = read_crops(file)
    return [(sample.camid, sample.time, sample.tracklet) for sample in found.samples]


@pytest.mark.parametrize("writing", SEPARATORS)
@pytest.mark.parametrize("read", [manifest, people, tracks, crops])
def test_every_table_of_pictures_takes_every_separator(
    read: Callable[[Path], object], writing: str, tmp_path: Path
) -> None:
    for name in ("a, 1.png", "b.png"):
        Image.new("RGB", (8, 16)).save(tmp_path / name)
    rows = [["path", "pid", "camid", "time", "tracklet"], ['"a, 1.png"', "1", "0", "1.5", "4"]]
    rows.append(["b.png", "1", "1", "2.5", "5"])
    file = tmp_path / "t.csv"
    file.write_text("\n".join(map(",".join, rows)))
    expected = read(file)
    file.write_text("\n".join(map(SEPARATORS[writing].join, rows)))
    assert read(file) == expected


@pytest.mark.parametrize("separator", SEPARATORS.values(), ids=SEPARATORS)
def test_travel_times_take_every_separator(separator: str, tmp_path: Path) -> None:
    file = tmp_path / "t.csv"
    file.write_text("\n".join(map(separator.join, (["from", "to", "seconds"], ["hall", "door", "2.5"]))))
    assert read_travel_times(file)["door", "hall"] == 2.5


def test_travel_times_with_decimal_commas(tmp_path: Path) -> None:
    file = tmp_path / "t.csv"
    file.write_text("from;to;seconds\nhall;door;2,5\n")
    assert read_travel_times(file)["hall", "door"] == 2.5
    file.write_text('from,to,seconds\nhall,door,"2\n')
    with pytest.raises(ConfigError, match="not a CSV table"):
        read_travel_times(file)
    file.write_text("from,to,seconds\n\nhall,door\n")
    with pytest.raises(ConfigError, match="row 3: expected 3 columns"):
        read_travel_times(file)


def test_a_table_without_a_line() -> None:
    assert not table_reader([]).fieldnames
