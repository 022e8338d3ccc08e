"""One's own data: manifests and folders, right ones and wrong ones."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from passerby.cli import run
from passerby.cli.image_folder import images_below
from passerby.data.check.dataset_check import check_dataset
from passerby.data.datasets import load_dataset
from passerby.data.manifest import FROM_ZERO
from passerby.errors import DataError
from passerby.images.decode import read_image

Table = Callable[..., Path]
"""Writes a manifest of the given lines."""


def write_image(path: Path, seed: int = 0, size: tuple[int, int] = (16, 8)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path


@pytest.fixture
def table(tmp_path: Path) -> Table:
    """Write a manifest of the given lines, whose images a.png, b.png, ... exist."""

    def write(*lines: str, name: str = "own.csv") -> Path:
        for i, letter in enumerate("abcdefgh"):
            write_image(tmp_path / f"{letter}.png", i)
        file = tmp_path / name
        file.write_text("\n".join(lines) + "\n")
        return file

    return write


def test_manifest_with_everything(table: Table) -> None:
    file = table(
        "path,pid,camid,split,time,tracklet",
        "a.png,1,0,train,0.5,",
        "b.png,2,0,query,2024-05-01T12:00:00+00:00,",
        "c.png,2,1,gallery,1.5,",
        "d.png,-1,1,gallery,,",
    )
    data = load_dataset(str(file))
    assert [s.pid for s in data.train] == [1]
    assert data.query[0].time == 1714564800.0
    assert [(s.pid, s.camid) for s in data.gallery] == [(2, 1), (-1, 1)]
    assert data.protocol == "market1501"
    assert data.train[0].path == file.parent / "a.png"


def test_a_manifest_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match=r"absent\.csv: no such file$"):
        load_dataset(str(tmp_path / "absent.csv"))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match=f"absent.csv: no such file below {tmp_path}"):
        load_dataset("absent.csv")


def test_manifest_without_cameras_says_so(table: Table) -> None:
    data = load_dataset(table("path,pid,split", "a.png,1,train", "b.png,2,query", "c.png,2,gallery"))
    assert data.protocol == "no_cameras"
    assert not data.has_cameras
    assert any("no cameras" in note for note in data.notes)


def test_names_become_numbers(table: Table) -> None:
    data = load_dataset(
        table("path,pid,camid,split", "a.png,zoe,door,train", "b.png,adam,hall,query", "c.png,adam,door,gallery")
    )
    assert (data.train[0].pid, data.train[0].camid) == (2, 0)
    assert (data.query[0].pid, data.query[0].camid) == (1, 1)


def test_numbers_beyond_64_bits_are_names(table: Table) -> None:
    long = "9" * 5000
    data = load_dataset(
        table(
            "path,pid,split", "a.png,7,train", f"b.png,{10**30},query", f"c.png,{10**30},gallery", f"d.png,{long},train"
        )
    )
    assert [s.pid for s in data.train] == [2, 3]
    assert data.query[0].pid == data.gallery[0].pid == 1
    assert any("numbered from 1 in the sorted order of 3 names" in note for note in data.notes)


def test_junk_is_junk_among_names(table: Table) -> None:
    lines = ["path,pid,camid,split", "a.png,zoe,0,train", "b.png,adam,0,query", "c.png,adam,1,gallery"]
    data = load_dataset(table(*lines, "d.png,-1,1,gallery"))
    assert [s.pid for s in data.gallery] == [1, -1]
    assert any("images of pid -1 in the gallery, junk" in note for note in data.notes)
    with pytest.raises(DataError, match="pid is -1 in query"):
        load_dataset(table(*lines, "d.png,-1,1,query"))


def test_split_by_identity_is_seeded_and_disjoint(table: Table) -> None:
    lines = [f"{letter}.png,{i // 2 + 1},{i % 2}" for i, letter in enumerate("abcdefgh")]
    file = table("path,pid,camid", *lines)
    first, again, other = (load_dataset(file, split=k, test_share=0.5) for k in (0, 0, 1))
    assert first == again
    assert {s.pid for s in first.train}.isdisjoint({s.pid for s in (*first.query, *first.gallery)})
    assert len({s.pid for s in first.train}) == 2
    assert {s.pid for s in first.train} != {s.pid for s in other.train}


def test_same_order_of_rows_does_not_matter(table: Table) -> None:
    lines = [f"{letter}.png,{i // 2 + 1},{i % 2}" for i, letter in enumerate("abcdefgh")]
    forward = load_dataset(table("path,pid,camid", *lines), test_share=0.5)
    backward = load_dataset(table("path,pid,camid", *reversed(lines)), test_share=0.5)
    assert {s.pid for s in forward.train} == {s.pid for s in backward.train}


def test_test_rows_become_queries_and_gallery(table: Table) -> None:
    rows = ("a,1,0", "b,1,0", "c,1,1", "d,2,0", "e,2,0", "f,3,0", "g,3,1")
    file = table("path,pid,camid,split", *(f"{row[0]}.png{row[1:]},test" for row in rows))
    data = load_dataset(file)
    # person 2 was seen by one camera, so there is nothing to ask; of person 3 one image must stay to be found
    assert [s.path.name[0] for s in data.query] == ["a", "f"]
    assert [s.path.name[0] for s in data.gallery] == ["b", "c", "d", "e", "g"]


def test_tracklets(table: Table) -> None:
    data = load_dataset(
        table(
            "path,pid,camid,split,tracklet",
            "a.png,1,0,query,7",
            "b.png,1,0,query,7",
            "c.png,1,1,gallery,7",
            "d.png,2,1,gallery,7",
        )
    )
    assert data.protocol == "video"
    numbers = [s.tracklet for s in (*data.query, *data.gallery)]
    assert numbers[0] == numbers[1]
    assert len(set(numbers)) == 3, "a tracklet's name need be unique within a person and camera only"


@pytest.mark.parametrize("none", ["-1", "-1.0", ""])
def test_minus_one_is_no_tracklet(none: str, table: Table) -> None:
    rows = [
        f"{letter}.png,{1 + i // 2},{i % 2},{['query', 'gallery'][i % 2]},{none}" for i, letter in enumerate("abcd")
    ]
    data = load_dataset(table("path,pid,camid,split,tracklet", *rows))
    assert {s.tracklet for s in (*data.query, *data.gallery)} == {None}
    assert data.protocol == "market1501"


def test_parquet(table: Table) -> None:
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    folder = table("path,pid", "a.png,1").parent
    columns = {"path": ["a.png", "b.png", "c.png"], "pid": [1, 2, 2], "camid": [0.0, 0.0, 1.0]}
    pq.write_table(pa.table({**columns, "split": ["train", "query", "gallery"]}), folder / "own.parquet")
    data = load_dataset(folder / "own.parquet")
    assert [s.camid for s in (*data.train, *data.query, *data.gallery)] == [0, 0, 1]


@pytest.mark.parametrize("pids", ["0123", ["-1", "0", "1", "2"]])
def test_persons_from_zero_are_persons(pids: str | list[str], table: Table) -> None:
    rows = [f"{letter}.png,{pids[i // 2]},{i % 2}" for i, letter in enumerate("abcdefgh")]
    data = load_dataset(table("path,pid,camid", *rows), test_share=1.0)
    junk = pids[0] == "-1"
    assert sorted({s.pid for s in data.query}) == [1, 2, 3] if junk else [1, 2, 3, 4]
    assert len({s.pid for s in (*data.query, *data.gallery)}) == 4
    assert FROM_ZERO in data.notes
    assert any("pid -1 in the gallery, junk" in note for note in data.notes) == junk


def test_persons_from_one_keep_their_numbers(table: Table) -> None:
    data = load_dataset(table("path,pid", "a.png,1", "b.png,1", "c.png,9", "d.png,9"), test_share=1.0)
    assert {s.pid for s in (*data.query, *data.gallery)} == {1, 9}
    assert FROM_ZERO not in data.notes


def test_folders_from_zero_are_persons(tmp_path: Path) -> None:
    for person in range(4):
        for i in range(3):
            write_image(tmp_path / "people" / str(person) / f"{i}.png", 3 * person + i)
    data = load_dataset(tmp_path / "people", test_share=0.5)
    assert len(data.train) == 6
    assert len({s.pid for s in data.train} | {s.pid for s in data.query}) == 4
    assert FROM_ZERO in data.notes
    assert any("2 of 4 identities" in note for note in data.notes)


def test_one_number_written_as_integer_and_fraction(table: Table) -> None:
    rows = ("a,1,0,5", "b,1.0,0,5.0", "c,1.00,1.0,", "d,2,1,6", "e,2.0,0.0,", "f,02.5,0,")
    data = load_dataset(
        table("path,pid,camid,tracklet", *(row.replace(",", ".png,", 1) for row in rows[:5])), test_share=1
    )
    samples = {s.path.stem: s for s in (*data.query, *data.gallery)}
    assert {name: (s.pid, s.camid) for name, s in samples.items()} == {
        "a": (1, 0),
        "b": (1, 0),
        "c": (1, 1),
        "d": (2, 1),
        "e": (2, 0),
    }
    assert samples["a"].tracklet == samples["b"].tracklet
    named = load_dataset(table("path,pid", *(row.replace(",", ".png,", 1).rsplit(",", 2)[0] for row in rows)))
    assert any("3 names" in note for note in named.notes), "2.5 is a name, and then all are"


def test_names_that_differ_in_capital_letters_are_noted(table: Table) -> None:
    data = load_dataset(table("path,pid", "a.png,Ann", "b.png,ann", "c.png,bob"))
    assert "pid: 'Ann' and 'ann' differ in capital letters only, and are two" in data.notes


def test_folders_of_one_number_in_two_writings(tmp_path: Path) -> None:
    for name in ("1", "1.0", "2"):
        write_image(tmp_path / "people" / name / "x.png")
    data = load_dataset(tmp_path / "people", test_share=0.0)
    assert sorted(s.pid for s in data.train) == [1, 1, 2]
    assert "pid in several writings, each taken as one: '1' = '1.0'" in data.notes


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("007", "7"),
        ("1.0", "1"),
        ("-0", "0"),
        ("jos\u00e9", "jose\u0301"),
        ("ann", " ann\u00a0"),
        ("ann", "\u200bann\ufeff"),
        ("ann", "an\u00adn"),
    ],
)
def test_two_writings_are_one_person(table: Table, first: str, second: str) -> None:
    data = load_dataset(table("path,pid", f"a.png,{first}", f"b.png,{second}", "c.png,bob"), test_share=0.0)
    pids = [s.pid for s in data.train]
    assert pids[0] == pids[1] != pids[2]
    if first.strip() != second.strip():
        assert any(note.startswith("pid in several writings") for note in data.notes)


def test_cameras_and_tracklets_in_two_writings(table: Table) -> None:
    rows = ("a.png,1,01,5.0", "b.png,1,1,5", "c.png,2,2,5")
    data = load_dataset(table("path,pid,camid,tracklet", *rows), test_share=0.0)
    assert [s.camid for s in data.train] == [1, 1, 2]
    assert data.train[0].tracklet == data.train[1].tracklet != data.train[2].tracklet


@pytest.mark.parametrize("part", ["", "train"])
def test_folders_of_cameras_in_those_of_persons(part: str, tmp_path: Path) -> None:
    for name in ("ann/cam1/0.png", "ann/cam2/0.png", "bob/cam1/0.png", "bob/cam2/1.png", "bob/cam2/2.png"):
        write_image(tmp_path / "people" / part / name)
    data = load_dataset(tmp_path / "people", test_share=0.0)
    assert [(s.pid, s.camid) for s in data.train] == [(1, 0), (1, 1), (2, 0), (2, 1), (2, 1)]
    assert not any(note.startswith(("not read", "no cameras")) for note in data.notes)


def test_folders_of_cameras_of_any_name_are_named(tmp_path: Path) -> None:
    for name in ("ann/door/0.png", "ann/hall/0.png", "bob/hall/0.png"):
        write_image(tmp_path / "people" / name)
    with pytest.raises(DataError, match=r"in those of persons, with 3 image\(s\)"):
        load_dataset(tmp_path / "people")
    data = load_dataset(tmp_path / "people", camera="folder", test_share=0.0)
    assert [(s.pid, s.camid) for s in data.train] == [(1, 0), (1, 1), (2, 1)]


def test_a_list_of_paths_and_labels(tmp_path: Path) -> None:
    for name in ("a b.png", "c.jpg", "d/e.png"):
        write_image(tmp_path / name)
    (tmp_path / "all.txt").write_text("# path label camera\na b.png 0 1\nc.jpg 0 2\n\nd/e.png 1 1\n", "utf-8")
    data = load_dataset(tmp_path / "all.txt", test_share=0.0)
    assert [(s.path.name, s.pid, s.camid) for s in data.train] == [("a b.png", 1, 1), ("c.jpg", 1, 2), ("e.png", 2, 1)]
    (tmp_path / "all.txt").write_text("a b.png\n", "utf-8")
    with pytest.raises(DataError, match=r'line 1: expected "path label"'):
        load_dataset(tmp_path / "all.txt")


@pytest.mark.parametrize("name", ["{}.txt", "list_{}.txt", "{}_list.txt"])
def test_a_folder_with_lists(name: str, tmp_path: Path) -> None:
    lines = {"train": ["0 0", "0 1", "1 0"], "query": ["2 0"], "gallery": ["2 1", "3 1"]}
    for part, labels in lines.items():
        for i, _ in enumerate(labels):
            write_image(tmp_path / "set" / part / f"{i}.png")
        text = "".join(f"{part}/{i}.png {label}\n" for i, label in enumerate(labels))
        (tmp_path / "set" / name.format(part)).write_text(text, "utf-8")
    data = load_dataset(tmp_path / "set")
    assert [(s.pid, s.camid) for s in data.train] == [(1, 0), (1, 1), (2, 0)]
    assert [(s.pid, s.camid) for s in (*data.query, *data.gallery)] == [(3, 0), (3, 1), (4, 1)]
    assert FROM_ZERO in data.notes


def test_distractors_that_are_meant_are_counted(table: Table) -> None:
    rows = ("a.png,1,query", "b.png,1,gallery", "c.png,0,gallery", "d.png,0,gallery", "e.png,-1,gallery")
    data = load_dataset(table("path,pid,split", *rows))
    assert [s.pid for s in data.gallery] == [1, 0, 0, -1]
    assert "images of pid 0 in the gallery, distractors and so of nobody who is asked for: 2" in data.notes
    assert "images of pid -1 in the gallery, junk and so of nobody who is asked for: 1" in data.notes


WRONG = {
    "no pid": (("path,person", "a.png,1"), "needs a column 'pid'"),
    "unknown column": (("path,pid,camids", "a.png,1,0"), "did you mean"),
    "missing image": (("path,pid", "a.png,1", "nowhere.png,1"), r"own\.csv, row 3: no image file"),
    "empty pid": (("path,pid", "a.png,1", "b.png,"), r"own\.csv, row 3: pid is empty"),
    "bad split": (("path,pid,split", "a.png,1,dev"), r"own\.csv, row 2: split is 'dev'"),
    "bad time": (("path,pid,time", "a.png,1,noon"), r"own\.csv, row 2: time is 'noon'"),
    "too many fields": (("path,pid", "a.png,1", "b.png,2,3"), r"own\.csv, row 3: .*more fields"),
    "pid 0 in train": (("path,pid,split", "a.png,0,train"), r"own\.csv, row 2: pid is 0 in train"),
    "pid 0 in test": (
        ("path,pid,split", "a.png,0,test", "b.png,1,test"),
        r"row 2: pid is 0 in test.*add 1 to every pid",
    ),
    "pid -2": (("path,pid,split", "a.png,-2,gallery", "b.png,1,query"), r"own\.csv, row 2: pid is -2"),
    "half the cameras": (("path,pid,camid", "a.png,1,0", "b.png,1,"), r"own\.csv, row 3: camid is empty"),
    "negative camera": (("path,pid,camid", "a.png,1,-3"), r"row 2: camid is -3"),
    "no gallery": (("path,pid,split", "a.png,1,query"), "gallery is empty"),
    "no rows": (("path,pid",), "no rows"),
    "image twice": (("path,pid", "a.png,1", "b.png,2", "a.png,2"), r"own\.csv, row 4: .*own\.csv, row 2 already"),
    "a column twice": (("path,pid,pid", "a.png,1,2"), "'pid' stands there twice"),
    "nothing": ((), "needs a column 'path'"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_manifest(case: str, table: Table) -> None:
    lines, message = WRONG[case]
    file = table(*lines)
    with pytest.raises(DataError, match=message):
        load_dataset(file)


def test_not_a_table(tmp_path: Path) -> None:
    (tmp_path / "own.csv").write_bytes(b"path,pid\n\xff\xfe,1\n")
    with pytest.raises(DataError, match="UTF-8"):
        load_dataset(tmp_path / "own.csv")
    (tmp_path / "own.parquet").write_bytes(b"nothing of the kind")
    with pytest.raises(DataError, match="not a Parquet file"):
        load_dataset(tmp_path / "own.parquet")
    with pytest.raises(DataError, match="no such file"):
        load_dataset(tmp_path / "absent.csv")


def test_folder_of_persons(tmp_path: Path) -> None:
    for person in ("ann", "bob", "cem", "dee"):
        for i, camera in enumerate((1, 1, 2)):
            write_image(tmp_path / "people" / person / f"{i}_c{camera}.png")
    (tmp_path / "people" / "Thumbs.db").write_bytes(b"x")
    data = load_dataset(str(tmp_path / "people"), camera=r"_c(\d+)", test_share=0.5)
    assert data.name == "people"
    assert len(data.train) == 6
    assert len(data.query) == 2
    assert data.protocol == "market1501"
    assert load_dataset(tmp_path / "people").protocol == "no_cameras"


def test_every_format_that_is_decoded_is_read(tmp_path: Path) -> None:
    endings = ("jpg", "jfif", "avif", "gif", "JPG", "png", "webp", "pgm", "jpe", "tiff")
    for i, ending in enumerate(endings):
        kind = {"jfif": "JPEG", "jpe": "JPEG", "pgm": "PPM"}.get(ending)
        path = tmp_path / "people" / f"person {i}" / f"0.{ending}"
        path.parent.mkdir(parents=True)
        Image.fromarray(np.full((16, 8, 3), 20 * i, np.uint8)).save(path, kind)
    data = load_dataset(tmp_path / "people", test_share=0.0)
    assert len({s.pid for s in data.train}) == len(endings)
    assert [read_image(s.path).shape for s in data.train] == [(16, 8, 3)] * len(endings)
    assert not any(note.startswith("not read") for note in data.notes)


@pytest.mark.parametrize("part", ["", "train"])
def test_what_is_not_read_is_counted(part: str, tmp_path: Path) -> None:
    top = tmp_path / "people"
    base = top / part
    for name in ("ann/0.png", "ann/1.png", "bob/0.png", "gus/cam1/0.png", "gus/cam2/0.png", "ann/more/2.png", "z.png"):
        write_image(base / name)
    for name in ("ann/2.raw", "ann/notes.txt", "cid/0.raw", "cid/1.raw", "README", "bob/Thumbs.db", "bob/._0.png"):
        (base / name).parent.mkdir(exist_ok=True)
        (base / name).write_bytes(b"x")
    notes = [note for note in load_dataset(top, test_share=0.0).notes if note.startswith("not read")]
    below = f"{part}/" if part else ""
    where = "a person's images lie directly in the person's folder; a manifest lists any others"
    inside = ", ".join(f"{below}{name}" for name in ("ann/more", "gus/cam1", "gus/cam2"))
    others = ", ".join(f"{below}{name}" for name in ("README", "ann/2.raw", "ann/notes.txt"))
    assert notes == [
        f"not read: 2 folder(s) of a person without an image directly in it: {below}cid, {below}gus",
        f"not read: 3 folder(s) in those of persons, with 3 image(s): {inside}; {where}",
        f"not read: 1 image(s) outside any folder of a person: {below}z.png; {where}",
        f"not read: 5 file(s) by extension (.raw: 3, none: 1, .txt: 1): {others} and 2 more",
    ]
    report = check_dataset(top, progress=False)
    assert [words for words in report.warnings if words.startswith("not read")] == notes
    assert not any("read by nobody" in words for words in report.warnings)


def test_folders_of_cameras_are_refused_by_what_they_hold(tmp_path: Path) -> None:
    for name in ("cam1/ann/0.png", "cam2/ann/0.png"):
        write_image(tmp_path / "people" / name)
    with pytest.raises(
        DataError, match=r"found cam1, cam2; .* in those of persons, with 2 image\(s\): cam1/ann, cam2/ann"
    ):
        load_dataset(tmp_path / "people")


def test_images_below_a_folder(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("a.png", "b/c.gif", "b/d.jfif"):
        path = tmp_path / "crops" / name
        path.parent.mkdir(exist_ok=True, parents=True)
        Image.fromarray(np.zeros((16, 8, 3), np.uint8)).save(path, "JPEG" if path.suffix == ".jfif" else None)
    for name in ("b/e.raw", "f.csv", "g.csv", "._a.png", "__MACOSX/a.png"):
        (tmp_path / "crops" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "crops" / name).write_bytes(b"x")
    with caplog.at_level("WARNING"):
        found = images_below(tmp_path / "crops")
    assert [str(s.path.relative_to(tmp_path / "crops")) for s in found] == ["a.png", "b/c.gif", "b/d.jfif"]
    assert "not read: 3 file(s) by extension (.csv: 2, .raw: 1): b/e.raw, f.csv, g.csv" in caplog.text
    for one in found:
        one.path.unlink()
    with pytest.raises(DataError, match=r"no image below it; not read: 3 file\(s\)"):
        images_below(tmp_path / "crops")


def test_folders_behind_links_and_closed_ones_are_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    top = tmp_path / "crops"
    for name in ("crops/a/0.png", "crops/b/1.png", "elsewhere/2.png"):
        write_image(tmp_path / name)
    (top / "a" / "loop").symlink_to(top)
    (top / "linked").symlink_to(tmp_path / "elsewhere")
    scandir = os.scandir

    def closed(place: str) -> Any:
        if os.path.basename(place) == "b":
            raise PermissionError(13, "Permission denied", place)
        return scandir(place)

    monkeypatch.setattr(os, "scandir", closed)
    assert [s.path.name for s in images_below(top)] == ["0.png"]
    assert "not read: 2 folder(s) behind symbolic links: a/loop, linked" in caplog.text
    assert "not read: 1 folder(s) that cannot be opened: b" in caplog.text


def test_folders_of_odd_names(tmp_path: Path) -> None:
    """A person's folder may hold a line break in its name, and a folder be called like an image."""
    top = tmp_path / "people"
    for name in ("ann/0.png", "ann/a\nb.png", "bob\n2/0.png"):
        write_image(top / name)
    (top / "ann" / "folder.png").mkdir()
    data = load_dataset(top, test_share=0.0)
    assert len(data.train) == 3
    assert any("1 folder(s) in those of persons, with 0 image(s): ann/folder.png" in note for note in data.notes)


