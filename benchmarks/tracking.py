"""Tracking on films with truth: identities against the truth, and time against the detector alone.

    python -m benchmarks.tracking --data FOLDER --people people.parquet [--film pets terrace]
        [--detect person-detection-0200 yolox_nano] [--crop-seconds 1 0.5] [--camera-statistics 5]
        [--detections FOLDER]
    python -m benchmarks.tracking --memory MINUTES [--cameras 1 4]

FOLDER holds `film/` (films, truth, detections, detectors) and `weights/openvino/`. PEOPLE is a Parquet file of
`passerby embed` with labelled people whom the encoder was not trained on: the law of distances is fitted to them and
never to a film. Without --detect, ready detections are read, which is faster. Prints IDF1, MOTA, HOTA and switches as
`passerby track` gives them, the ceiling (every tracklet given the person who is in most of its boxes), processor
seconds on one core, and which part of the work takes them. With --detections, what a detector finds is kept in a folder
and an interrupted run goes on from there; times are then not printed. --memory is that of `benchmarks.film_memory`.
"""

from __future__ import annotations

import argparse
import itertools
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch

import passerby as pb
from benchmarks import film_memory
from passerby.config.tracking import TrackingSettings
from passerby.tracking import film_tracks
from passerby.tracking import track as tracking
from passerby.tracking.boxes.box import Box
from passerby.tracking.camera_means import join_people
from passerby.tracking.detections import box_overlap
from passerby.tracking.detectors.detector import GraphDetector
from passerby.tracking.films import read_frames
from passerby.tracking.result import TrackedFilm, TrackingResult, fill_gaps, identity_rows

SCENES = {
    "pets": {
        "films": ("films/vtest.avi",),
        "truth": ("truth/PETS09-S2L1/gt_person.txt",),
        "boxes": ("detections/PETS09-S2L1_person-detection-0200_512x512.txt",),
        "settings": {"rate": 7.0},
        "sides": {"person-detection-0200": 512, "yolox_nano": 416},
    },
    "terrace": {
        "films": ("films/terrace1-c0.mp4", "films/terrace1-c1.mp4"),
        "truth": ("truth/EPFL-terrace1/c0_gt.txt", "truth/EPFL-terrace1/c1_gt.txt"),
        "boxes": (
            "detections/terrace1-c0_person-detection-0200_256_every2nd.txt",
            "detections/terrace1-c1_person-detection-0200_256_every2nd.txt",
        ),
        "settings": {"every": 2},
        "sides": {"person-detection-0200": 256, "yolox_nano": 416},
    },
}
DETECTORS = {"person-detection-0200": "person-detection-0200.xml", "yolox_nano": "yolox_nano.onnx"}
SCORE = 0.3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--film", nargs="+", choices=SCENES, default=list(SCENES))
    parser.add_argument("--people", type=Path)
    parser.add_argument("--detect", nargs="*", choices=DETECTORS, help="detectors; without a name the first")
    parser.add_argument("--crop-seconds", nargs="+", type=float, default=[pb.TrackingSettings().crop_seconds])
    parser.add_argument(
        "--camera-statistics", nargs="+", type=int, default=[], help="join again with these minimums of people"
    )
    parser.add_argument("--detections", type=Path, help="folder that keeps what the detectors found")
    parser.add_argument("--memory", type=float, metavar="MINUTES", help="only the memory over drawn films so long")
    parser.add_argument("--cameras", type=int, nargs="+", default=[1, 4], help="of --memory")
    parser.add_argument("--frames", type=int, default=100, help="frames on which the detector alone is timed")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.memory is not None:
        film_memory.measure(options.memory, options.cameras)
        return
    if options.data is None or options.people is None:
        parser.error("expected --data and --people (or --memory)")
    # one core, so that no engine waits for another thread of its own and calls that processor time
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    with tempfile.TemporaryDirectory() as folder:
        encoder = pb.load_encoder(describe_encoder(Path(folder), options.data))
        law = pb.calibrate_tracklets(pb.Embeddings.from_parquet(options.people))
        law = replace(law, fingerprint=encoder.fingerprint)
        chosen = [None] if options.detect is None else options.detect or list(DETECTORS)[:1]
        for name, model in itertools.product(options.film, chosen):
            detector = None
            if model is not None:
                kept = None if options.detections is None else options.detections / f"{name}-{model}.npz"
                detector = Remembered(load_detector(options.data, name, model, Path(folder)), kept)
            for seconds in options.crop_seconds:
                settings = pb.TrackingSettings(**SCENES[name]["settings"], crop_seconds=seconds)
                print(f"== {name}: {model or 'ready boxes'}, one crop in {seconds:g} s")
                measure(name, options, encoder, law, settings, detector, Path(folder))


