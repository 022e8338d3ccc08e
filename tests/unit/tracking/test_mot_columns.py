"""What stands behind the boxes of a MOT file is decided by the file as a whole."""

from pathlib import Path

import pytest

from passerby.errors import DataError
from passerby.tracking.boxes.box_file import BoxFile
from passerby.tracking.boxes.reading import read_boxes

TRUTH = "1,1,1"


def read(folder: Path, *columns: str) -> BoxFile:
    """A file in whose frames n stands track n, with these columns behind the box."""
    file = folder / "boxes.txt"
    file.write_text("".join(f"{n},{n},4,8,16,48,{text}\n" for n, text in enumerate(columns, start=1)))
    return read_boxes(file)


def tracks(found: BoxFile) -> list[int]:
    return [box.track for box in found.boxes]


ODD = {
    "visibility not given": "1,1,-1",
    "visibility in percent": "1,1,100",
    "no visibility": "1,1",
    "a filler behind it": "1,1,1,-1",
}


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD)
def test_one_odd_row_does_not_make_a_truth_a_result(odd: str, tmp_path: Path) -> None:
    found = read(tmp_path, odd, TRUTH, "0,1,1", "1,3,0.5", TRUTH)
    assert tracks(found) == [1, 2, 5]
    assert found.skipped == {
        "marked as not to be counted": 1,
        "class 3 of the ground truth, not one of 1, 2, 7": 1,
    }
    assert all(box.confidence is None for box in found.boxes)
    if odd != "1,1,1,-1":
        assert found.notes == [
            "1 of 5 rows are not quite a ground truth's flag (0 or 1), class (from 1) and visibility (0 to 1) "
            f"(row 1: {odd}); read as the others"
        ]


def test_class_0_in_a_truth_is_no_person(tmp_path: Path) -> None:
    found = read(tmp_path, TRUTH, "1,0,1", TRUTH)
    assert tracks(found) == [1, 3]
    assert found.skipped == {"class 0 of the ground truth, not one of 1, 2, 7": 1}


@pytest.mark.parametrize("odd", ["0.7,1,1", "1", "1,1.5,1", "1,nan,1"])
def test_a_row_that_cannot_be_read_as_the_others_is_refused(odd: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=rf"row 2: {odd} behind the box, where most rows have a ground truth's flag"):
        read(tmp_path, TRUTH, odd, TRUTH)


@pytest.mark.parametrize("behind", ["", ",-1", ",100", ",1,-1"])
def test_flags_and_classes_without_a_visibility(behind: str, tmp_path: Path) -> None:
    found = read(tmp_path, f"1,1{behind}", f"0,1{behind}", f"1,3{behind}", f"1,7{behind}")
    assert tracks(found) == [1, 4]
    assert sum(found.skipped.values()) == 2


def test_flags_beside_the_class_0_are_ambiguous(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a ground truth's flag or a confidence, .*; name the columns in the first"):
        read(tmp_path, "1,0,-1", "0,2,-1", "1,0,-1")


RESULTS = {
    "boxmot": ("0.9,0,-1", "0.9,2,-1", (0,)),
    "boxmot's index of the detection": ("0.9,1,4", "0.5,3,0", (1,)),
    "no index": ("0.9,0", "0.9,2", (0,)),
    "visdrone": ("0.8,2,-1,-1", "0.8,4,-1,-1", (1, 2)),
    "classes from 0": ("0.8,0,-1,-1", "0.8,2,-1,-1", (0,)),
}


@pytest.mark.parametrize("name", RESULTS)
def test_classes_of_results(name: str, tmp_path: Path) -> None:
    person, car, people = RESULTS[name]
    found = read(tmp_path, person, car)
    assert [(box.track, box.confidence, box.category) for box in found.boxes] == [(1, float(person[:3]), None)]
    number = car.split(",")[1]
    assert found.skipped == {f"class {number}, not a person ({' or '.join(map(str, people))})": 1}
    assert found.notes == [f"column 8 is read as the class, in which people are {' and '.join(map(str, people))}"]


def test_one_class_throughout_that_is_nobodys_number_of_people(tmp_path: Path) -> None:
    found = read(tmp_path, "0.9,3", "0.5,3", "0.7,3")
    assert tracks(found) == [1, 2, 3]
    assert found.notes == ["column 8 is 3 in all rows, which are taken for people"]
    assert tracks(read(tmp_path, "0.8,4,-1,-1", "0.8,2,-1,-1")) == [2]  # VisDrone's cars stay cars


@pytest.mark.parametrize(
    ("columns", "note"),
    [
        ("0.9,-1,-1,-1", ""),
        ("0.9,-4.5,3.5,0", ""),
        ("0.9,412,300", "columns behind the 7th are not read: no class in all rows (row 1: 0.9,412,300)"),
        ("0.9,0.35", "columns behind the 7th are not read: no class in all rows (row 1: 0.9,0.35)"),
    ],
)
def test_columns_that_are_no_classes(columns: str, note: str, tmp_path: Path) -> None:
    found = read(tmp_path, columns, columns)
    assert tracks(found) == [1, 2]
    assert found.notes == ([note] if note else [])


def test_a_result_with_a_row_without_its_class_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"row 3: 0.9,2.5,-1 behind the box, where most rows have a class in column 8"):
        read(tmp_path, "0.9,0,-1", "0.9,2,-1", "0.9,2.5,-1")


def test_an_odd_row_of_visdrone_and_of_2015(tmp_path: Path) -> None:
    found = read(tmp_path, "1,1,0,0", "1,4,0,0", "0,0,0,0", "1,2,0,3")
    assert tracks(found) == [1, 4]
    assert found.skipped == {"class 4, not a person (1 or 2)": 1, "class 0, not a person (1 or 2)": 1}
    assert found.notes
    with pytest.raises(DataError, match=r"row 3: 0.5,-7.2,2.5,0 behind the box, where most rows have the flag"):
        read(tmp_path, "1,-7.1,2.5,0", "0,-7.2,2.5,0", "0.5,-7.2,2.5,0")


def test_confidences_of_0_and_1_alone_are_told(tmp_path: Path) -> None:
    found = read(tmp_path, "1,-1,-1,-1", "0,-1,-1,-1")
    assert [box.confidence for box in found.boxes] == [1, 0]
    assert found.notes == [
        "confidences are 0 (1 of 2) or 1; where 0 marks what is not to be counted, call the column flag in the first "
        "line"
    ]


@pytest.mark.parametrize("confidence", ["nan", "inf"])
def test_a_confidence_is_a_number(confidence: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"row 2: .*; conf -1: not given"):
        read(tmp_path, "0.9,-1,-1,-1", f"{confidence},-1,-1,-1")
