"""How many crops of a track are worth a vector, on drawn films.

    python -m benchmarks.film_crops --encoder ENCODER [--films 8] [--crop-seconds 2 1 0.5 0.25]

ENCODER is one that drawn people taught, such as RUN of `passerby demo`. Films of six people under two cameras are
drawn; boxes are the true ones, a little off and without identities; the law of distances is fitted to other drawn
people. Prints, over all films, IDF1 with common identities, switches, vectors, and processor seconds.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

import passerby as pb
from passerby.data.datasets import load_dataset
from passerby.data.synthetic.dataset import draw_dataset
from passerby.data.synthetic.film import DrawnFilm, draw_films

CALIBRATED_ON = 100_000  # seed of the people of the calibration, who are in no film
PEOPLE, CAMERAS, SECONDS, RATE = 6, 2, 24, 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--encoder", required=True)
    parser.add_argument("--films", type=int, default=8, help="pairs of films")
    parser.add_argument("--crop-seconds", nargs="+", type=float, default=[2, 1, 0.5, 0.25])
    options = parser.parse_args()
    torch.set_num_threads(1)
    encoder = pb.load_encoder(options.encoder)
    with tempfile.TemporaryDirectory() as folder:
        law = calibration(encoder, Path(folder) / "people")
        print(law)
        rows: dict[float, list[tuple[float, int, int, float]]] = {}
        for seed in range(options.films):
            place = Path(folder) / str(seed)
            drawn = draw_films(place, people=PEOPLE, cameras=CAMERAS, seconds=SECONDS, rate=RATE, seed=seed)
            for seconds in options.crop_seconds:
                rows.setdefault(seconds, []).append(measure(drawn, encoder, law, seconds))
    for seconds, found in rows.items():
        idf1, switches, vectors, spent = (np.array(column) for column in zip(*found, strict=True))
        print(
            f"one crop in {seconds:g} s: IDF1 {100 * idf1.mean():.1f} ({100 * idf1.min():.1f} to "
            f"{100 * idf1.max():.1f}), {switches.sum()} switches, {vectors.sum():,} vectors, {spent.sum():.1f} s"
        )


def calibration(encoder: pb.Encoder, place: Path) -> pb.TrackletCalibration:
    """Fitted to drawn people who are in no film."""
    root = draw_dataset(
        place, identities=60, train_identities=2, cameras=CAMERAS, images_per_camera=4, seed=CALIBRATED_ON
    )
    return pb.calibrate_tracklets(pb.embed(encoder, load_dataset("synthetic", root).gallery))


def measure(
    drawn: list[DrawnFilm], encoder: pb.Encoder, law: pb.TrackletCalibration, seconds: float
) -> tuple[float, int, int, float]:
    """IDF1, switches, vectors and processor seconds."""
    boxes = [without_tracks(film) for film in drawn]
    start = time.process_time()
    found = pb.track(
        [film.film for film in drawn],
        encoder=encoder,
        boxes=boxes,
        calibration=law,
        crop_seconds=seconds,
        progress=False,
    )
    spent = time.process_time() - start
    report = found.evaluate({film.camera: film.truth for film in drawn})
    return report.idf1, report.switches, sum(len(t.vectors) for t in found.tracklets), spent


def without_tracks(film: DrawnFilm) -> Path:
    """The true boxes, a little off, without identities."""
    rng = np.random.default_rng(0)
    lines = []
    for line in film.truth.read_text().splitlines():
        frame, _, *box = line.split(",")[:6]
        lines.append(",".join([frame, "-1", *(f"{float(v) + rng.normal(0, 1):.2f}" for v in box), "0.9"]))
    path = film.film.with_suffix(".boxes.txt")
    path.write_text("\n".join(lines) + "\n")
    return path


if __name__ == "__main__":
    main()
