"""Frames of films and of folders: order, moments, what is refused."""

import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from passerby.data.synthetic.film import draw_films
from passerby.errors import DataError
from passerby.tracking.films import film_info, is_address, picture_size, read_frames

av = pytest.importorskip("av")


def frames_in(folder: Path, names: list[str]) -> Path:
    folder.mkdir(parents=True)
    for shade, name in enumerate(names):
        Image.fromarray(np.full((8, 8, 3), 10 * shade, np.uint8)).save(folder / name)
    return folder


def test_a_folders_frames_come_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    folder = frames_in(tmp_path / "f", ["f10.png", "f9.png", "f2.png"])
    found = list(read_frames(folder, rate=5))
    assert [int(frame.image[0, 0, 0]) for frame in found if frame.image is not None] == [20, 10, 0]
    assert [(frame.index, frame.time) for frame in found] == [(2, 0.2), (9, 1.6), (10, 1.8)]
    assert [frame.index for frame in read_frames(folder, last=9)] == [2, 9]
    unwanted = next(iter(read_frames(folder, wanted=lambda index: index > 2)))
    assert unwanted.image is not None
    assert unwanted.image.size == 0


def test_a_frame_that_cannot_be_decoded_leaves_the_others_their_numbers(tmp_path: Path) -> None:
    folder = frames_in(tmp_path / "f", [f"{k:06d}.jpg" for k in range(1, 7)])
    (folder / "000002.jpg").write_bytes((folder / "000002.jpg").read_bytes()[:60])
    (folder / "000005.jpg").write_bytes(b"")
    found = list(read_frames(folder))
    assert [frame.index for frame in found] == [1, 2, 3, 4, 5, 6]
    assert [frame.index for frame in found if frame.image is None] == [2, 5]
    for path in folder.iterdir():
        path.write_bytes(b"")
    with pytest.raises(
        DataError, match=r"none of the frames that are wanted can be decoded \(.*000001.jpg: the file is"
    ):
        list(read_frames(folder))


def test_what_a_folder_says_of_itself(tmp_path: Path) -> None:
    info = film_info(frames_in(tmp_path / "f", ["000012.png", "000017.png", "000027.png"]))
    assert (info.frames, info.first, info.last, info.step, info.rate) == (3, 12, 27, 5, 25)
    assert [frame for frame in range(1, 31) if not info.lacks(frame)] == [12, 17, 27, 28, 29, 30]
    film = draw_films(tmp_path, people=1, cameras=1, seconds=1, rate=5)[0].film
    assert (film_info(film).first, film_info(film).step, film_info(film).lacks(3)) == (1, 1, False)


def test_a_sequence_of_the_mot_challenge_says_its_rate(tmp_path: Path) -> None:
    frames_in(tmp_path / "MOT-01/img1", ["000001.jpg", "000002.jpg"])
    (tmp_path / "MOT-01/seqinfo.ini").write_text("[Sequence]\nname=MOT-01\nframeRate=14\n")
    assert film_info(tmp_path / "MOT-01").rate == 14
    assert film_info(tmp_path / "MOT-01").frames == 2
    assert [frame.time for frame in read_frames(tmp_path / "MOT-01")] == [0, 1 / 14]


def test_a_film_whose_rate_is_wrong(tmp_path: Path) -> None:
    film = draw_films(tmp_path, people=1, cameras=1, seconds=1, rate=10)[0].film
    assert film_info(film, rate=7).rate == 7
    assert [round(frame.time, 6) for frame in read_frames(film, last=3)] == [0, 0.1, 0.2]
    assert [frame.time for frame in read_frames(film, last=3, rate=5)] == [0, 0.2, 0.4]


def test_sources_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such film"):
        film_info(tmp_path / "absent.mp4")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="expected frames"):
        list(read_frames(tmp_path / "empty"))
    (tmp_path / "text.mp4").write_text("nothing")
    with pytest.raises(DataError, match="cannot be decoded"):
        film_info(tmp_path / "text.mp4")
    assert is_address("rtsp://camera/1")
    assert is_address("/dev/video0")
    assert not is_address(tmp_path / "text.mp4")


