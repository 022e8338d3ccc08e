"""Which frame each image of a folder is, and what is left out."""

from pathlib import Path

import pytest

from passerby.errors import DataError
from passerby.tracking.frame_folder import FrameFolder, open_folder


def folder_of(place: Path, *names: str) -> Path:
    place.mkdir(parents=True, exist_ok=True)
    for name in names:
        (place / name).write_bytes(b"")
    return place


def numbered(folder: FrameFolder) -> dict[int, str]:
    return {number: path.name for number, path in folder.files.items()}


def test_the_number_in_the_name_is_the_frame(tmp_path: Path) -> None:
    found = open_folder(folder_of(tmp_path, "cam2_000011.jpg", "cam2_000001.jpg", "cam2_000006.png"))
    assert numbered(found) == {1: "cam2_000001.jpg", 6: "cam2_000006.png", 11: "cam2_000011.jpg"}
    assert (found.step, found.notes) == (5, ())


def test_where_there_is_a_frame_0_it_is_frame_1(tmp_path: Path) -> None:
    found = open_folder(folder_of(tmp_path, "000000.jpg", "000001.jpg", "000003.jpg"))
    assert numbered(found) == {1: "000000.jpg", 2: "000001.jpg", 4: "000003.jpg"}
    assert found.step == 1
    assert found.notes == ("frames count from 0 in their names: 000000.jpg is frame 1",)


def test_what_is_no_frame_is_counted(tmp_path: Path) -> None:
    names = ["000001.jpg", "000002.jpg", "._000001.jpg", ".DS_Store", "seqinfo.ini", "000003.raw", "a.txt", "cover.png"]
    (tmp_path / "4.jpg").mkdir()
    (tmp_path / "seqinfo.ini").write_text("")
    found = open_folder(folder_of(tmp_path, *names))
    assert numbered(found) == {1: "000001.jpg", 2: "000002.jpg"}
    assert found.notes == (
        "not read: 2 file(s) by extension (.raw: 1, .txt: 1): 000003.raw, a.txt",
        "not read: 1 image(s) without the number of a frame in their names: cover.png",
    )
    with pytest.raises(
        DataError, match=r"expected frames .*, found none; not read: 1 file\(s\) by extension \(\.raw: 1\)"
    ):
        open_folder(folder_of(tmp_path / "other", "1.raw"))


@pytest.mark.parametrize(
    "names", [("000001.jpg", "000001.png"), ("7.jpg", "007.jpg"), ("a_3.jpg", "b_3.jpg", "c_4.jpg")]
)
def test_two_images_of_one_frame_are_refused(names: tuple[str, ...], tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"000001.jpg and 000001.png are|7.jpg are both frame 7|b_3.jpg are both frame 3"
    ):
        open_folder(folder_of(tmp_path, *names))


@pytest.mark.parametrize(
    ("names", "why"),
    [
        (("a.jpg", "b.jpg", "c.jpg"), "without numbers"),
        (("10_7.jpg", "11_3.jpg", "11_5.jpg"), "several numbers"),
        (("1700000000123.jpg", "1700000000163.jpg"), "time stamps"),
        (("183057.jpg", "183058.jpg", "183100.jpg"), "time stamps"),
        (("183057250.jpg", "183057500.jpg"), "time stamps"),
        (("20261128.jpg", "20261129.jpg"), "time stamps"),
        (("20261128_183057.jpg", "20261128_183058.jpg", "20261128_183100.jpg"), "time stamps"),
        (("20261128-183057.033333.jpg", "20261128-183057.066667.jpg"), "time stamps"),
        (("20261128T183000.040.jpg", "20261128T183000.080.jpg"), "time stamps"),
        (("hall_2026-11-28_18-30-57.jpg", "hall_2026-11-28_18-30-58.jpg"), "time stamps"),
        (("00-00-00-040.jpg", "00-00-00-080.jpg"), "time stamps"),
        (("1732800000.040.jpg", "1732800000.080.jpg"), "time stamps"),
        (("0.04.jpg", "0.08.jpg", "0.1.jpg", "0.12.jpg"), "time stamps"),
        (("t_0.04s.jpg", "t_0.08s.jpg"), "time stamps"),
    ],
)
def test_names_that_do_not_count_the_frames(names: tuple[str, ...], why: str, tmp_path: Path) -> None:
    found = open_folder(folder_of(tmp_path, *names))
    assert numbered(found) == dict(enumerate(names, start=1))
    [note] = found.notes
    assert note.startswith("frames are numbered from 1 in the order of their names")
    assert why in note
    assert names[0] in note


@pytest.mark.parametrize(
    "names",
    [
        ("000058.jpg", "000060.jpg", "000161.jpg"),
        ("183058.jpg", "183060.jpg", "183061.jpg"),
        ("frame_183057.jpg", "frame_183058.jpg"),
        ("20261128_cam1_000012.jpg", "20261128_cam1_000013.jpg"),
        ("hall.1.000123.jpg", "hall.1.000124.jpg"),
        ("99998.jpg", "99999.jpg"),
    ],
)
def test_numbers_of_frames_are_no_time_stamps(names: tuple[str, ...], tmp_path: Path) -> None:
    numbers = [int(name[:-4][-6:].lstrip("_.")) for name in names]
    found = open_folder(folder_of(tmp_path, *names))
    assert numbered(found) == dict(zip(numbers, names, strict=True))
    assert found.notes == ()


def test_a_file_about_the_sequence_that_is_none(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, "1.jpg")
    for text in ("frameRate = 25", "[Sequence]\nframeRate = fast"):
        (folder / "seqinfo.ini").write_text(text)
        with pytest.raises(DataError, match=r"seqinfo.ini: expected \[Sequence\] with frameRate = NUMBER, found "):
            open_folder(folder)
