"""Reading films frame by frame: a file, a folder of frames, or a camera's address."""

from __future__ import annotations

import importlib
import os
import re
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from passerby.array_types import UInt8
from passerby.errors import DataError, ImageError, MissingExtraError
from passerby.images.decode import GREY_BITS, read_image
from passerby.tracking.frame_folder import open_folder

_RATE = 25.0  # frames per second where neither the source nor the caller gives a rate
_TIMEOUT = 10.0  # seconds without an answer or a picture after which a camera counts as gone
_TEXT = ("ansi", "bintext", "xbin", "idf")  # codecs by which FFmpeg draws a text as on a terminal
_NOTHING: UInt8 = np.empty((0, 0, 3), dtype=np.uint8)  # for a frame that is not wanted; converting costs time


@dataclass(frozen=True, eq=False)
class Frame:
    """One frame of a film.

    Attributes:
        index: from 1, in the order of the film; broken frames count. In a folder, the number in the file's name.
        time: seconds, from the container where it has time stamps.
        image: RGB uint8 [H, W, 3] as players show it, turned and mirrored as the film's header says; empty ([0, 0, 3])
            for a frame that was not wanted, None for one that is broken.
    """

    index: int
    time: float
    image: UInt8 | None


@dataclass(frozen=True)
class FilmInfo:
    """What a source says of itself before it is decoded.

    Attributes:
        rate: frames per second; containers are sometimes wrong.
        frames: number of frames, or None where it is not known; containers are sometimes wrong.
        first: number of the first frame; a folder may hold a part of a film.
        last: number of the last frame of a folder; None for films.
        step: from one frame to the next; a folder may hold every n-th frame of a film.
        numbers: of the frames of a folder; empty for films.
        notes: what was left out of a folder, and how its frames are numbered.
    """

    rate: float
    frames: int | None
    first: int = 1
    last: int | None = None
    step: int = 1
    numbers: frozenset[int] = frozenset()
    notes: tuple[str, ...] = ()

    def lacks(self, frame: int) -> bool:
        """Whether a folder has no file of a frame, though it has one of a later frame."""
        return self.last is not None and frame < self.last and frame not in self.numbers


def is_address(source: str | os.PathLike[str]) -> bool:
    """Whether a source is a camera or stream (rtsp://..., http://..., /dev/video0) and not a file or folder."""
    return "://" in os.fspath(source) or re.fullmatch(r"/dev/video\d+", os.fspath(source)) is not None


def film_info(source: str | os.PathLike[str], *, rate: float | None = None) -> FilmInfo:
    """Frame rate and number of frames of a source.

    Args:
        source: as for `read_frames`.
        rate: frames per second that take the place of what the source says.

    Raises:
        DataError: no such source, or it cannot be opened.
        MissingExtraError: PyAV is not installed.
    """
    if is_folder(source):
        folder = open_folder(Path(source).expanduser())
        return FilmInfo(
            rate or folder.rate or _RATE,
            len(folder.files),
            first=min(folder.files),
            last=max(folder.files),
            step=folder.step,
            numbers=frozenset(folder.files),
            notes=folder.notes,
        )
    av = _pyav()
    with _open(av, source) as container:
        stream = _film_stream(av, container, source)
        found = float(stream.average_rate or stream.guessed_rate or _RATE)
        count = stream.frames or None
        if count is None and stream.duration and stream.time_base:
            count = max(1, round(float(stream.duration * stream.time_base) * found))
        return FilmInfo(rate or found, count)


def read_frames(
    source: str | os.PathLike[str],
    *,
    wanted: Callable[[int], bool] = lambda index: True,
    last: int | None = None,
    rate: float | None = None,
    bits: int = GREY_BITS,
) -> Iterator[Frame]:
    """Frames of a source in order.

    Args:
        source: a film that FFmpeg decodes, a folder of frames (image files, whose names say the number of the frame;
            see `passerby.tracking.frame_folder.open_folder`), or a camera's address.
        wanted: index -> whether the picture is needed; others are decoded but not converted.
        last: stop after the frame of this index.
        rate: frames per second for sources without time stamps, and instead of wrong ones: time = (index - 1) / rate.
        bits: of the values of frames in a folder, as of `passerby.images.decode.read_image`.

    Yields:
        Every frame up to where the film ends or breaks off. Threads that decode several frames at once are fast, but an
        error in one takes whole frames with it: a file with an error is therefore opened again and decoded frame by
        frame, from the place that was reached.

    Raises:
        DataError: no such source, or nothing in it can be decoded.
        MissingExtraError: PyAV is not installed.
    """
    if is_folder(source):
        yield from _frames_of_folder(Path(source).expanduser(), wanted, last, rate, bits)
    else:
        yield from _frames_of_film(_pyav(), source, wanted, last, rate)


def picture_size(source: str | os.PathLike[str]) -> tuple[int, int]:
    """(width, height) of a source's first frame that can be decoded, pixels, as players show it.

    Raises:
        DataError: no such source, or nothing in it can be decoded.
    """
    for frame in read_frames(source):
        if frame.image is not None:
            return frame.image.shape[1], frame.image.shape[0]
    raise DataError(f"{os.fspath(source)}: not a single frame can be decoded")