class Remembered:
    """A detector that finds people once in each picture of a sequence, and says it again when that is shown again."""

    def __init__(self, detector: GraphDetector, kept: Path | None) -> None:
        self.detector, self.threshold = detector, detector.threshold
        self._kept, self._found = kept, [] if kept is None or not kept.exists() else read_detections(kept)
        self._shown = 0
        self.timed, self.clock = kept is None, Clock()

    def __call__(self, image: np.ndarray) -> pb.Detections:
        """RGB picture -> boxes."""
        self._shown += 1
        if self._shown > len(self._found):
            self._found.append(self.clock.around(self.detector)(image))
            if self._kept is not None and self._shown % 100 == 0:
                self.keep()
        return self._found[self._shown - 1]

    def keep(self) -> None:
        """Write what was found."""
        if self._kept is not None:
            self._kept.parent.mkdir(parents=True, exist_ok=True)
            part = self._kept.with_suffix(".part.npz")
            counts = [len(one) for one in self._found]
            boxes = np.concatenate([one.xyxy for one in self._found])
            np.savez(part, counts=counts, boxes=boxes, scores=np.concatenate([one.scores for one in self._found]))
            part.replace(self._kept)

    def again(self) -> None:
        """The same pictures come from here on."""
        self.keep()
        self._shown, self.timed = 0, False


def read_detections(kept: Path) -> list[pb.Detections]:
    """What `Remembered.keep` wrote."""
    with np.load(kept) as content:
        ends = np.cumsum(content["counts"])[:-1]
        pairs = zip(np.split(content["boxes"], ends), np.split(content["scores"], ends), strict=True)
        return [pb.Detections.of(boxes, scores) for boxes, scores in pairs]


