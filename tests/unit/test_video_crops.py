"""From a film and boxes to tracklets that a reader reads."""

from pathlib import Path

import numpy as np
import pytest

from passerby.data.datasets import load_dataset
from passerby.errors import DataError
from passerby.images.decode import read_image
from passerby.tracking.video_crops import crop_video, read_mot

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
    times = sorted(s.time for s in data.gallery if s.pid == 1)
    assert np.allclose(np.diff(times), 1 / RATE, atol=2e-3)


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


def test_margin_grows_the_box_within_the_picture(film: Path, tmp_path: Path) -> None:
    (tmp_path / "gt.txt").write_text("1,1,4,8,16,48,1\n")
    crop_video(film, tmp_path / "gt.txt", tmp_path / "out", margin=0.5, progress=False)
    assert read_image(tmp_path / "out" / "0001" / "000001.jpg").shape == (64, 28, 3)


WRONG_LINES = ["1,2,3", "one,1,0,0,5,5,1", "0,1,0,0,5,5,1", "1.5,1,0,0,5,5,1", "1,1,nan,0,5,5,1", ""]


@pytest.mark.parametrize("line", WRONG_LINES)
def test_wrong_boxes(line: str, tmp_path: Path) -> None:
    (tmp_path / "gt.txt").write_text(f"{'1,1,0,0,5,5,1' if line else ''}\n{line}\n")
    with pytest.raises(DataError, match=r"gt\.txt, row 2" if line else "no boxes"):
        read_mot(tmp_path / "gt.txt")


def test_wrong_films(film: Path, tmp_path: Path) -> None:
    file = boxes(tmp_path / "gt.txt")
    with pytest.raises(DataError, match="no such film"):
        crop_video(tmp_path / "absent.mp4", file, tmp_path / "out")
    (tmp_path / "text.mp4").write_text("not a film")
    with pytest.raises(DataError, match="cannot be decoded"):
        crop_video(tmp_path / "text.mp4", file, tmp_path / "out1")
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(film.read_bytes()[: film.stat().st_size // 2])
    short = crop_video(cut, file, tmp_path / "out3")
    assert short.frames < FRAMES
    assert short.skipped["after the last frame of the film"] == 2 * (FRAMES - short.frames)
    assert not (tmp_path / "out1").exists()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").touch()
    with pytest.raises(DataError, match="not an empty folder"):
        crop_video(film, file, tmp_path / "full")
    with pytest.raises(DataError, match="two boxes in frame 1"):
        crop_video(film, boxes(tmp_path / "gt.txt", "1,1,0,0,9,20,1"), tmp_path / "out2")
