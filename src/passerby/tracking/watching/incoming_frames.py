"""Frames of a film or a camera as they come: paced by a clock, and read again after a camera went away."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from passerby.errors import ConfigError, DataError
from passerby.images.decode import GREY_BITS
from passerby.tracking.films import Frame, is_address, read_frames

log = logging.getLogger("passerby")
_LATE = 1.0  # seconds behind the clock from which frames are left out
_STEP = 0.2  # longest sleep, seconds, so that a request to stop is seen soon


@dataclass(frozen=True)
class CameraEvent:
    """A camera went away or came back.

    Attributes:
        event: "lost" or "back".
        camera: its name.
        time: seconds since 1970.
        detail: why, in words.
    """

    event: str
    camera: str
    time: float
    detail: str


@dataclass
class IncomingFrames:
    """Iterates over a source's frames; their moments are seconds from `start`, or since 1970 for a camera.

    A film gives every frame up to its end. A camera that goes away is opened again after `retry_seconds`, and twice as
    long after every further failure (up to a minute). Where work is slower than the clock (of a camera, or of a film
    with a `speed`), frames come without a picture until it has caught up.

    Attributes:
        source: a film, a folder of frames, or an address.
        camera: its name.
        rate: see `read_frames`.
        every: only every so many frames have a picture.
        bits: see `read_frames`.
        after: number of the last frame that is not wanted.
        start: moment of the first frame; None: 0 for films, now for cameras.
        speed: seconds of film in a second of the clock; None: as fast as possible.
        retry_seconds: first pause before a camera is opened again.
        retries: failures in a row after which a camera is given up; None: never.
        report: called with what happens to a camera.
        stop: whether to end; asked before every frame.
        clock: seconds since 1970.
        sleep: waits.
        late: frames that were left out because work was slower than the clock.
        broken: frames that cannot be decoded.
        note: why a film ended early, or "".
    """

    source: str | os.PathLike[str]
    camera: str
    rate: float | None = None
    every: int = 1
    bits: int = GREY_BITS
    after: int = 0
    start: float | None = None
    speed: float | None = None
    retry_seconds: float = 5.0
    retries: int | None = None
    report: Callable[[CameraEvent], None] = lambda event: None
    stop: Callable[[], bool] = lambda: False
    clock: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep
    late: int = 0
    broken: int = 0
    note: str = ""
    _behind: bool = field(default=False, init=False)
    _first: int | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        live = is_address(self.source)
        if self.speed is not None and (live or not self.speed > 0):
            raise ConfigError(
                f"speed: expected a number above 0, and a film (a camera has its own), found {self.speed}"
            )
        if self.after and live:
            raise ConfigError(f"{os.fspath(self.source)}: a camera's stream cannot be gone on with; watch it anew")
        if not self.retry_seconds > 0 or (self.retries is not None and self.retries < 0):
            raise ConfigError(
                f"retry_seconds={self.retry_seconds}, retries={self.retries}: expected a pause above 0 and a number "
                "of failures"
            )

    def __iter__(self) -> Iterator[Frame]:
        if is_address(self.source):
            yield from self._camera()
        else:
            yield from self._film()

    def _film(self) -> Iterator[Frame]:
        read = 0
        try:
            for frame in self._paced(0.0 if self.start is None else self.start, live=False, before=0):
                read += 1
                yield frame
        except DataError as error:
            if not read:
                raise
            self.note = f"breaks off after frame {read:,}: {error}"
            log.warning("%s %s", os.fspath(self.source), self.note)

    def _camera(self) -> Iterator[Frame]:
        failures, index, lost = 0, 0, False
        while not self.stop():
            reason = "the stream ended"
            try:
                begin = self.clock() if self.start is None or index else self.start
                for frame in self._paced(begin, live=True, before=index):
                    if lost:
                        self._tell("back", f"after {failures:,} failure(s)")
                    failures, index, lost = 0, frame.index, False
                    yield frame
            except DataError as error:
                if not index:  # an address that never gave a picture is wrong more often than away
                    raise
                reason = str(error)
            if self.stop():
                return
            failures += 1
            if self.retries is not None and failures > self.retries:
                raise DataError(f"{os.fspath(self.source)}: given up after {failures:,} failure(s): {reason}")
            pause = min(self.retry_seconds * 2 ** min(failures - 1, 10), max(60.0, self.retry_seconds))
            if not lost:
                self._tell("lost", f"{reason}; trying again in {pause:g} s")
            lost = True
            self._wait(self.clock() + pause)

    def _tell(self, event: str, detail: str) -> None:
        log.warning("camera %s %s: %s", self.camera, event, detail)
        self.report(CameraEvent(event, self.camera, self.clock(), detail))

    def _paced(self, begin: float, *, live: bool, before: int) -> Iterator[Frame]:
        """Frames of one opening of the source, with their moments."""
        opened: float | None = None
        first = 0.0
        self._behind = False
        frames = read_frames(
            self.source, wanted=lambda index: self._wants(before + index), rate=self.rate, bits=self.bits
        )
        for frame in frames:
            if self.stop():
                return
            index = before + frame.index
            if frame.image is None:
                self.broken += 1
            if index <= self.after:
                continue
            if opened is None:
                opened, first = self.clock(), frame.time
            if live or self.speed is not None:
                due = opened + (frame.time - first) / (self.speed or 1.0)
                if not live:
                    self._wait(due)
                self._behind = self.clock() - due > _LATE
            yield Frame(index, begin + (frame.time - first if live else frame.time), frame.image)

    def _wants(self, index: int) -> bool:
        if self._first is None:  # a folder may begin with any frame
            self._first = index
        if index <= self.after or (index - self._first) % self.every:
            return False
        self.late += self._behind
        return not self._behind

    def _wait(self, until: float) -> None:
        while not self.stop() and (left := until - self.clock()) > 0:
            self.sleep(min(left, _STEP))
