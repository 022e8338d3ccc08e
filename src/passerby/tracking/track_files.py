"""Reading tracks back for evaluation: what `track` or `watch` wrote, or files of boxes with identities."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from passerby.errors import DataError
from passerby.evaluation.tracks import OnlineFigures, TrackRows
from passerby.tracking.boxes.box import Box
from passerby.tracking.boxes.reading import read_boxes

Truth = TypeVar("Truth", bound=str | os.PathLike[str] | TrackRows)
"""True boxes with identities of one film."""
SUMMARY = "result.json"
"""File of a result's folder that says which frames were looked at."""


@dataclass(frozen=True, eq=False)
class FoundTracks:
    """What was found in one film.

    Attributes:
        rows: who was where.
        step: frames from one that was looked at to the next.
        last: number of the last frame that was looked at; None: not known.
        size: (width, height) of the picture, pixels; None: not known.
        notes: what was left out of its file, and what else should be known.
        first: number of the first frame.
    """

    rows: TrackRows
    step: int = 1
    last: int | None = None
    size: tuple[int, int] | None = None
    notes: tuple[str, ...] = ()
    first: int = 1

    def has_looked_at(self, frame: int) -> bool:
        """Whether a frame is among those that the step allows."""
        return (frame - self.first) % self.step == 0


@dataclass(frozen=True, eq=False)
class WatchedFile:
    """What a file of `passerby watch` says: the tracks, by camera, and how soon and how often it decided."""

    films: Mapping[str, FoundTracks]
    sightings: Sequence[Mapping[str, Any]]


def read_result_folder(folder: Path) -> dict[str, FoundTracks]:
    """The tracks of every film of a folder that `track` wrote.

    Raises:
        DataError: not such a folder.
    """
    expected = f"expected a folder that `passerby track` wrote, with {SUMMARY}"
    if not (folder / SUMMARY).is_file():
        raise DataError(f"{folder}: {expected}, which is not there")
    try:
        summary = json.loads((folder / SUMMARY).read_text("utf-8"))
        films = [
            (
                f["name"],
                int(f["step"]),
                int(f["frames"]),
                (int(f["size"][0]), int(f["size"][1])),
                int(f.get("first", 1)),
            )
            for f in summary["films"]
        ]
    except OSError as error:
        raise DataError(f"{folder}: {expected}, which cannot be read ({error.strerror})") from None
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise DataError(f"{folder}: {expected}, which is not of that form ({error})") from None
    return {
        name: FoundTracks(rows_of_boxes(read_boxes(folder / f"{name}.txt").boxes), step, last, size, first=first)
        for name, step, last, size, first in films
    }


def read_watched(path: Path) -> WatchedFile | None:
    """Tracks of the JSON lines that `passerby watch --with-boxes` prints; None for another kind of file.

    Boxes of sightings without a verdict count as not found.

    Raises:
        DataError: such a file, but without boxes, or with a line that is wrong.
    """
    lines = _events(path)
    if lines is None:
        return None
    sightings = [line for line in lines if line.get("event") == "sighting"]
    begins = {line.get("camera"): line for line in lines if line.get("event") == "begin"}
    ends = {line.get("camera"): line for line in lines if line.get("event") == "end"}
    if not sightings:
        raise DataError(f"{path}: no sighting in this file of `passerby watch`")
    if any("xyxy" not in line for line in sightings):
        raise DataError(f"{path}: sightings without boxes; `passerby watch --with-boxes` writes them")
    names = sorted({str(line["identity"]) for line in sightings if line["identity"] is not None})
    films = {}
    for camera in sorted({line["camera"] for line in sightings}):
        own = [line for line in sightings if line["camera"] == camera and line["identity"] is not None]
        films[camera] = FoundTracks(
            _rows_of_sightings(own, names),
            int(begins.get(camera, {}).get("every", 1)),
            ends[camera]["frames"] if camera in ends else max(max(s["frames"]) for s in sightings),
            first=int(ends.get(camera, {}).get("first", 1)),
        )
    return WatchedFile(films, sightings)


def online_figures(sightings: Sequence[Mapping[str, Any]]) -> OnlineFigures:
    """How soon and how often sightings got a verdict."""
    undecided = np.array([line["identity"] is None for line in sightings])
    boxes = np.array([line["boxes"] for line in sightings])
    seconds = np.array([line["decided"] - line["start"] for line in sightings])[~undecided]
    return OnlineFigures(
        sightings=len(sightings),
        undecided=float(undecided.mean()),
        undecided_boxes=float(boxes[undecided].sum() / boxes.sum()),
        median_seconds=float(np.median(seconds)) if len(seconds) else float("nan"),
        slowest_seconds=float(np.quantile(seconds, 0.9)) if len(seconds) else float("nan"),
    )


