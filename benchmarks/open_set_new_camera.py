"""False accepts of probes by a camera that took nobody enrolled, beside those of a camera that took some.

    python -m benchmarks.open_set_new_camera query.parquet gallery.parquet [--people 300] [--images 6] [--draws 10]

The files are what `passerby embed` makes of a test set. One draw leaves out a camera, enrols so many people at random
by the others, as many images of each (their cameras in turn), asks 1 % and identifies the images of everybody else by
either camera. Each person counts once. "not carried" is what the threshold of searches that leave a camera out accepts.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np

from passerby.embedding.embeddings import Embeddings
from passerby.gallery.gallery import Gallery

FAR = 0.01
LEAST_SHARE = 0.1
"""Cameras with a smaller share of the images are neither left out nor asked for."""


def together(paths: list[Path]) -> Embeddings:
    """All images of people, unit vectors."""
    parts = [Embeddings.from_parquet(path) for path in paths]
    vectors = np.concatenate([part.vectors for part in parts])
    pids, camids = (np.concatenate([getattr(part, name) for part in parts]) for name in ("pids", "camids"))
    people = pids > 0
    vectors = vectors[people] / np.linalg.norm(vectors[people], axis=1, keepdims=True)
    return Embeddings(vectors, pids[people], camids[people])


def enrolled_rows(
    data: Embeddings, people: np.ndarray, camera: int, images: int, rng: np.random.Generator
) -> np.ndarray:
    """Rows to enrol: of each person so many, none by `camera`, the others in turn."""
    chosen = []
    for person in people:
        rows = rng.permutation(np.flatnonzero((data.pids == person) & (data.camids != camera)))
        earlier = [int((data.camids[rows[:i]] == data.camids[rows[i]]).sum()) for i in range(len(rows))]
        chosen.append(rows[np.argsort(earlier, kind="stable")][:images])
    return np.concatenate(chosen)


def per_person(hits: np.ndarray, pids: np.ndarray) -> float:
    """Mean over people of the share of their images."""
    return float(np.mean([hits[pids == pid].mean() for pid in np.unique(pids)]))


def one_draw(data: Embeddings, people: int, images: int, seed: int, folder: Path) -> dict[str, tuple[float, float]]:
    """(FAR, DIR) by kind of camera."""
    rng = np.random.default_rng(seed)
    cameras, counts = np.unique(data.camids, return_counts=True)
    new, seen = rng.permutation(cameras[counts > LEAST_SHARE * len(data.camids)])[:2].tolist()
    known = rng.permutation(np.unique(data.pids))[:people]
    rows = enrolled_rows(data, known, new, images, rng)
    found = {}
    with Gallery.open(folder / f"{seed}.gallery", fingerprint="benchmark", far=FAR) as gallery:
        names = [str(pid) for pid in data.pids[rows]]
        gallery.enroll_many(names, vectors=data.vectors[rows], cameras=data.camids[rows].tolist())
        threshold = gallery.calibration("identify").threshold
        for kind, camera, own in (("new", new, None), ("new, not carried", new, threshold), ("seen", seen, None)):
            asked = np.setdiff1d(np.flatnonzero(data.camids == camera), rows)
            answers = gallery.identify_many(vectors=data.vectors[asked], cameras=camera, threshold=own)
            accepted = np.array([bool(answer.known) for answer in answers])
            right = np.array([a.identity == str(pid) for a, pid in zip(answers, data.pids[asked], strict=True)])
            enrolled = np.isin(data.pids[asked], known)
            far = per_person(accepted[~enrolled], data.pids[asked][~enrolled])
            found[kind] = (far, float(right[enrolled].mean()) if enrolled.any() else np.nan)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("vectors", type=Path, nargs="+")
    parser.add_argument("--people", type=int, nargs="+", default=[100, 300])
    parser.add_argument("--images", type=int, nargs="+", default=[2, 6])
    parser.add_argument("--draws", type=int, default=10)
    options = parser.parse_args()
    data = together(options.vectors)
    for people in options.people:
        for images in options.images:
            with tempfile.TemporaryDirectory() as folder:
                draws = [one_draw(data, people, images, seed, Path(folder)) for seed in range(options.draws)]
            for kind in draws[0]:
                far, rate = np.nanmean([draw[kind] for draw in draws], axis=0)
                print(f"{people:4} people, {images} images, camera {kind:17} FAR {far:.2%}  DIR {rate:.1%}")


if __name__ == "__main__":
    main()