@pytest.mark.parametrize("name", ["boxes.txt", "boxes.nfo", "boxes.asc"])
def test_a_text_is_no_film(name: str, tmp_path: Path) -> None:
    """FFmpeg draws it as on a terminal."""
    file = tmp_path / name
    file.write_text("".join(f"{k},1,20,100,60,160,0.9,-1,-1,-1\n" for k in range(1, 60)))
    for open_it in (film_info, picture_size, lambda path: list(read_frames(path))):
        with pytest.raises(DataError, match=rf"{name}: expected a film, found a text"):
            open_it(file)


def test_the_cover_of_a_sound_file_is_no_film(tmp_path: Path) -> None:
    path = tmp_path / "song.m4a"
    with av.open(str(path), "w", format="mp4") as container:
        sound = container.add_stream("aac", rate=8000)
        cover = container.add_stream("mjpeg", rate=25)
        cover.width, cover.height, cover.pix_fmt = 64, 32, "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic
        picture = av.VideoFrame.from_ndarray(np.zeros((32, 64, 3), np.uint8), format="rgb24")
        container.mux([*cover.encode(picture), *cover.encode()])
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.float32), format="fltp", layout="mono")
        silence.rate = 8000
        container.mux([*sound.encode(silence), *sound.encode()])
    with pytest.raises(DataError, match="no film in this file"):
        film_info(path)


CORNERS = {  # x' = ax + cy, y' = bx + dy: letters of the corners as they are shown, row by row
    (1, 0, 0, 1): "RBGK",
    (0, 1, -1, 0): "GRKB",
    (-1, 0, 0, -1): "KGBR",
    (0, -1, 1, 0): "BKRG",
    (-1, 0, 0, 1): "BRKG",
    (1, 0, 0, -1): "GKRB",
    (0, 1, 1, 0): "RGBK",
    (0, -1, -1, 0): "KBGR",
}


@pytest.mark.parametrize("matrix", CORNERS)
def test_a_film_is_turned_and_mirrored_as_its_header_says(matrix: tuple[int, int, int, int], tmp_path: Path) -> None:
    stored = np.zeros((64, 96, 3), np.uint8)
    stored[:24, :24, 0] = stored[:24, -24:, 2] = stored[-24:, :24, 1] = 230
    path = tmp_path / "film.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=5)
        stream.width, stream.height, stream.pix_fmt, stream.bit_rate = 96, 64, "yuv420p", 4_000_000
        container.mux(stream.encode(av.VideoFrame.from_ndarray(stored, format="rgb24")))
        container.mux(stream.encode())
    data = bytearray(path.read_bytes())
    place = data.index(b"tkhd") + 4 + 40  # of the matrix behind version 0's fields (ISO/IEC 14496-12, 8.3.2)
    a, b, c, d = (value << 16 for value in matrix)
    data[place : place + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(data)
    [frame] = read_frames(path)
    assert frame.image is not None
    assert frame.image.shape == ((64, 96, 3) if matrix[0] else (96, 64, 3))
    shown = [frame.image[y, x] for y in (8, -8) for x in (8, -8)]
    assert "".join("RGB"[pixel.argmax()] if pixel.max() > 120 else "K" for pixel in shown) == CORNERS[matrix]


def test_the_same_seed_draws_the_same_film(tmp_path: Path) -> None:
    first, second = (draw_films(tmp_path / name, people=2, cameras=1, seconds=1, rate=5, seed=4)[0] for name in "ab")
    assert first.truth.read_text() == second.truth.read_text()
    assert first.film.read_bytes() == second.film.read_bytes()
    with pytest.raises(DataError, match="cannot draw"):
        draw_films(tmp_path, people=0)