def test_names_that_are_no_text_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    top = tmp_path / "people"
    for name in ("ann/0.png", "bob/0.png"):
        write_image(top / name)
    (top / "ann" / os.fsdecode(b"\xff.raw")).write_bytes(b"x")
    assert run(["data", "check", str(top)]) == 0
    assert "not read: 1 file(s) by extension (.raw: 1): ann/\\udcff.raw" in capsys.readouterr().out
    write_image(top / "ann" / os.fsdecode(b"\xff.png"))
    said = r"1 file name\(s\) that are no text in UTF-8, first '.*\\udcff\.png'; rename them"
    with pytest.raises(DataError, match=said):
        load_dataset(top)
    with pytest.raises(DataError, match=said):
        images_below(top)
    assert run(["data", "check", str(top)]) == 1


def test_folder_with_parts(tmp_path: Path) -> None:
    for part, person in (("train", "1"), ("query", "2"), ("gallery", "2"), ("gallery", "3")):
        write_image(tmp_path / "own" / part / person / "x.png")
    data = load_dataset(tmp_path / "own")
    assert ([s.pid for s in data.train], [s.pid for s in data.query], [s.pid for s in data.gallery]) == (
        [1],
        [2],
        [2, 3],
    )


def test_folder_in_market_style(tmp_path: Path) -> None:
    for part, name in (("bounding_box_train", "0001_c9s1_000001_01"), ("query", "0002_c1s1_000001_00")):
        write_image(tmp_path / "own" / part / f"{name}.png")
    for name in ("0002_c7s1_000001_01", "-1_c1s1_000002_01"):
        write_image(tmp_path / "own" / "bounding_box_test" / f"{name}.png")
    data = load_dataset(tmp_path / "own")
    assert (data.name, data.protocol) == ("own", "market1501")
    assert [(s.pid, s.camid) for s in (*data.train, *data.query, *data.gallery)] == [(1, 8), (2, 0), (2, 6)]