class Clock:
    """Processor seconds that a function, or an iterator between its items, takes."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def around(self, work: Callable[..., Any]) -> Callable[..., Any]:
        """The same function, with its time counted."""

        def timed(*arguments: Any, **options: Any) -> Any:
            start = time.process_time()
            try:
                return work(*arguments, **options)
            finally:
                self.seconds += time.process_time() - start

        return timed

    def around_items(self, work: Callable[..., Iterator[Any]]) -> Callable[..., Iterator[Any]]:
        """The same function, with the time of the iterator that it gives counted."""

        def timed(*arguments: Any, **options: Any) -> Iterator[Any]:
            items, following = iter(work(*arguments, **options)), self.around(next)
            while (item := following(items, None)) is not None:
                yield item

        return timed


@contextmanager
def clocks() -> Iterator[dict[str, Clock]]:
    """Clocks of the parts of tracking while this lasts."""
    parts = {"decoding": Clock(), "vectors": Clock(), "one pass over the films": Clock()}
    with (
        mock.patch.object(film_tracks, "read_frames", parts["decoding"].around_items(film_tracks.read_frames)),
        mock.patch.object(film_tracks, "encode_crops", parts["vectors"].around(film_tracks.encode_crops)),
        mock.patch.object(tracking, "follow_film", parts["one pass over the films"].around(tracking.follow_film)),
    ):
        yield parts


def load_detector(data: Path, scene: str, model: str, folder: Path) -> GraphDetector:
    """On one thread, at the size that suits the films."""
    description = folder / f"{model}.toml"
    side, file = SCENES[scene]["sides"][model], (data / "film/detectors" / DETECTORS[model]).resolve()
    description.write_text(f'file = "{file}"\nwidth = {side}\nheight = {side}\n')
    return pb.load_detector(description, threads=1)


def describe_encoder(folder: Path, data: Path) -> Path:
    """A description of person-reidentification-retail-0277."""
    model = (data / "weights/openvino/person-reidentification-retail-0277.xml").resolve()
    description = folder / "encoder.toml"
    description.write_text(f'file = "{model}"\nheight = 256\nwidth = 128\ncolors = "BGR"\nscale = 1.0\n')
    return description


def measure(
    name: str,
    options: argparse.Namespace,
    encoder: pb.Encoder,
    law: pb.TrackletCalibration,
    settings: TrackingSettings,
    detector: Remembered | None,
    folder: Path,
) -> None:
    scene = SCENES[name]
    place = options.data / "film"
    films = [place / film for film in scene["films"]]
    boxes = None if detector else [certain(place / file, folder) for file in scene["boxes"]]
    start = time.process_time()
    with clocks() as parts:
        result = pb.track(films, encoder=encoder, detector=detector, boxes=boxes, calibration=law, settings=settings)
    spent = time.process_time() - start
    truth = {film.stem: place / file for film, file in zip(films, scene["truth"], strict=True)}
    print(f"{result}\n{result.evaluate(truth)}")
    print(f"ceiling of these tracklets\n{with_true_identities(result, truth, settings).evaluate(truth)}")
    for minimum in options.camera_statistics if len(films) > 1 else ():
        changed = settings.model_copy(update={"camera_statistics": True, "camera_minimum": minimum})
        joined, notes = join_people(result.tracklets, law, changed)
        again = with_identities(result, joined + 1, changed)
        print(f"camera statistics: {'; '.join(notes)}\n{again.evaluate(truth)}")
    looked = sum(-(-film.frames // settings.every) for film in result.films)
    vectors = sum(len(t.vectors) for t in result.tracklets)
    print(f"{vectors:,} vectors, {looked:,} frames that were looked at", flush=True)
    if detector is None or detector.timed:
        show_times(spent, looked, parts if detector is None else {**parts, "detector": detector.clock})
    if detector is not None and detector.timed:
        alone = detector_alone(films[0], detector.detector, options.frames, settings.every)
        print(f"detector and decoding alone: {1000 * alone:.1f} ms; ratio {spent / looked / alone:.2f}", flush=True)
    if detector is not None:
        detector.again()


def show_times(spent: float, looked: int, parts: dict[str, Clock]) -> None:
    """Processor time of a frame, and the share of each part."""
    seconds = {name: clock.seconds for name, clock in parts.items()}
    one_pass = seconds.pop("one pass over the films")
    seconds["following and choosing crops"] = one_pass - sum(seconds.values())
    seconds["joining, reading boxes and the rest"] = spent - one_pass
    shares = ", ".join(f"{name} {value / spent:.0%}" for name, value in seconds.items())
    per_frame = f"{1000 * spent / looked:.1f} ms of processor time a frame, {looked / spent:.1f} frames a second"
    print(f"{per_frame}: {shares}", flush=True)


def certain(file: Path, folder: Path) -> Path:
    """Detections with a score of at least `SCORE`."""
    lines = [line for line in file.read_text().splitlines() if float(line.split(",")[6]) >= SCORE]
    chosen = folder / file.name
    chosen.write_text("\n".join(lines) + "\n")
    return chosen


def with_true_identities(result: TrackingResult, truth: dict[str, Path], settings: TrackingSettings) -> TrackingResult:
    """The result with every tracklet given the person of most of its boxes (IoU >= 0.5), or a number of its own."""
    identities = 10_000 + np.arange(len(result.tracklets))
    for film in result.films:
        by_frame: dict[int, list[Box]] = {}
        for box in pb.read_boxes(truth[film.name]).boxes:
            by_frame.setdefault(box.frame, []).append(box)
        votes: dict[int, list[int]] = {}
        for row in np.flatnonzero(~film.rows.filled):
            true = by_frame.get(int(film.rows.frames[row]), [])
            corners = np.array([(b.x, b.y, b.x + b.width, b.y + b.height) for b in true], np.float32).reshape(-1, 4)
            overlap = box_overlap(film.rows.boxes[row : row + 1], corners)[0]
            if len(true) and overlap.max() >= 0.5:
                votes.setdefault(int(film.rows.tracklets[row]), []).append(true[int(overlap.argmax())].track)
        for tracklet, people in votes.items():
            values, counts = np.unique(people, return_counts=True)
            identities[tracklet] = values[counts.argmax()]
    return with_identities(result, identities, settings)


def with_identities(result: TrackingResult, identities: np.ndarray, settings: TrackingSettings) -> TrackingResult:
    """The result with other identities of its tracklets."""
    films = tuple(relabelled(film, identities, settings) for film in result.films)
    return TrackingResult(films, result.tracklets, identities, result.decided, result.fingerprint)


def relabelled(film: TrackedFilm, identities: np.ndarray, settings: TrackingSettings) -> TrackedFilm:
    seen = ~film.rows.filled
    columns = (getattr(film.rows, name)[seen] for name in ("frames", "times", "boxes", "scores", "tracklets"))
    rows = fill_gaps(identity_rows(*columns, identities), seconds=settings.fill_seconds, step=film.step)
    return TrackedFilm(**{**vars(film), "rows": rows})


def detector_alone(film: Path, detector: object, frames: int, every: int) -> float:
    """Processor seconds a frame of decoding and detecting."""
    start, looked = time.process_time(), 0
    for frame in read_frames(film, wanted=lambda index: (index - 1) % every == 0, last=frames * every):
        if frame.image is not None and frame.image.size:
            detector(frame.image)
            looked += 1
    return (time.process_time() - start) / looked


if __name__ == "__main__":
    main()
