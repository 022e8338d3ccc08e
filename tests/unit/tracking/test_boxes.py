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
    assert {*FILES, "yolo"} == set(BOX_FORMATS)


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
        ('[{"image_id": 1, "bbox": [1, 2]}]', "annotation 1: expected bbox"),
        ('[{"image_id": 1, "bbox": null}]', "annotation 1: expected bbox"),
        ('{"images": {"id": 1}, "annotations": []}', "images: expected a list of objects"),
        ('{"images": ["a"], "annotations": []}', "images: expected a list of objects"),
        ('{"images": [{"file_name": "1.jpg"}], "annotations": []}', "images, entry 1: expected an object with id"),
        ('{"images": [], "annotations": [], "categories": [{"id": 1}]}', "categories, entry 1: .* with name"),
        (
            '{"images": [{"id": 1, "frame": 1}], "annotations": [{"image_id": [1], "bbox": [1, 2, 3, 4]}]}',
            "none of the",
        ),
        ('[{"image_id": 1, "bbox": [1, 2, 3, 4], "score": "high"}]', "annotation 1, score: .'high'.; expected finite"),
        ("[" * 100_000, "cannot be read as JSON"),
        ('{"images": [{"id": 1, "video_id": 1}, {"id": 2, "video_id": 2}], "annotations": []}', "2 films"),
    ],
    "boxes.xml": [
        ("<annotations><image/></annotations>", "image id None"),
        ("<a/>", "expected CVAT 1.1 for video"),
        ("<annotations><meta/></annotations>", "found <annotations> with <meta>"),
        ("<a", "cannot be read as XML"),
    ],
    "boxes.jsonl": [
        ("{}\n", "row 1: frame None"),
        ('{"frame": 1}\n', "row 1: expected bbox"),
        ("{\n", "row 1: not JSON"),
        ("[" * 100_000, "row 1: not JSON"),
        (f'{{"frame": 1, "x": "{"y" * 1000}"}}', r"row 1: expected bbox .{,400}y\.\.\.$"),
    ],
    "empty.txt": [("", "no boxes; expected lines like"), ("\n\n", "no boxes; expected lines like")],
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


ONE = (1, 3, 4.0, 8.0, 16.0, 48.0)
PICTURE = (64, 96)
SHARES = (4 / 64, 8 / 96, 16 / 64, 48 / 96)
WRITINGS = {
    "centre.csv": "frame,id,xc,yc,w,h\n1,3,12,32,16,48\n",
    "centred shares.csv": "frame,track_id,x_center,y_center,width,height,class\n1,3,0.1875,0.33333333333,0.25,0.5,0\n",
    "shares.csv": f"frame,id,x,y,w,h\n1,3,{','.join(map(str, SHARES))}\n",
    "shares.txt": f"1,3,{','.join(map(str, SHARES))},0.9,-1,-1,-1\n",
    "corners.txt": "frame id x1 y1 x2 y2 conf\n1 3 4 8 20 56 0.9\n",
    "other order.txt": "track_id,frame,xmin,ymin,xmax,ymax\n3,1,4,8,20,56\n",
    "tabs.tsv": "frame\tid\tleft\ttop\tright\tbottom\n1\t3\t4\t8\t20\t56\n",
    "decimal comma.csv": "frame;id;x;y;w;h\n1;3;4,0;8,0;16,0;48,0\n",
    "decimal comma.txt": "1;3;4,0;8,0;16,0;48,0;0,9\n",
    "images.csv": "image,id,x,y,w,h\nhall/frame_000001.jpg,3,4,8,16,48\n",
    "floats.txt": "1.000000e+00,3.000000e+00,4.0e+00,8.0e+00,1.6e+01,4.8e+01,-1.0e+00\n",
    "corners.jsonl": '{"frame_id": 1, "track_id": "3", "box": {"x1": 4, "y1": 8, "x2": 20, "y2": 56}, "class": 0}\n',
    "centre.jsonl": '{"frame_number": 1, "id": 3, "cxcywh": [12, 32, 16, 48], "class_name": "person"}\n',
    "shares.jsonl": f'{{"frame": 1, "track": 3, "bbox": {list(SHARES)}}}\n',
    "sides.jsonl": '{"frame": 1, "track": 3, "left": 4, "top": 8, "width": 16, "height": 48}\n',
    "frames.json": '{"frames": [{"frame": 1, "objects": [{"id": 3, "xyxy": [4, 8, 20, 56]}]}]}',
    "objects.json": '[{"frame": 1, "id": 3, "bbox": [4, 8, 16, 48]}]',
    "lines.json": '{"frame": 1, "id": 3, "bbox": [4, 8, 16, 48]}\n',
    "results.json": '[{"image_id": 1, "category_id": 1, "bbox": [4, 8, 16, 48], "track_id": 3}]',
    "images.xml": '<annotations><image id="1" name="a"><box label="person" xtl="4" ytl="8" xbr="20" ybr="56">'
    '<attribute name="track_id">3</attribute></box></image></annotations>',
    "no suffix": "1 3 4 8 16 48 1 1 1.0\n",
    "bom.csv": "\ufeffFrame,ID,X,Y,W,H\n1,3,4,8,16,48\n",
    "visdrone.txt": "1,3,4,8,16,48,1,1,0,0\n1,4,40,8,16,48,1,4,0,0\n1,0,40,8,16,48,0,0,0,0\n",
    "mot15 truth.txt": "1,3,4,8,16,48,1,-7.1,2.5,0\n1,4,40,8,16,48,0,-7.2,2.5,0\n",
}


