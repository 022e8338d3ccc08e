"""Files of boxes in every format that people have."""

import json
from pathlib import Path

import pytest

from passerby.errors import DataError
from passerby.tracking.boxes.box import Box
from passerby.tracking.boxes.reading import BOX_FORMATS, read_boxes


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(exist_ok=True, parents=True)
    path.write_text(text)
    return path


def rounded(box: Box) -> tuple[float, ...]:
    confidence = -1 if box.confidence is None else box.confidence
    return (box.frame, box.track, *(round(v, 3) for v in (box.x, box.y, box.width, box.height, confidence)))


LONG = 2**62 + 1
COCO = {
    "images": [{"id": 10, "file_name": "a_000000.jpg"}, {"id": 11, "file_name": "a_000001.jpg"}],
    "categories": [{"id": 1, "name": "person"}, {"id": 3, "name": "car"}],
    "annotations": [
        {"image_id": 10, "category_id": 1, "bbox": [4, 8, 16, 48], "track_id": LONG, "score": 0.5},
        {"image_id": 11, "category_id": 1, "bbox": [8, 8, 16, 48], "attributes": {"track_id": LONG}, "score": 0.25},
        {"image_id": 11, "category_id": 3, "bbox": [0, 0, 9, 9]},
        {"image_id": 11, "category_id": 1, "bbox": [0, 0, 9, 9], "iscrowd": 1},
    ],
}
CVAT = f"""<annotations><track id="{LONG}" label="Person">
<box frame="0" outside="0" xtl="4" ytl="8" xbr="20" ybr="56"/>
<box frame="1" outside="0" xtl="8" ytl="8" xbr="24" ybr="56"/>
<box frame="2" outside="1" xtl="8" ytl="8" xbr="24" ybr="56"/><points frame="3"/></track>
<track id="1" label="dog"><box frame="0" outside="0" xtl="4" ytl="8" xbr="20" ybr="56"/></track></annotations>"""
FILES = {
    "mot": ("boxes.txt", f"1,{LONG},4,8,16,48,0.5\n2,{LONG},8,8,16,48,0.25\n", {}),
    "csv": (
        "boxes.csv",
        f"Score,Track ID,frame,x1,y1,x2,y2,label,colour\n0.5,{LONG},0,4,8,20,56,person,red\n"
        f"0.25,{LONG},1,8,8,24,56,Pedestrian,red\n0.9,3,1,0,0,9,9,bus,red\n",
        {"labelled 'bus', not a person": 1},
    ),
    "coco": ("boxes.json", json.dumps(COCO), {"labelled 'car', not a person": 1, "marked as not to be counted": 1}),
    "cvat": (
        "boxes.xml",
        CVAT,
        {"outside the picture": 1, "a points, not a box": 1, "labelled 'dog', not a person": 1},
    ),
    "kitti": (
        "kitti.txt",
        f"0 {LONG} Pedestrian 0 0 -1.79 4 8 20 56 0 0 0 0 0 0 0 0.5\n"
        f"1 {LONG} Person_sitting 0 0 -1.79 8 8 24 56 0 0 0 0 0 0 0 0.25\n"
        "1 -1 DontCare -1 -1 -10 0 0 9 9 0 0 0 0 0 0 0\n",
        {"labelled 'DontCare', not a person": 1},
    ),
    "jsonl": (
        "boxes.jsonl",
        f'{{"frame": 0, "track": {LONG}, "bbox": [4, 8, 16, 48], "score": 0.5}}\n'
        f'{{"frame": 1, "objects": [{{"id": {LONG}, "xyxy": [8, 8, 24, 56], "confidence": 0.25}}, '
        '{"bbox": [0, 0, 9, 9], "label": "bag"}]}\n',
        {"labelled 'bag', not a person": 1},
    ),
}


@pytest.mark.parametrize("name", FILES)
def test_every_format_gives_the_same_boxes(name: str, tmp_path: Path) -> None:
    file, text, skipped = FILES[name]
    found = read_boxes(write(tmp_path / file, text))
    scored = name != "cvat"  # annotations have no score
    assert [rounded(box) for box in found.boxes] == [
        (1, LONG, 4, 8, 16, 48, 0.5 if scored else -1),
        (2, LONG, 8, 8, 16, 48, 0.25 if scored else -1),
    ]
    assert found.skipped == skipped
    assert set(FILES) == set(BOX_FORMATS)


