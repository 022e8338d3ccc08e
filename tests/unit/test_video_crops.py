"""From a film and boxes to tracklets that a reader reads."""

import itertools
import json
import re
import struct
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from passerby.cli import run
from passerby.data.datasets import load_dataset
from passerby.errors import DataError
from passerby.images.decode import read_image
from passerby.tracking.crop_dataset import VideoCrops, crop_video, read_mot
from passerby.tracking.films import read_frames

av = pytest.importorskip("av")
HEIGHT, WIDTH, FRAMES, RATE = 64, 96, 12, 8


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A black film with a red person walking to the right and a green one standing; frame k is k shades brighter."""
    path = tmp_path_factory.mktemp("film") / "film.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=RATE)
        stream.width, stream.height, stream.pix_fmt, stream.bit_rate = WIDTH, HEIGHT, "yuv420p", 4_000_000
        for k in range(FRAMES):
            picture = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
            picture[8:56, 4 * k : 4 * k + 16] = (240, 0, 0)
            picture[8:56, 72:88] = (0, 240, 0)
            for packet in stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    return path


def boxes(path: Path, *extra: str) -> Path:
    lines = [f"{k + 1},1,{4 * k},8,16,48,0.9,-1,-1,-1" for k in range(FRAMES)]
    lines += [f"{k + 1},2,72.0,8.0,16.0,48.0,0.5" for k in range(FRAMES)]
    path.write_text("\n".join([*lines, *extra]) + "\n")
    return path


def test_crops_show_the_right_person(film: Path, tmp_path: Path) -> None:
    crops = crop_video(film, boxes(tmp_path / "gt.txt"), tmp_path / "out", camera=3, progress=False)
    assert crops.tracks == {1: FRAMES, 2: FRAMES}
    assert crops.skipped == {}
    data = load_dataset(crops.manifest, test_share=1.0)
    assert {(s.pid, s.camid, len({t.tracklet for t in data.gallery if t.pid == s.pid})) for s in data.gallery} == {
        (1, 3, 1),
        (2, 3, 1),
    }
    for sample in data.gallery:
        image = read_image(sample.path)
        assert image.shape == (48, 16, 3)
        red, green, _ = image[4:-4, 4:-4].reshape(-1, 3).mean(axis=0)
        assert (red > 150 > green) if sample.pid == 1 else (green > 150 > red), sample.path
    times = sorted(s.time for s in data.gallery if s.pid == 1 and s.time is not None)
    assert np.allclose(np.diff(times), 1 / RATE, atol=2e-3)


def folder_of(film: Path, place: Path, names: dict[int, str]) -> Path:
    """Frames of the film as image files."""
    place.mkdir()
    for frame in read_frames(film):
        if frame.index in names:
            Image.fromarray(frame.image).save(place / names[frame.index], quality=95)  # type: ignore[arg-type]
    return place


def deep_folder_of(film: Path, place: Path, bits: int) -> Path:
    """Frames of the film as colours of so many bits in files of 16."""
    cv2 = pytest.importorskip("cv2")
    place.mkdir()
    for frame in read_frames(film):
        assert frame.image is not None
        cv2.imwrite(str(place / f"{frame.index:06d}.png"), frame.image[:, :, ::-1].astype(np.uint16) << (bits - 8))
    return place


def test_frames_of_12_bits_in_files_of_16(film: Path, tmp_path: Path) -> None:
    folder = deep_folder_of(film, tmp_path / "frames", 12)
    for frame, deep in zip(read_frames(film), read_frames(folder, bits=12), strict=True):
        assert np.array_equal(deep.image, frame.image)  # type: ignore[arg-type]
    crop_video(folder, boxes(tmp_path / "gt.txt"), tmp_path / "out", bits=12, progress=False)
    red, green, _ = read_image(next((tmp_path / "out/0001").iterdir()))[4:-4, 4:-4].reshape(-1, 3).mean(axis=0)
    assert red > 150 > green
    with pytest.raises(DataError, match="bits=20: expected 9 to 16"):
        crop_video(folder, boxes(tmp_path / "gt.txt"), tmp_path / "more", bits=20, progress=False)
    with pytest.raises(DataError, match="none of the frames that are wanted can be decoded"):
        list(read_frames(folder, bits=10))


@pytest.mark.parametrize("numbers", [range(1, 13), range(1, 13, 3), range(5, 13), (1, 2, 3, 5, 6, 7, 8, 9, 10, 11, 12)])
def test_a_folder_may_hold_a_part_of_the_film(numbers: Iterable[int], film: Path, tmp_path: Path) -> None:
    folder = folder_of(film, tmp_path / "frames", {k: f"{k:06d}.jpg" for k in numbers})
    crops = crop_video(folder, boxes(tmp_path / "gt.txt"), tmp_path / "out", progress=False)
    assert crops.tracks == dict.fromkeys((1, 2), len(list(numbers)))
    for path in (tmp_path / "out").glob("*/*.jpg"):
        red, green, _ = read_image(path)[4:-4, 4:-4].reshape(-1, 3).mean(axis=0)
        assert (red > 150 > green) if path.parent.name == "0001" else (green > 150 > red), path
    absent = {reason: count // 2 for reason, count in crops.skipped.items()}
    last = max(numbers)
    given = {"in a frame that the folder does not hold": last - len(list(numbers))}
    given["after the last frame of the film"] = FRAMES - last
    assert absent == {reason: count for reason, count in given.items() if count}


def test_a_folder_counted_from_0_fits_boxes_counted_from_1(film: Path, tmp_path: Path) -> None:
    folder = folder_of(film, tmp_path / "frames", {k: f"{k - 1:06d}.jpg" for k in range(1, 13)})
    crops = crop_video(folder, boxes(tmp_path / "gt.txt"), tmp_path / "out", progress=False)
    assert crops.tracks == {1: FRAMES, 2: FRAMES}
    red, green, _ = read_image(tmp_path / "out/0001/000007.jpg")[4:-4, 4:-4].reshape(-1, 3).mean(axis=0)
    assert red > 150 > green
    assert any("000000.jpg is frame 1" in note for note in crops.notes)


def test_broken_frames_and_other_files_of_a_folder_are_counted(film: Path, tmp_path: Path) -> None:
    folder = folder_of(film, tmp_path / "frames", {k: f"{k:06d}.jpg" for k in range(1, 13)})
    (folder / "000004.jpg").write_bytes(b"")
    (folder / "000009.jpg").rename(folder / "000009.raw")
    (folder / "._000001.jpg").write_bytes(b"litter")
    crops = crop_video(folder, boxes(tmp_path / "gt.txt"), tmp_path / "out", progress=False)
    assert crops.tracks == {1: FRAMES - 2, 2: FRAMES - 2}
    assert crops.skipped == {"in a broken frame": 2, "in a frame that the folder does not hold": 2}
    text = str(crops)
    assert "1 frame(s) of the film are broken" in text
    assert "not read: 1 file(s) by extension (.raw: 1)" in text


def test_what_is_skipped_is_told(film: Path, tmp_path: Path) -> None:
    file = boxes(tmp_path / "gt.txt", "3,-1,0,0,10,20,1", "4,5,0,60,16,48,1", "4,6,-50,0,16,48,1", "99,1,0,8,16,48,1")
    crops = crop_video(film, file, tmp_path / "out", min_confidence=0.6, every=4, progress=False)
    assert crops.tracks == {1: 3}
    assert crops.skipped == {
        "without a track": 1,
        "confidence below 0.6": FRAMES,
        "less than 16 rows of it in the picture": 2,
        "after the last frame of the film": 1,
    }
    assert "boxes skipped: without a track" in str(crops)


def write(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines) + "\n")
    return path


def pids(crops: VideoCrops) -> set[int]:
    return {s.pid for s in load_dataset(crops.manifest, test_share=1.0).gallery}


@pytest.mark.parametrize("score", [(-1, -1), (-0.3, -2.5), (-1, 0.4), (0, 57)])
def test_without_the_option_no_score_is_too_low(score: tuple[float, float], film: Path, tmp_path: Path) -> None:
    lines = [f"{k + 1},{t},{60 * t - 56},8,16,48,{score[t - 1]},-1,-1,-1" for k in range(FRAMES) for t in (1, 2)]
    crops = crop_video(film, write(tmp_path / "result.txt", *lines), tmp_path / "out", every=4, progress=False)
    assert crops.tracks == {1: 3, 2: 3}
    assert crops.skipped == {}


def test_scores_may_be_negative_and_minus_one_means_not_given(film: Path, tmp_path: Path) -> None:
    scores = (-3.5, -0.5, -1, 2)
    file = write(tmp_path / "dpm.txt", *(f"{k + 1},7,4,8,16,48,{score}" for k, score in enumerate(scores)))
    assert [box.confidence for box in read_mot(file)] == [-3.5, -0.5, None, 2]
    crops = crop_video(film, file, tmp_path / "out", min_confidence=-1, progress=False)
    assert crops.tracks == {7: 2}
    assert crops.skipped == {"confidence below -1": 1, "confidence not given": 1}


@pytest.mark.parametrize("confidence", ["", ",-1,-1,-1,-1", ",1,1,1"])
def test_a_bound_for_what_the_file_does_not_give(confidence: str, film: Path, tmp_path: Path) -> None:
    file = write(tmp_path / "result.txt", f"1,1,4,8,16,48{confidence}")
    with pytest.raises(DataError, match=r"result\.txt: min_confidence=0.5, but no box has a confidence"):
        crop_video(film, file, tmp_path / "out", min_confidence=0.5, progress=False)


NOTHING: dict[str, tuple[str, dict[str, Any], str]] = {
    "tracks": ("1,-1,4,8,16,48,1", {}, "1 without a track"),
    "scores": ("1,1,4,8,16,48,0.2", {"min_confidence": 0.5}, r"1 confidence below 0\.5"),
    "size": ("1,1,4,60,16,48,1", {}, "1 less than 16 rows of it in the picture"),
    "length": ("99,1,4,8,16,48,1", {}, "1 after the last frame of the film"),
    "flags": ("1,1,4,8,16,48,0,1,1", {}, "1 flag 0 in the ground truth"),
}


@pytest.mark.parametrize("case", NOTHING)
def test_no_image_at_all_is_an_error(case: str, film: Path, tmp_path: Path) -> None:
    line, options, reason = NOTHING[case]
    file = write(tmp_path / "boxes.txt", line)
    with pytest.raises(DataError, match=rf"boxes\.txt: no image came out, every box was skipped: {reason}"):
        crop_video(film, file, tmp_path / "out", progress=False, **options)
    assert not (tmp_path / "out").exists()


def test_a_command_that_wrote_nothing_fails(film: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write(tmp_path / "boxes.txt", "1,-1,4,8,16,48,1")
    assert run(["data", "from-video", str(film), "--boxes", str(file), "--out", str(tmp_path / "out")]) == 2
    assert "no image came out" in capsys.readouterr().err


def test_a_ground_truth_has_flags_and_classes(film: Path, tmp_path: Path) -> None:
    rows = ((1, 1, 1, 1.0), (2, 1, 7, 0.5), (3, 0, 1, 1.0), (4, 1, 3, 0.0), (5, 0, 8, 0.25))
    lines = [f"{k},{t},{8 * t},8,16,48,{flag},{category},{seen}" for k in (1, 9) for t, flag, category, seen in rows]
    file = write(tmp_path / "gt.txt", *lines)
    crops = crop_video(film, file, tmp_path / "out", progress=False)
    assert crops.tracks == {1: 2, 2: 2}
    assert crops.skipped == {
        "flag 0 in the ground truth, to be ignored": 4,
        "class 3 of the ground truth, not one of 1, 2, 7 (see classes)": 2,
    }
    assert "2 boxes skipped: class 3 of the ground truth" in str(crops)
    assert crop_video(film, file, tmp_path / "cars", classes=(3,), progress=False).tracks == {4: 2}


@pytest.mark.parametrize("columns", ["0.9,-1,-1", "0.7,0.5,1", "-1,-1,-1,4", "0,-1,-1,-1"])
def test_nine_columns_are_not_always_a_ground_truth(columns: str, film: Path, tmp_path: Path) -> None:
    file = write(tmp_path / "result.txt", *(f"{k},1,{4 * k},8,16,48,{columns}" for k in (1, 2)))
    assert crop_video(film, file, tmp_path / "out", progress=False).tracks == {1: 2}
    with pytest.raises(DataError, match=r"classes=\[1\], but the file is no ground truth"):
        crop_video(film, file, tmp_path / "other", classes=(1,), progress=False)


def test_an_odd_row_leaves_a_ground_truth_one(film: Path, tmp_path: Path) -> None:
    lines = [f"{k},{t},{8 * t},8,16,48,{int(t < 3)},{1 if t != 2 else 3},1" for k in (1, 5, 9) for t in (1, 2, 3)]
    lines[0] = lines[0].removesuffix("1") + "-1"
    crops = crop_video(film, write(tmp_path / "gt.txt", *lines), tmp_path / "out", progress=False)
    assert crops.tracks == {1: 3}
    assert crops.skipped == {
        "flag 0 in the ground truth, to be ignored": 3,
        "class 3 of the ground truth, not one of 1, 2, 7 (see classes)": 3,
    }
    assert "1 of 9 rows are not quite a ground truth's flag" in str(crops)


@pytest.mark.parametrize("others", [(), ("3,-1,0,0,16,48,1",)])
def test_tracks_from_zero_are_persons_from_one(others: tuple[str, ...], film: Path, tmp_path: Path) -> None:
    lines = [f"{k + 1},{t},{60 * t + 4},8,16,48,0.9" for k in range(FRAMES) for t in (0, 1)]
    file = write(tmp_path / "tracks.txt", *lines, *others)
    crops = crop_video(film, file, tmp_path / "out", every=4, progress=False)
    assert crops.tracks == {0: 3, 1: 3}
    assert crops.notes == ["tracks count from 0 and persons from 1: person = track + 1"]
    assert crops.notes[0] in str(crops)
    assert crops.skipped == ({"without a track": 1} if others else {})
    assert pids(crops) == {1, 2}
    assert pids(crop_video(film, boxes(tmp_path / "gt.txt"), tmp_path / "one", progress=False)) == {1, 2}


def test_long_track_numbers_keep_their_digits(tmp_path: Path) -> None:
    first, second = 2**62 + 1, 2**62 + 2
    file = write(tmp_path / "tracks.txt", f"1,{first},4,8,16,48,1", f"1,{second},4,8,16,48,1", "2,3.0,4,8,16,48,1")
    assert [box.track for box in read_mot(file)] == [first, second, 3]


WRITINGS = {
    "blanks": "1 1 4 8 16 48 0.5 -1 -1 -1 \n2 3  8.5 8 16 48  0.25 -1 -1 -1 \n",
    "tabs": "1\t1\t4\t8\t16\t48\t0.5\n2\t3\t8.5\t8\t16\t48\t0.25\n",
    "semicolons": "1;1;4;8;16;48;0.5\r\n2;3;8.5;8;16;48;0.25\r\n",
    "trailing comma": "1,1,4,8,16,48,0.5,-1,-1,-1,\n2,3,8.5,8,16,48,0.25,-1,-1,-1,\n",
    "commas and blanks": "1, 1, 4, 8, 16, 48, 0.5\n 2, 3, 8.5, 8, 16, 48, 0.25\n",
    "header": "frame,id,bb_left,bb_top,bb_width,bb_height,conf,x,y,z\n1,1,4,8,16,48,0.5,-1,-1,-1\n"
    "2,3,8.5,8,16,48,0.25,-1,-1,-1\n",
    "header after a hash": "# Frame ID X Y W H Score\n1 1 4 8 16 48 0.5\n2 3 8.5 8 16 48 0.25\n",
}


@pytest.mark.parametrize("writing", WRITINGS)
def test_the_same_boxes_written_otherwise(writing: str, tmp_path: Path) -> None:
    file = tmp_path / "boxes.txt"
    file.write_text(WRITINGS[writing])
    found = [(b.frame, b.track, b.x, b.y, b.width, b.height, b.confidence) for b in read_mot(file)]
    assert found == [(1, 1, 4, 8, 16, 48, 0.5), (2, 3, 8.5, 8, 16, 48, 0.25)]


@pytest.mark.parametrize(
    "header", ["frame,id,x1,y1,x2,y2,conf", "id,frame,x,y,w,h,conf", "frame,id,x,y,w,h,class,conf", "frame,id,x,y,w"]
)
def test_other_columns_are_not_taken_for_these(header: str, tmp_path: Path) -> None:
    file = write(tmp_path / "boxes.txt", header, "1,1,4,8,16,48,0.5")
    with pytest.raises(DataError, match=r"boxes\.txt, row 1"):
        read_mot(file)


def test_frames_from_zero_are_an_option_that_the_refusal_names(film: Path, tmp_path: Path) -> None:
    file = write(tmp_path / "boxes.txt", *(f"{k},1,{4 * k},8,16,48,0.9" for k in range(FRAMES)))
    with pytest.raises(DataError, match=r"row 1: frame 0 of track 1; .*--first-frame 0"):
        read_mot(file)
    crops = crop_video(film, file, tmp_path / "out", first_frame=0, every=FRAMES - 1, progress=False)
    assert crops.tracks == {1: 2}
    for number in (1, FRAMES):
        red, green, _ = read_image(tmp_path / f"out/0001/{number:06d}.jpg")[4:-4, 4:-4].reshape(-1, 3).mean(axis=0)
        assert red > 150 > green
    with pytest.raises(DataError, match="whole numbers from 5"):
        read_mot(file, first_frame=5)


def test_margin_grows_the_box_within_the_picture(film: Path, tmp_path: Path) -> None:
    (tmp_path / "gt.txt").write_text("1,1,4,8,16,48,1\n")
    crop_video(film, tmp_path / "gt.txt", tmp_path / "out", margin=0.5, progress=False)
    assert read_image(tmp_path / "out" / "0001" / "000001.jpg").shape == (64, 28, 3)


WRONG_LINES = ["1,2,3", "one,1,0,0,5,5,1", "0,1,0,0,5,5,1", "1.5,1,0,0,5,5,1", "1,1,nan,0,5,5,1", "2,1,0,0,5,5,nan", ""]


@pytest.mark.parametrize("line", WRONG_LINES)
def test_wrong_boxes(line: str, tmp_path: Path) -> None:
    (tmp_path / "gt.txt").write_text(f"{'1,1,0,0,5,5,1' if line else ''}\n{line}\n")
    with pytest.raises(DataError, match=r"gt\.txt, row 2" if line else "no boxes"):
        read_mot(tmp_path / "gt.txt")


def draw_film(path: Path, codec: str, turns: int = 0) -> Path:
    """The fixture's film in another container and codec, each frame stored after `turns` quarter turns."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=RATE)
        stream.width, stream.height = (HEIGHT, WIDTH) if turns % 2 else (WIDTH, HEIGHT)
        stream.pix_fmt, stream.bit_rate = "yuvj420p" if codec == "mjpeg" else "yuv420p", 4_000_000
        for k in range(FRAMES):
            picture = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
            picture[8:56, 4 * k : 4 * k + 16] = (240, 0, 0)
            stored = np.ascontiguousarray(np.rot90(picture, turns))
            for packet in stream.encode(av.VideoFrame.from_ndarray(stored, format="rgb24")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    return path


def assert_red(folder: Path, numbers: Iterable[int]) -> None:
    found = {path.name for path in folder.iterdir()}
    assert found == {f"{number:06d}.jpg" for number in numbers}
    for name in found:
        red, green, _ = read_image(folder / name)[4:-4, 4:-4].reshape(-1, 3).mean(axis=0)
        assert red > 150 > 60 > green, name


WALK = [f"{k + 1},1,{4 * k},8,16,48,0.9" for k in range(FRAMES)]
MATRICES = {1: (0, 1, -1, 0), 2: (-1, 0, 0, -1), 3: (0, -1, 1, 0)}  # x' = ax + cy, y' = bx + dy; 1: a quarter clockwise


@pytest.mark.parametrize("turns", MATRICES)
def test_a_film_turned_by_its_header_is_cut_as_it_is_shown(turns: int, tmp_path: Path) -> None:
    path = draw_film(tmp_path / "phone.mp4", "mpeg4", turns)
    data = bytearray(path.read_bytes())
    place = data.index(b"tkhd") + 4 + 40  # of the matrix behind version 0's fields (ISO/IEC 14496-12, 8.3.2)
    a, b, c, d = (value << 16 for value in MATRICES[turns])
    data[place : place + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(data)
    crops = crop_video(path, write(tmp_path / "boxes.txt", *WALK), tmp_path / "out", progress=False)
    assert crops.skipped == {}
    assert_red(tmp_path / "out/0001", range(1, FRAMES + 1))


def test_a_broken_frame_keeps_its_number_and_a_film_cut_off_gives_what_is_there(tmp_path: Path) -> None:
    path = draw_film(tmp_path / "cut.avi", "mjpeg")
    data = bytearray(path.read_bytes())
    starts = [match.start() for match in re.finditer(b"\xff\xd8\xff", data)]
    assert len(starts) == FRAMES
    for start, following in itertools.pairwise(starts[3:6]):
        data[start : following - 8] = bytes(following - 8 - start)  # all but the header of the chunk behind it
    path.write_bytes(data[: starts[9] + 40])  # the film ends within its tenth frame
    crops = crop_video(path, write(tmp_path / "boxes.txt", *WALK), tmp_path / "out", progress=False)
    assert crops.frames == 9
    assert crops.skipped == {"in a broken frame": 2, "after the last frame of the film": FRAMES - 9}
    assert "3 frame(s) of the film are broken and cannot be decoded" in str(crops)
    assert_red(tmp_path / "out/0001", (1, 2, 3, 6, 7, 8, 9))


def other_format(name: str, folder: Path) -> Path:
    """The walk of the film's person in frames 1 and 9, in another format."""
    sides = [(k, 4.0 * (k - 1), 8.0, 16.0, 48.0) for k in (1, 9)]
    if name == "yolo":
        for k, x, y, w, h in sides:
            shares = ((x + w / 2) / WIDTH, (y + h / 2) / HEIGHT, w / WIDTH, h / HEIGHT)
            write(folder / f"film_{k}.txt", f"0 {' '.join(f'{share:.6f}' for share in shares)} 0.9 7")
        return folder
    text = {
        "csv": "frame,track_id,x1,y1,x2,y2\n" + "\n".join(f"{k},7,{x},{y},{x + w},{y + h}" for k, x, y, w, h in sides),
        "coco": json.dumps(
            [{"image_id": k, "category_id": 1, "track_id": 7, "bbox": [x, y, w, h]} for k, x, y, w, h in sides]
        ),
        "cvat": '<annotations><track id="7" label="person">'
        + "".join(f'<box frame="{k - 1}" xtl="{x}" ytl="{y}" xbr="{x + w}" ybr="{y + h}"/>' for k, x, y, w, h in sides)
        + "</track></annotations>",
        "kitti": "\n".join(
            f"{k - 1} 7 Pedestrian 0 0 0 {x} {y} {x + w} {y + h} 0 0 0 0 0 0 0" for k, x, y, w, h in sides
        ),
        "jsonl": "\n".join(json.dumps({"frame": k, "track": 7, "bbox": [x, y, w, h]}) for k, x, y, w, h in sides),
    }[name]
    suffix = {"csv": "csv", "coco": "json", "cvat": "xml", "kitti": "txt", "jsonl": "jsonl"}[name]
    return write(folder / f"boxes.{suffix}", text)


@pytest.mark.parametrize("name", ["csv", "coco", "cvat", "kitti", "jsonl", "yolo"])
def test_boxes_of_every_format_are_cut(name: str, film: Path, tmp_path: Path) -> None:
    (tmp_path / "boxes").mkdir()
    crops = crop_video(film, other_format(name, tmp_path / "boxes"), tmp_path / "out", progress=False)
    assert crops.tracks == {7: 2}
    for number in (1, 9):
        picture = read_image(tmp_path / f"out/0007/{number:06d}.jpg")
        assert picture.shape == (48, 16, 3)
        red, green, _ = picture[4:-4, 4:-4].reshape(-1, 3).mean(axis=0)
        assert red > 150 > green


def test_wrong_films(film: Path, tmp_path: Path) -> None:
    file = boxes(tmp_path / "gt.txt")
    with pytest.raises(DataError, match="no such film"):
        crop_video(tmp_path / "absent.mp4", file, tmp_path / "out")
    (tmp_path / "text.mp4").write_text("not a film")
    with pytest.raises(DataError, match="cannot be decoded"):
        crop_video(tmp_path / "text.mp4", file, tmp_path / "out1")
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(film.read_bytes()[: film.stat().st_size * 3 // 4])
    short = crop_video(cut, file, tmp_path / "out3")
    assert 0 < short.frames < FRAMES
    assert short.skipped["after the last frame of the film"] == 2 * (FRAMES - short.frames)
    assert not (tmp_path / "out1").exists()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").touch()
    with pytest.raises(DataError, match="not an empty folder"):
        crop_video(film, file, tmp_path / "full")
    with pytest.raises(DataError, match="two boxes in frame 1"):
        crop_video(film, boxes(tmp_path / "gt.txt", "1,1,0,0,9,20,1"), tmp_path / "out2")