@pytest.mark.parametrize("name", WRITINGS)
def test_one_box_in_many_writings(name: str, tmp_path: Path) -> None:
    first = 0 if name == "images.xml" else None
    file = tmp_path / name
    file.write_text(WRITINGS[name])
    found = read_boxes(file, size=PICTURE, first_frame=1 if first == 0 else None)
    assert [rounded(box)[:6] for box in found.boxes] == [ONE]


def test_shares_need_the_pictures_size_and_are_told(tmp_path: Path) -> None:
    file = write(tmp_path / "a.csv", WRITINGS["shares.csv"])
    with pytest.raises(DataError, match="shares of the picture; say its size"):
        read_boxes(file)
    assert "boxes are shares of the picture of 64 x 96 pixels" in read_boxes(file, size=lambda: PICTURE).notes


@pytest.mark.parametrize(
    ("lines", "tracks"),
    [
        ("0 0.125 0.5 0.25 0.5 1\n", [-1]),
        ("0 0.125 0.5 0.25 0.5 1\n0 0.5 0.5 0.25 0.5 0\n", [1, 0]),
        ("0 7 0.125 0.5 0.25 0.5\n0 -1 0.5 0.5 0.25 0.5\n", [7, -1]),
        ("0 0.125 0.5 0.25 0.5 0.9 4\n0 0.5 0.5 0.25 0.5\n", [4, -1]),
        (f"0 0.125 0.5 0.25 0.5 {LONG}\n", [LONG]),
    ],
)
def test_columns_of_yolo(lines: str, tracks: list[int], tmp_path: Path) -> None:
    write(tmp_path / "labels/f_1.txt", lines)
    found = read_boxes(tmp_path, size=(64, 96))
    assert [box.track for box in found.boxes] == tracks
    assert rounded(found.boxes[0])[2:6] == (0, 24, 16, 48)


def test_yolo_in_pixels_is_read_as_it_is(tmp_path: Path) -> None:
    write(tmp_path / "labels/f_1.txt", "0 12 32 16 48\n")
    assert rounded(read_boxes(tmp_path).boxes[0])[2:6] == (4, 8, 16, 48)


def test_numbered_classes(tmp_path: Path) -> None:
    """COCO's 80 classes count from 0: with a person 0 in the file, 1 is a bicycle."""
    text = "frame,id,x,y,w,h,class\n1,3,4,8,16,48,{}\n1,4,40,8,16,48,{}\n"
    file = tmp_path / "a.csv"
    file.write_text(text.format(0, 1))
    assert [box.track for box in read_boxes(file).boxes] == [3]
    file.write_text(text.format(2, 1))
    found = read_boxes(file)
    assert [box.track for box in found.boxes] == [4]
    assert found.skipped == {"labelled '2', not a person": 1}