def read_tracks_of_film(path: Path, first_frame: int | None) -> FoundTracks:
    """Boxes with identities of one film, as a tracker wrote them.

    Raises:
        DataError: a file that cannot be read, or without identities.
    """
    file = read_boxes(path, first_frame=first_frame)
    boxes = [box for box in file.boxes if box.track >= 0]
    if not boxes:
        raise DataError(f"{path}: boxes without identities; expected a tracker's result")
    reasons = {**file.skipped, "without an identity": len(file.boxes) - len(boxes)}
    left_out = [f"{path}: {count:,} boxes {reason}" for reason, count in reasons.items() if count]
    return FoundTracks(rows_of_boxes(boxes), notes=(*left_out, *(f"{path}: {note}" for note in file.notes)))


def rows_of_boxes(boxes: Sequence[Box]) -> TrackRows:
    """Boxes with tracks as `compare_tracks` reads them."""
    return TrackRows(
        np.array([box.frame for box in boxes], np.int64),
        np.array([box.track for box in boxes], np.int64),
        np.array([(box.x, box.y, box.width, box.height) for box in boxes], np.float64).reshape(-1, 4),
    )


def read_truth(
    path: str | os.PathLike[str], film: FoundTracks, *, first_frame: int | None = None
) -> tuple[TrackRows, list[str]]:
    """True boxes with identities in the frames that were looked at, and what was left out.

    Boxes whose confidence (MOT's flag) is 0 do not count.

    Raises:
        DataError: a file that cannot be read.
    """
    file = read_boxes(path, first_frame=first_frame, size=film.size)
    boxes = [box for box in file.boxes if box.confidence != 0]
    tracked = [box for box in boxes if box.track >= 0]
    looked = [box for box in tracked if film.has_looked_at(box.frame)]
    begun = [box for box in looked if box.frame >= film.first]
    counted = [box for box in begun if film.last is None or box.frame <= film.last]
    reasons = {
        **file.skipped,
        "with a confidence of 0": len(file.boxes) - len(boxes),
        "without an identity": len(boxes) - len(tracked),
        "in frames that were not looked at": len(tracked) - len(looked),
        f"before frame {film.first}, where the folder of frames begins": len(looked) - len(begun),
        f"after frame {film.last}, where the result ends": len(begun) - len(counted),
    }
    notes = [f"{os.fspath(path)}: {count:,} true boxes {reason}" for reason, count in reasons.items() if count]
    return rows_of_boxes(counted), notes + [f"{os.fspath(path)}: {note}" for note in file.notes]


def _events(path: Path) -> list[Mapping[str, Any]] | None:
    """The lines of a file of `watch`."""
    try:
        with path.open(encoding="utf-8") as file:
            first = file.readline()
            if not first.startswith('{"event"'):
                return None
            lines = [json.loads(line) for line in (first, *file) if line.strip()]
    except UnicodeDecodeError:
        return None
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: not the JSON lines of `passerby watch` ({error})") from None
    wrong = [place for place, line in enumerate(lines, start=1) if not isinstance(line, dict)]
    if wrong:
        raise DataError(f"{path}, row {wrong[0]}: expected an object with an event, as `passerby watch` writes it")
    return lines


def _rows_of_sightings(sightings: Sequence[Mapping[str, Any]], names: Sequence[str]) -> TrackRows:
    """Rows of one camera; where two sightings give one name in a frame, the earlier one has it."""
    rows: dict[tuple[int, int], list[float]] = {}
    for line in sightings:
        number = names.index(str(line["identity"])) + 1
        for frame, (left, top, right, bottom) in zip(line["frames"], line["xyxy"], strict=True):
            rows.setdefault((frame, number), [left, top, right - left, bottom - top])
    keys = sorted(rows)
    return TrackRows(
        np.array([frame for frame, _ in keys], np.int64),
        np.array([number for _, number in keys], np.int64),
        np.array([rows[key] for key in keys], np.float64).reshape(-1, 4),
    )


def truth_by_film(truth: Truth | Sequence[Truth] | Mapping[str, Truth], names: Sequence[str]) -> dict[str, Truth]:
    """Which truth belongs to which film.

    Args:
        truth: by film; or files, which belong to the films that have their names, or, where no film has one of them,
            to all films in their order.
        names: the films.

    Raises:
        DataError: a film that is not there, or files that nothing gives a film.
    """
    given: dict[str, Any]
    if isinstance(truth, Mapping):
        given = dict(truth)
    else:
        files: list[Any] = [truth] if isinstance(truth, (str, os.PathLike, TrackRows)) else list(truth)
        called = [Path(file).stem if isinstance(file, (str, os.PathLike)) else "" for file in files]
        if not set(called) & set(names):
            if len(files) != len(names):
                raise DataError(
                    f"truth: {len(files)} file(s) for {len(names)} film(s) ({', '.join(names)}), none of them called "
                    "like a film; give one file a film in their order, or say FILM=FILE"
                )
            return dict(zip(names, files, strict=True))
        if len(set(called)) < len(files):
            raise DataError(f"truth: files of the same name ({', '.join(called)}); say FILM=FILE")
        given = dict(zip(called, files, strict=True))
    unknown = [name for name in given if name not in names]
    if unknown or not given:
        raise DataError(f"truth of {', '.join(unknown) or 'no film'}: the result has {', '.join(names)}")
    return given
