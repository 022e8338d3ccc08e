"""Memory of tracking and of watching over long drawn films, for one camera and for several.

    python -m benchmarks.film_memory [--minutes 20] [--cameras 1 4]

A drawn film of 20 seconds is repeated until it is long enough; boxes are the true ones, without identities, so that
decoding, following, cutting, encoding, the gallery and nothing else work. Prints the resident memory of the process at
quarters of the way, and how much it grew from the first quarter to the end. `watch` should not grow; `track` keeps the
boxes of the whole film, and its growth is printed for each box.
"""

from __future__ import annotations

import argparse
import gc
import itertools
import tempfile
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import psutil
import torch

import passerby as pb
from passerby.config import InputConfig, ModelConfig
from passerby.data.synthetic.film import DrawnFilm, draw_films
from passerby.models.model import build_model
from passerby.tracking.watch import WatchedSighting

SECONDS, RATE, PEOPLE = 20, 10, 4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--cameras", type=int, nargs="+", default=[1, 4])
    options = parser.parse_args()
    torch.set_num_threads(1)
    measure(options.minutes, options.cameras)


def measure(minutes: float, cameras: list[int]) -> None:
    """Print the memory of watching and of tracking with each number of cameras."""
    encoder = small_encoder()
    times = max(4, round(60 * minutes / SECONDS))
    with tempfile.TemporaryDirectory() as folder:
        drawn = draw_films(folder, people=PEOPLE, cameras=max(cameras), seconds=SECONDS, rate=RATE)
        films = [(repeated(one, times), detector(one)) for one in drawn]
        print(f"{times * SECONDS / 60:.0f} min at {RATE} frames per second, {PEOPLE} people")
        for count in cameras:
            measure_watch(films[:count], encoder, Path(folder) / f"{count}.gallery", times)
        for count in cameras:
            measure_track(films[:count], encoder, times)


def small_encoder() -> pb.Encoder:
    torch.manual_seed(0)
    architecture = ModelConfig(backbone="osnet_x0_25")
    return pb.Encoder.from_model(build_model(architecture), InputConfig(height=64, width=32), architecture)


def repeated(drawn: DrawnFilm, times: int) -> Path:
    """The film, again and again."""
    path = drawn.film.with_name(f"{drawn.film.stem}_long.mp4")
    with av.open(str(path), "w") as target:
        stream = None
        for turn in range(times):
            with av.open(str(drawn.film)) as source:
                first = source.streams.video[0]
                if stream is None:
                    stream = target.add_stream_from_template(first)
                step = round(SECONDS / first.time_base)
                for packet in source.demux(first):
                    if packet.dts is not None:
                        packet.pts, packet.dts = packet.pts + turn * step, packet.dts + turn * step
                        packet.stream = stream
                        target.mux(packet)
    return path


def detector(drawn: DrawnFilm) -> object:
    """The true boxes of the next frame, whatever the picture."""
    by_frame: dict[int, list[tuple[float, ...]]] = {}
    for box in pb.read_boxes(drawn.truth).boxes:
        by_frame.setdefault(box.frame, []).append((box.x, box.y, box.x + box.width, box.y + box.height))
    frames = itertools.cycle(range(1, SECONDS * RATE + 1))
    return lambda image: pb.Detections.of(by_frame.get(next(frames), []))


def memory() -> float:
    gc.collect()
    return float(psutil.Process().memory_info().rss) / 2**20


def measure_watch(films: list[tuple[Path, object]], encoder: pb.Encoder, place: Path, times: int) -> None:
    seen, samples = 0, []
    with pb.Gallery.open(place, encoder) as gallery:
        streams: list[Iterator[WatchedSighting]] = [
            pb.watch(film, gallery, camera=f"camera {n}", detector=detect, threshold=0.2)  # type: ignore[arg-type]
            for n, (film, detect) in enumerate(films)
        ]
        reached = 0.0
        for sightings in itertools.zip_longest(*streams):
            seen += sum(one is not None for one in sightings)
            reached = max([reached, *(one.end for one in sightings if one is not None)])
            if reached >= (len(samples) + 1) * times * SECONDS / 4.05:
                samples.append(memory())
        samples.append(memory())
        known = len(gallery)
    show(f"watch, {len(films)} camera(s), {seen:,} sightings, {known} identities", samples)


def measure_track(films: list[tuple[Path, object]], encoder: pb.Encoder, times: int) -> None:
    frames, samples = 0, []
    total = len(films) * times * SECONDS * RATE

    def counted(detect: object) -> object:
        def find(image: np.ndarray) -> pb.Detections:
            nonlocal frames
            frames += 1
            if frames % (total // 4) == 0:
                samples.append(memory())
            return detect(image)  # type: ignore[operator, no-any-return]

        return find

    results = []
    for film, detect in films:  # one detector a film, as the boxes are those of the film
        results.append(pb.track(film, encoder=encoder, detector=counted(detect), threshold=0.3, progress=False))  # type: ignore[arg-type]
    boxes = sum(len(film.rows) for result in results for film in result.films)
    show(f"track, {len(films)} camera(s), {boxes:,} boxes", samples)
    print(f"  {(samples[-1] - samples[0]) * 2**20 / (0.75 * boxes):,.0f} bytes a box")


def show(what: str, samples: list[float]) -> None:
    quarters = ", ".join(f"{sample:,.0f}" for sample in samples)
    print(f"{what}: {quarters} MiB; grew by {samples[-1] - samples[0]:,.1f} MiB after the first quarter", flush=True)


if __name__ == "__main__":
    main()