COCO_OF = {"images": [{"id": 1, "frame": 1}], "categories": [{"id": 1, "name": "person"}]}
BOX, OTHER = {"image_id": 1, "category_id": 1, "bbox": [4, 8, 16, 48]}, [40, 8, 16, 48]
KITTI = "0 3 Pedestrian 0 0 -1.79 4 8 20 56 0 0 0 0 0 0 0"
CVAT_BOX = '<box frame="0" xtl="4" ytl="8" xbr="20" ybr="56"{}</box>'
NOT_COUNTED = {"marked as not to be counted": 1}
ODD = {
    "crowd as text.json": (json.dumps({**COCO_OF, "annotations": [{**BOX, "iscrowd": "0", "ignore": "false"}]}), {}),
    "attribute.json": (
        json.dumps({**COCO_OF, "annotations": [BOX, {**BOX, "bbox": OTHER, "attributes": {"ignore": True}}]}),
        NOT_COUNTED,
    ),
    "no categories.json": (json.dumps({**COCO_OF, "categories": None, "annotations": [BOX]}), {}),
    "no attributes.json": (json.dumps({**COCO_OF, "annotations": [{**BOX, "attributes": None, "score": None}]}), {}),
    "other category.json": (
        json.dumps({**COCO_OF, "annotations": [BOX, {**BOX, "bbox": OTHER, "category_id": 9}]}),
        {"of the category 9, which the file does not name": 1},
    ),
    "named.json": (json.dumps([{**BOX, "category_id": "person", "score": -1}]), {}),
    "marks.jsonl": (
        '{"frame": 1, "bbox": [4, 8, 16, 48], "ignore": 0}\n{"frame": 1, "bbox": [9, 8, 16, 48], "iscrowd": 1}\n',
        NOT_COUNTED,
    ),
    "classes.jsonl": ('{"frame": 1, "bbox": [4, 8, 16, 48], "class": 0.0}\n', {}),
    "classes.csv": (
        "frame,x,y,w,h,class\n1,4,8,16,48,0.0\n1,9,8,16,48,2.0\n",
        {"labelled '2', not a person": 1},
    ),
    "score.txt": (f"{KITTI} -1\n", {}),
    "bom.txt": (f"\ufeff{KITTI}\n", {}),
    "tracks and images.xml": (
        f'<annotations><image id="0"/><track id="1" label="person">{CVAT_BOX.format(">")}</track></annotations>',
        {},
    ),
    "rotated.xml": (
        f"""<annotations><track id="1" label="person">{CVAT_BOX.format(">")}</track><track id="2" label="person">
        {CVAT_BOX.format(' rotation="45.0">')}</track></annotations>""",
        {"a rotated box, whose sides are not those of a picture's part": 1},
    ),
    "ignored.xml": (
        f"""<annotations><track id="1" label="person">{CVAT_BOX.format(">")}</track><track id="2" label="person">
        {CVAT_BOX.format('><attribute name="ignore">true</attribute>')}</track></annotations>""",
        NOT_COUNTED,
    ),
}


@pytest.mark.parametrize("name", ODD)
def test_odd_entries(name: str, tmp_path: Path) -> None:
    text, skipped = ODD[name]
    (tmp_path / name).write_text(text)
    found = read_boxes(tmp_path / name)
    assert [(box.x, box.y, box.width, box.height, box.confidence) for box in found.boxes] == [(4, 8, 16, 48, None)]
    assert found.skipped == skipped


def test_tracks_that_do_not_fit_64_bits(tmp_path: Path) -> None:
    """DeepStream writes 2^64 - 1 for an object without a track."""
    file = write(tmp_path / "a.txt", f"1,{2**64 - 1},4,8,16,48\n2,5,4,8,16,48\n")
    assert [box.track for box in read_boxes(file).boxes] == [-1, 5]
    write(file, f"1,{2**64 - 2},4,8,16,48\n2,5,4,8,16,48\n")
    found = read_boxes(file)
    assert [box.track for box in found.boxes] == [2, 1]
    assert "tracks are renumbered from 1 to 2, as some do not fit 64 bits" in found.notes


def test_tracks_of_one_film_only(tmp_path: Path) -> None:
    lines = '{"film": "a", "frame": 1, "objects": []}\n{"film": "b", "frame": 1, "objects": []}\n'
    with pytest.raises(DataError, match="boxes of 2 films"):
        read_boxes(write(tmp_path / "a.jsonl", lines))