def is_folder(source: str | os.PathLike[str]) -> bool:
    """Whether a source is a folder of frames.

    Raises:
        DataError: a path that does not exist.
    """
    if is_address(source):
        return False
    path = Path(source).expanduser()
    if not path.exists():
        raise DataError(f"{path}: no such film")
    return path.is_dir()


def _frames_of_folder(
    place: Path, wanted: Callable[[int], bool], last: int | None, rate: float | None, bits: int
) -> Iterator[Frame]:
    folder = open_folder(place)
    per_second = rate or folder.rate or _RATE
    decoded, failure = False, ""
    for index, path in folder.files.items():
        if last is not None and index > last:
            break
        image: UInt8 | None = _NOTHING
        if wanted(index):
            try:
                image = read_image(path, bits=bits)
                decoded = True
            except ImageError as error:
                image, failure = None, failure or str(error)
        yield Frame(index, (index - 1) / per_second, image)
    if failure and not decoded:
        raise DataError(f"{place}: none of the frames that are wanted can be decoded ({failure})")


def _frames_of_film(
    av: Any, source: str | os.PathLike[str], wanted: Callable[[int], bool], last: int | None, rate: float | None
) -> Iterator[Frame]:
    reached = 0
    for threads in ("AUTO", "SLICE"):
        try:
            with _open(av, source) as container:
                stream = _film_stream(av, container, source)
                stream.thread_type = threads
                per_second = rate or float(stream.average_rate or _RATE)
                decoded = container.decode(stream) if threads == "AUTO" else _whole_frames(av, container, stream)
                for index, frame in enumerate(decoded, start=1):
                    if last is not None and index > last:
                        return
                    if index > reached:
                        reached = index
                        stamped = rate is None and frame is not None and frame.time is not None
                        time = float(frame.time) if stamped else (index - 1) / per_second
                        yield Frame(index, time, _picture(frame, wanted=wanted(index)))
            return
        except av.FFmpegError as error:
            again = isinstance(error, av.error.InvalidDataError) and not is_address(source)
            if threads == "SLICE" or not again:
                raise DataError(f"{os.fspath(source)}: cannot be decoded ({error})") from error


def _open(av: Any, source: str | os.PathLike[str]) -> Any:
    live = is_address(source)
    name = os.fspath(source) if live else str(Path(source).expanduser())
    try:
        return av.open(name, timeout=_TIMEOUT if live else None)
    except av.FFmpegError as error:
        unfinished = Path(name).suffix.lower() in (".mp4", ".mov", ".m4v") and not live
        hint = "; a recording that was not closed lacks its table of frames (moov)" if unfinished else ""
        raise DataError(f"{name}: cannot be decoded ({error}){hint}") from error


def _film_stream(av: Any, container: Any, source: str | os.PathLike[str]) -> Any:
    """The first stream of pictures that move; the cover of a sound file is none."""
    cover = av.stream.Disposition.attached_pic
    streams = [stream for stream in container.streams.video if not stream.disposition & cover]
    if not streams:
        raise DataError(f"{os.fspath(source)}: no film in this file")
    if getattr(streams[0].codec_context, "name", None) in _TEXT:
        raise DataError(
            f"{os.fspath(source)}: expected a film, found a text (format {container.format.name}, which FFmpeg draws "
            "as on a terminal)"
        )
    return streams[0]


def _whole_frames(av: Any, container: Any, stream: Any) -> Iterator[Any]:
    """Frames, None for each that is broken, up to where the file breaks off."""
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
        except av.error.InvalidDataError:
            return
        if packet is None:
            return
        try:
            frames = packet.decode()
        except av.error.InvalidDataError:
            frames = [None]
        yield from frames


def _picture(frame: Any, *, wanted: bool) -> UInt8 | None:
    """RGB as players show it: phones store frames on their side, and say in the header how to turn them."""
    if frame is None:
        return None
    if not wanted:
        return _NOTHING
    stored: UInt8 = frame.to_ndarray(format="rgb24")
    matrix = frame.side_data.get("DISPLAYMATRIX")
    return stored if matrix is None else _as_shown(stored, struct.unpack("=9i", bytes(matrix)))


def _as_shown(stored: UInt8, matrix: Sequence[int]) -> UInt8:
    """Turned by quarters and mirrored as a film's matrix says (ISO/IEC 14496-12, 6.2.2).

    With (a, b, -, c, d, ...) a stored pixel (x, y) is shown at (ax + cy, bx + dy).
    """
    a, b, c, d = (matrix[place] for place in (0, 1, 3, 4))
    lying = abs(b) > abs(a)
    to_right, to_bottom = (c, b) if lying else (a, d)
    picture = stored.transpose(1, 0, 2) if lying else stored
    return picture[:: -1 if to_bottom < 0 else 1, :: -1 if to_right < 0 else 1]


def _pyav() -> Any:
    try:
        return importlib.import_module("av")
    except ImportError:
        raise MissingExtraError("av", "video", "reading a film") from None
