"""Tracking on films with truth: identities against the truth, and time against the detector alone.

    python -m benchmarks.tracking --data FOLDER --people people.parquet [--film pets terrace]
        [--detect person-detection-0200 yolox_nano] [--crop-seconds 1 0.5] [--camera-statistics 5]

FOLDER holds `film/` (films, truth, detections, detectors) and `weights/openvino/`. PEOPLE is a Parquet file of
`passerby embed` with labelled people whom the encoder was not trained on: the law of distances is fitted to them and
never to a film. Without --detect, ready detections are read, which is faster. Prints IDF1, MOTA, HOTA and switches as
`passerby track` gives them, the ceiling (every tracklet given the person who is in most of its boxes), and processor
seconds on one core.
"""

from __future__ import annotations

import argparse
import itertools
import os
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

import passerby as pb
from passerby.config.tracking import TrackingSettings
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
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--film", nargs="+", choices=SCENES, default=list(SCENES))
    parser.add_argument("--people", type=Path, required=True)
    parser.add_argument("--detect", nargs="*", choices=DETECTORS, help="detectors; without a name the first")
    parser.add_argument("--crop-seconds", nargs="+", type=float, default=[pb.TrackingSettings().crop_seconds])
    parser.add_argument(
        "--camera-statistics", nargs="+", type=int, default=[], help="join again with these minimums of people"
    )
    parser.add_argument("--frames", type=int, default=100, help="frames on which the detector alone is timed")
    options = parser.parse_args()
    torch.set_num_threads(1)
    # one core, so that no engine waits for another thread of its own and calls that processor time
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    with tempfile.TemporaryDirectory() as folder:
        encoder = pb.load_encoder(describe_encoder(Path(folder), options.data))
        law = pb.calibrate_tracklets(pb.Embeddings.from_parquet(options.people))
        law = replace(law, fingerprint=encoder.fingerprint)
        chosen = [None] if options.detect is None else options.detect or list(DETECTORS)[:1]
        for name, model in itertools.product(options.film, chosen):
            detector = None if model is None else Remembered(load_detector(options.data, name, model, Path(folder)))
            for seconds in options.crop_seconds:
                settings = pb.TrackingSettings(**SCENES[name]["settings"], crop_seconds=seconds)
                print(f"== {name}: {model or 'ready boxes'}, one crop in {seconds:g} s")
                measure(name, options, encoder, law, settings, detector, Path(folder))


class Remembered:
    """A detector that finds people once in each picture of a sequence, and says it again when that is shown again."""

    def __init__(self, detector: GraphDetector) -> None:
        self.detector, self.threshold = detector, detector.threshold
        self._found: list[pb.Detections] = []
        self._shown = 0
        self.remembers = False

    def __call__(self, image: np.ndarray) -> pb.Detections:
        """RGB picture -> boxes."""
        if not self.remembers:
            self._found.append(self.detector(image))
            return self._found[-1]
        self._shown += 1
        return self._found[self._shown - 1]

    def again(self) -> None:
        """The same pictures come from here on."""
        self.remembers, self._shown = True, 0


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
    per_frame = f"{1000 * spent / looked:.1f} ms of processor time a frame that was looked at"
    print(f"{vectors:,} vectors, {looked:,} frames; {per_frame}", flush=True)
    if detector is not None and not detector.remembers:
        alone = detector_alone(films[0], detector.detector, options.frames, settings.every)
        print(f"detector and decoding alone: {1000 * alone:.1f} ms; ratio {spent / looked / alone:.2f}", flush=True)
    if detector is not None:
        detector.again()


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