HEADED = {
    "frame,id,x,y,w,h,ignored": ("0", "1"),
    "frame,id,x,y,w,h,Is Crowd": ("0.0", "true"),
    "frame,id,x,y,w,h,conf,ignore": ("0.9,", "0.9,1"),
    "frame,id,x,y,w,h,conf,ignored": ("0.9,0", "0.9,1"),
    "frame,id,x,y,w,h,considered": ("1", "0"),
    "frame,id,x,y,w,h,flag,class": ("1,7", "0,7"),
    "frame,id,x,y,w,h,not ignored,class,visibility": ("True,2,0.5", "False,1,1"),
    "frame,id,bb_left,bb_top,bb_width,bb_height,conf,class,visibility": ("1,2,0.5", "0,1,1"),
}


@pytest.mark.parametrize("suffix", [".csv", ".txt"])
@pytest.mark.parametrize("header", HEADED)
def test_marks_in_a_table(header: str, suffix: str, tmp_path: Path) -> None:
    counted, other = HEADED[header]
    file = write(tmp_path / f"a{suffix}", f"{header}\n1,3,4,8,16,48,{counted}\n1,4,4,8,16,48,{other}\n")
    found = read_boxes(file)
    assert [box.track for box in found.boxes] == [3]
    assert found.skipped == NOT_COUNTED
    assert not any("not used: ignored" in note for note in found.notes)


@pytest.mark.parametrize("suffix", [".csv", ".txt"])
@pytest.mark.parametrize(("person", "car"), [("0", "2"), ("person", "car"), ("1", "3")])
def test_a_header_means_the_same_in_every_file(person: str, car: str, suffix: str, tmp_path: Path) -> None:
    text = f"frame,id,x,y,w,h,conf,class\n1,3,4,8,16,48,0.9,{person}\n1,4,4,8,16,48,0.9,{car}\n"
    found = read_boxes(write(tmp_path / f"a{suffix}", text))
    assert [(box.track, box.confidence) for box in found.boxes] == [(3, 0.9)]
    assert found.skipped == {f"labelled {car!r}, not a person": 1}
    assert read_boxes(tmp_path / f"a{suffix}", format="mot").boxes == found.boxes


@pytest.mark.parametrize("suffix", [".csv", ".txt"])
def test_places_in_the_world_are_no_sides(suffix: str, tmp_path: Path) -> None:
    header = "frame,id,bb_left,bb_top,bb_width,bb_height,conf,x,y,z"
    found = read_boxes(write(tmp_path / f"a{suffix}", f"{header}\n1,3,4,8,16,48,0.9,-1,-1,-1\n"))
    assert [rounded(box) for box in found.boxes] == [(*ONE, 0.9)]


def test_columns_of_a_header_may_be_separated_otherwise_than_rows(tmp_path: Path) -> None:
    found = read_boxes(write(tmp_path / "a.txt", "# frame id x y w h\n1,3,4,8,16,48\n"))
    assert [rounded(box)[:6] for box in found.boxes] == [ONE]


def test_odd_cells_of_a_table(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    write(file, "frame,id,x,y,w,h,flag\n1,3,4,8,16,48,1\n1,4,4,8,16,48,0.5\n")
    with pytest.raises(DataError, match=r"row 3: flag '0.5'; expected 0 \(not to be counted\) or 1"):
        read_boxes(file)
    write(
        file, "frame,id,x,y,w,h,conf,class,visibility\n1,3,4,8,16,48,1,1,1\n1,4,4,8,16,48,0,1,1\n1,5,4,8,16,48,.5,1,1\n"
    )
    with pytest.raises(DataError, match=r"row 4: conf beside a class and a visibility is 0 or 1 in most rows"):
        read_boxes(file)
    write(
        file, "frame,id,x,y,w,h,flag,class,visibility\n1,3,4,8,16,48,1,1,1\n1,4,4,8,16,48,1,0,1\n1,5,4,8,16,48,1,,1\n"
    )
    assert [box.track for box in read_boxes(file).boxes] == [3, 5]


@pytest.mark.parametrize("mark", ['"considered": 0', '"attributes": {"ignore": 1}', '"ignored": true'])
def test_marks_in_json_lines(mark: str, tmp_path: Path) -> None:
    lines = f'{{"frame": 1, "bbox": [4, 8, 16, 48]}}\n{{"frame": 1, "bbox": [9, 8, 16, 48], {mark}}}\n'
    found = read_boxes(write(tmp_path / "a.jsonl", lines))
    assert [box.x for box in found.boxes] == [4]
    assert found.skipped == NOT_COUNTED
