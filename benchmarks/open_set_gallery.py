"""Asked against obtained false accept rates through the gallery: enrolled, calibrated, identified as users do.

    python -m benchmarks.open_set_gallery --vectors DIR [--models retail-0287] [--places market1501 cuhk03] [--draws 5]
        [--comparisons plain camera_means cohort both]

`--vectors` holds what `benchmarks.open_set_far` embedded; draws, people and images are the same as there, so that its
tables must come out again. 1 % is asked. Each line also says by how much the gallery's thresholds differ from those of
the array functions (they must not, where vectors and distances are compared as they are).
"""

from __future__ import annotations

import argparse
import itertools
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.open_set_far import MODELS, PLACES, chosen, labelled
from passerby.embedding.embeddings import Embeddings
from passerby.evaluation.open_set.impostor_distances import impostor_distances, person_weights
from passerby.evaluation.open_set.impostor_fit import fit_impostor_law
from passerby.gallery.gallery import Gallery

FAR = 0.01
COMPARISONS = {
    "plain": {},
    "camera_means": {"camera_means": True},
    "cohort": {"cohort": True},
    "both": {"camera_means": True, "cohort": True},
}
"""What `Gallery.set_comparison` is asked for; from 200 enrolled people on."""


def draw(
    data: Embeddings, size: int, seed: int, enrol: int, folder: Path, comparison: str
) -> tuple[float, float, float, float]:
    """FAR by image and by person, DIR, and the difference of the thresholds."""
    rng = np.random.default_rng([seed, size])
    order = rng.permutation(np.unique(data.pids))
    rows = {int(p): np.flatnonzero(data.pids == p) for p in order}
    known = order[:size]
    held = order[len(order) - 100 :] if size <= 100 else order[:0]
    first = chosen(rng, rows, known, enrol)
    left = {int(p): np.setdiff1d(rows[p], first) for p in known}
    enrolled, probes = data.select(first), data.select(chosen(rng, left, known, 6))
    others = data.select(np.isin(data.pids, order[size : len(order) - len(held)]))
    path = folder / f"{size}-{seed}.gallery"
    with Gallery.open(path) as gallery:
        gallery.enroll_many(
            [str(p) for p in enrolled.pids], vectors=enrolled.vectors, cameras=[str(c) for c in enrolled.camids]
        )
        if COMPARISONS[comparison]:
            gallery.set_comparison(**COMPARISONS[comparison])
        found = gallery.calibration("identify")
        strangers = gallery.identify_many(vectors=others.vectors, cameras=[str(c) for c in others.camids], top=1)
        returning = gallery.identify_many(vectors=probes.vectors, cameras=[str(c) for c in probes.camids], top=1)
    path.unlink()
    hit = np.array([bool(answer.known) for answer in strangers])
    if any(answer.known != (answer.p_value <= FAR) for answer in (*strangers, *returning)):
        raise SystemExit("a verdict and its p-value disagree")
    reachable = [
        answer.identity == str(pid)
        for answer, pid, camera in zip(returning, probes.pids, probes.camids, strict=True)
        if (enrolled.camids[enrolled.pids == pid] != camera).any()
    ]
    expected = fit_impostor_law(impostor_distances(labelled(enrolled))).threshold(FAR)
    return (
        float(hit.mean()),
        float(person_weights(others.pids) @ hit),
        float(np.mean(reachable)),
        found.threshold - expected,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vectors", type=Path, required=True)
    parser.add_argument("--models", nargs="+", default=["retail-0287"], choices=MODELS)
    parser.add_argument("--places", nargs="+", default=list(PLACES), choices=PLACES)
    parser.add_argument("--sizes", nargs="+", type=int, default=[50, 200, 400])
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("--comparisons", nargs="+", default=["plain"], choices=COMPARISONS)
    options = parser.parse_args()
    every = itertools.product(options.models, options.places, options.sizes, options.comparisons)
    with tempfile.TemporaryDirectory() as folder:
        for model, place, size, comparison in every:
            data = Embeddings.from_parquet(options.vectors / f"{model}_{place}.parquet")
            enrol = PLACES[place][1]
            values = np.array(
                [draw(data, size, seed, enrol, Path(folder), comparison) for seed in range(options.draws)]
            )
            far, person, rate, _ = values.mean(axis=0)
            most, largest = np.quantile(values[:, 0], (0.9, 1))
            print(
                f"{model} {place} G={size} {comparison}: FAR {far:.2%} (90 % of draws {most:.2%}, largest "
                f"{largest:.2%}), by person {person:.2%}, DIR {rate:.2%}; thresholds differ by at most "
                f"{np.abs(values[:, 3]).max():.1e}",
                flush=True,
            )


if __name__ == "__main__":
    main()