def test_yolo_labels_need_the_pictures_size(tmp_path: Path) -> None:
    folder = tmp_path / "labels"
    write(folder / "film_0.txt", "0 0.125 0.5 0.25 0.5 0.5 7\n2 0.5 0.5 0.1 0.1 0.9 8\n")
    write(folder / "film_1.txt", "0 0.25 0.5 0.25 0.5 0.25 7\n")
    with pytest.raises(DataError, match="say its size"):
        read_boxes(tmp_path)
    found = read_boxes(tmp_path, size=(64, 96))
    assert [rounded(box) for box in found.boxes] == [(1, 7, 0, 24, 16, 48, 0.5), (2, 7, 8, 24, 16, 48, 0.25)]
    assert found.skipped == {"class 2, not a person (0)": 1}
    assert found.notes == ["frames look counted from 0 (first_frame says it for certain)"]


@pytest.mark.parametrize(("sixth", "track", "score"), [("0.5", -1, 0.5), ("12", 12, -1)])
def test_the_sixth_column_of_yolo_is_a_confidence_or_a_track(
    sixth: str, track: int, score: float, tmp_path: Path
) -> None:
    write(tmp_path / "000001.txt", f"0 0.125 0.5 0.25 0.5 {sixth}\n")
    assert rounded(read_boxes(tmp_path, size=(64, 96)).boxes[0]) == (1, track, 0, 24, 16, 48, score)


def test_deepstream_messages(tmp_path: Path) -> None:
    message = {"version": "4.0", "id": "0", "objects": [f"{LONG}|4|8|20|56|Person|#|", "3|0|0|9|9|Car"]}
    found = read_boxes(write(tmp_path / "messages.jsonl", json.dumps(message)))
    assert [rounded(box) for box in found.boxes] == [(1, LONG, 4, 8, 16, 48, -1)]
    assert found.skipped == {"labelled 'Car', not a person": 1}


def test_frames_may_count_from_any_number(tmp_path: Path) -> None:
    file = write(tmp_path / "boxes.csv", "frame,x,y,w,h\n5,1,1,2,2\n")
    assert read_boxes(file).boxes[0].frame == 5
    assert read_boxes(file, first_frame=5).boxes[0].frame == 1
    with pytest.raises(DataError, match=r"frame 5; .*first_frame=5"):
        read_boxes(file, first_frame=6)


def test_what_is_left_out_is_counted_and_nothing_is_an_error(tmp_path: Path) -> None:
    file = write(tmp_path / "boxes.txt", "1,1,4,8,16,48,0.5\n2,1,4,8,0,48,0.5\n3,1,4,8,16,48,0.1\n4,1,4,8,16,48,-1\n")
    found = read_boxes(file, min_confidence=0.3)
    assert [box.frame for box in found.boxes] == [1, 4]
    assert found.skipped == {"without a size": 1, "confidence below 0.3": 1}
    write(file, "1,1,4,8,0,48,0.5\n")
    with pytest.raises(DataError, match="no box came out, every one was skipped: 1 without a size"):
        read_boxes(file)


WRONG = {
    "boxes.csv": [
        ("frame,x,y\n1,2,3\n", "row 1: expected a header"),
        ("frame,x,y,w,h\n1,2\n", "row 2: 2 columns"),
        ("frame,x,y,w,h\n1,2,3,four,5\n", r"row 2: .*four.*; expected finite numbers"),
        ("frame,x,y,w,h\n1.5,2,3,4,5\n", r"row 2: frame '1.5'; expected a whole number"),
    ],
    "boxes.json": [
        ("{", "cannot be read as JSON"),
        ("{}", "expected a COCO file"),
        ('[{"image_id": 1, "bbox": [1, 2]}]', "annotation 1: expected an object with bbox"),
        ('{"images": [{"id": 1, "video_id": 1}, {"id": 2, "video_id": 2}], "annotations": []}', "2 films"),
    ],
    "boxes.xml": [("<annotations><image/></annotations>", "expected CVAT for video"), ("<a", "cannot be read as XML")],
    "boxes.jsonl": [
        ("{}\n", "row 1: frame None"),
        ('{"frame": 1}\n', "row 1: expected bbox"),
        ("{\n", "row 1: not JSON"),
    ],
    "boxes.txt": [("0 1 Pedestrian 0 0 0 1 2 3 4\n0 1 Pedestrian\n", "row 2: .* is not like")],
}


@pytest.mark.parametrize(("name", "text", "message"), [(n, *case) for n, cases in WRONG.items() for case in cases])
def test_wrong_files_name_the_place(name: str, text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=message):
        read_boxes(write(tmp_path / name, text))


def test_a_track_is_in_one_place_at_a_time(tmp_path: Path) -> None:
    file = write(tmp_path / "boxes.txt", "1,1,4,8,16,48,1\n1,1,5,8,16,48,1\n")
    with pytest.raises(DataError, match="entries 1 and 2: track 1 has two boxes in frame 1"):
        read_boxes(file)
    with pytest.raises(DataError, match=r"format of boxes"):
        read_boxes(file, format="motts")