def test_parquet_with_holes(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    paths = [str(write_image(tmp_path / f"{i}.png", i)) for i in range(3)]
    columns = {"path": paths, "pid": [1.0, 2.0, 2.0], "time": [float("nan"), None, 3.5], "tracklet": [None, None, None]}
    pq.write_table(pa.table({**columns, "split": ["train", "query", "gallery"]}), tmp_path / "own.parquet")
    data = load_dataset(tmp_path / "own.parquet")
    assert [(s.pid, s.time, s.tracklet) for s in data.gallery] == [(2, 3.5, None)]
    assert data.train[0].time is None
    pq.write_table(pa.table({"path": paths, "pid": [1.0, float("nan"), 2.0]}), tmp_path / "own.parquet")
    with pytest.raises(DataError, match=r"own\.parquet, row 2: pid is empty"):
        load_dataset(tmp_path / "own.parquet")


def test_wrong_folders(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such folder"):
        load_dataset(f"{tmp_path}/absent")
    write_image(tmp_path / "flat" / "x.png")
    with pytest.raises(DataError, match="one folder with images for each person, found 1 images directly"):
        load_dataset(tmp_path / "flat")
    write_image(tmp_path / "own" / "1" / "x.png")
    write_image(tmp_path / "mixed" / "train" / "1" / "x.png")
    write_image(tmp_path / "mixed" / "val" / "1" / "x.png")
    with pytest.raises(DataError, match=r"other folders \(val\)"):
        load_dataset(tmp_path / "mixed")
    with pytest.raises(DataError, match="finds no camera"):
        load_dataset(tmp_path / "own", camera=r"_c(\d+)")
    with pytest.raises(DataError, match="did you mean 'market1501'"):
        load_dataset("market1051")


def test_one_camera_is_no_camera(table: Table) -> None:
    lines = [f"{letter}.png,{i // 2 + 1},5" for i, letter in enumerate("abcdefgh")]
    data = load_dataset(table("path,pid,camid", *lines), test_share=0.5)
    assert data.protocol == "no_cameras"
    assert any("one camera" in note for note in data.notes)
    assert len(data.query) == len(data.gallery) == 2


def test_nobody_seen_twice_is_noted_or_refused(table: Table) -> None:
    alone = load_dataset(table("path,pid", "a.png,1", "b.png,2"), test_share=1.0)
    assert (len(alone.query), len(alone.gallery)) == (0, 2)
    assert any("cannot test" in note for note in alone.notes)
    with pytest.raises(DataError, match="query is empty"):
        load_dataset(table("path,pid,split", "a.png,1,test", "b.png,2,test"))


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ({"test_shares": 0.5}, "did you mean 'test_share'"),
        ({"test_share": "half"}, "test_share is 'half'; expected float"),
        ({"test_share": 2.0}, "between 0 and 1"),
        ({"test_share": True}, "test_share is True; expected float"),
        ({"protocol": "xyz"}, "unknown protocol 'xyz': known are all_shots, cuhk03, market1501, "),
        ({"protocol": "market1510"}, "did you mean 'market1501'"),
        ({"protocol": 3}, "protocol is 3; expected market1501 or cuhk03 or"),
        ({"split": "x"}, "split is 'x'; expected int, as in split = 0"),
        ({"split": 1.5}, r"split is 1\.5; expected int"),
        ({"verify": "no"}, "verify is 'no'; expected true or false, as in verify = True"),
        ({"frames": "8"}, "frames is '8'; expected int"),
        ({"frames": -1}, r"frames is -1; expected 0 \(all\) or more"),
    ],
)
def test_wrong_arguments(argument: dict[str, Any], message: str, table: Table, tmp_path: Path) -> None:
    file = table("path,pid", "a.png,1", "b.png,2")
    with pytest.raises(DataError, match=message):
        load_dataset(file, **argument)
    write_image(tmp_path / "people" / "1" / "x.png")
    with pytest.raises(DataError, match=message):
        load_dataset(tmp_path / "people", **argument)


@pytest.mark.parametrize("camera", [3, [1], True])
def test_a_camera_that_is_no_text(camera: object, tmp_path: Path) -> None:
    write_image(tmp_path / "people" / "1" / "x.png")
    with pytest.raises(DataError, match=r"people: camera is .*; expected str$"):
        load_dataset(tmp_path / "people", camera=camera)
    with pytest.raises(DataError, match="camera is"):
        check_dataset(tmp_path / "people", progress=False, camera=camera)


def test_arguments_that_data_do_not_take_are_no_fault_of_the_data(table: Table, tmp_path: Path) -> None:
    write_image(tmp_path / "people" / "1" / "x.png")
    for place in (table("path,pid", "a.png,1", "b.png,2"), tmp_path / "people"):
        for argument in ({"protocol": "xyz"}, {"split": "x"}, {"verify": "no"}, {"test_shares": 1}):
            with pytest.raises(DataError, match=f"{place.name}: "):
                check_dataset(place, progress=False, **argument)
