"""What lifts the share of enrolled people who are recognised (DIR) at one false accept rate: a paired experiment.

    python -m benchmarks.open_set_lift --vectors DIR [--model retail-0287] [--place market1501] [--draws 20]

`--vectors` holds what `benchmarks.open_set_far` embedded. Each draw enrols people at random and asks about images of
theirs from other cameras and about all images of the people who are left. Every variant is given the threshold at which
it accepts 1 % of the latter, so that the rates obtained are equal, and its DIR is compared with the plain one's on the
same draw: mean difference in points, its standard error, and in how many draws it was larger.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.open_set_far import MODELS, PLACES, chosen, labelled
from passerby.embedding.embeddings import Embeddings
from passerby.evaluation.open_set.impostor_distances import pseudo_tracklets

FAR = 0.01
COHORT = 20
Scores = np.ndarray  # [probes, identities], larger is nearer; -inf where the probe's camera alone saw the identity


class Draw:
    """Enrolled people, images of theirs (`returning`) and of others (`strangers`)."""

    def __init__(self, data: Embeddings, size: int, seed: int, enrol: int) -> None:
        rng = np.random.default_rng([seed, size])
        order = rng.permutation(np.unique(data.pids))
        rows = {int(p): np.flatnonzero(data.pids == p) for p in order}
        first = np.sort(chosen(rng, rows, order[:size], enrol))
        left = {int(p): np.setdiff1d(rows[p], first) for p in order[:size]}
        self.enrolled = data.select(first[np.argsort(data.pids[first], kind="stable")])
        self.returning = data.select(chosen(rng, left, order[:size], 6))
        self.strangers = data.select(np.isin(data.pids, order[size:]))
        self.people, self.starts = np.unique(self.enrolled.pids, return_index=True)

    def changed(self, change: Callable[[Embeddings], Embeddings]) -> Draw:
        """The same draw with other vectors."""
        other = object.__new__(Draw)
        other.__dict__ = {
            **self.__dict__,
            **{n: change(getattr(self, n)) for n in ("enrolled", "returning", "strangers")},
        }
        return other

    def probes_as(self, change: Callable[[Embeddings], Embeddings]) -> Draw:
        """The same draw with other probes."""
        other = object.__new__(Draw)
        other.__dict__ = {**self.__dict__, **{n: change(getattr(self, n)) for n in ("returning", "strangers")}}
        return other

    def similar(self, probes: Embeddings) -> Scores:
        """To the nearest image of another camera of each identity."""
        scores = probes.vectors @ self.enrolled.vectors.T
        scores[probes.camids[:, None] == self.enrolled.camids] = -np.inf
        return np.maximum.reduceat(scores, self.starts, axis=1)

    def dir(self, score: Callable[[Draw, Embeddings], Scores]) -> float:
        """DIR where 1 % of the others' probes are accepted."""
        others = np.sort(score(self, self.strangers).max(axis=1))[::-1]
        threshold = others[int(FAR * len(others) + 1e-9)]
        scores = score(self, self.returning)
        own = np.searchsorted(self.people, self.returning.pids)
        reachable = np.isfinite(scores[np.arange(len(own)), own])
        right = (scores.argmax(axis=1) == own) & (scores.max(axis=1) > threshold)
        return float(right[reachable].mean())


def plain(draw: Draw, probes: Embeddings) -> Scores:
    return draw.similar(probes)


def mean_template(draw: Draw, probes: Embeddings) -> Scores:
    """One normalised mean of what other cameras saw of each identity."""
    found = np.full((len(probes), len(draw.people)), -np.inf)
    for camera in np.unique(probes.camids):
        seen = draw.enrolled.camids != camera
        sums = np.add.reduceat(draw.enrolled.vectors * seen[:, None], draw.starts, axis=0)
        lengths = np.linalg.norm(sums, axis=1)
        there, rows = lengths > 0, probes.camids == camera
        scores = probes.vectors[rows] @ (sums / np.maximum(lengths, 1e-9)[:, None]).T
        found[rows] = np.where(there, scores, -np.inf)
    return found


def diverse(count: int) -> Callable[[Draw, Embeddings], Scores]:
    """Each identity by so many images that are far from each other."""

    def score(draw: Draw, probes: Embeddings) -> Scores:
        kept = np.zeros(len(draw.enrolled), dtype=np.bool_)
        for start, end in zip(draw.starts, [*draw.starts[1:], len(draw.enrolled)], strict=True):
            rows = draw.enrolled.vectors[start:end]
            picked = [int(np.argmax(rows @ rows.mean(axis=0)))]
            while len(picked) < min(count, len(rows)):
                picked.append(int(np.argmin((rows @ rows[picked].T).max(axis=1))))
            kept[start + np.array(picked)] = True
        scores = probes.vectors @ draw.enrolled.vectors.T
        scores[(probes.camids[:, None] == draw.enrolled.camids) | ~kept] = -np.inf
        return np.maximum.reduceat(scores, draw.starts, axis=1)

    return score


def second_nearest(weight: float) -> Callable[[Draw, Embeddings], Scores]:
    """Minus a part of the similarity to the best other identity."""

    def score(draw: Draw, probes: Embeddings) -> Scores:
        scores = draw.similar(probes)
        order = np.sort(scores, axis=1)
        best, second = order[:, -1:], order[:, -2:-1]
        other = np.where(scores == best, second, best)
        return scores - weight * np.where(np.isfinite(other), other, 0.0)

    return score


def cohort_mean(draw: Draw, probes: Embeddings) -> Scores:
    """Minus the mean similarity to the nearest 20 other identities."""
    scores = draw.similar(probes)
    nearest = np.sort(scores, axis=1)[:, -COHORT - 1 : -1]
    return scores - nearest.mean(axis=1, where=np.isfinite(nearest), keepdims=True)


def s_norm(draw: Draw, probes: Embeddings) -> Scores:
    """Adaptive s-norm: both the probe's and the identity's nearest 20 of the other enrolled people are the cohort."""
    scores = draw.similar(probes)
    among = draw.enrolled.vectors @ draw.enrolled.vectors.T
    among[draw.enrolled.camids[:, None] == draw.enrolled.camids] = -np.inf
    pairs = np.maximum.reduceat(np.maximum.reduceat(among, draw.starts, axis=1), draw.starts, axis=0)
    np.fill_diagonal(pairs, -np.inf)
    enrolled = np.sort(pairs, axis=1)[:, -COHORT:]
    probe = np.sort(scores, axis=1)[:, -COHORT - 1 : -1]
    parts = []
    for cohort, axis in ((enrolled, 0), (probe, 1)):
        there = np.isfinite(cohort)
        mean, spread = cohort.mean(axis=1, where=there), cohort.std(axis=1, where=there)
        parts.append((scores - np.expand_dims(mean, axis)) / np.expand_dims(np.maximum(spread, 1e-3), axis))
    return (parts[0] + parts[1]) / 2


def without_camera_means(draw: Draw) -> Draw:
    """Each camera's mean vector of the enrolled images subtracted, lengths brought back to 1."""
    means = {
        int(c): draw.enrolled.vectors[draw.enrolled.camids == c].mean(axis=0) for c in np.unique(draw.enrolled.camids)
    }

    def change(rows: Embeddings) -> Embeddings:
        moved = rows.vectors - np.stack([means.get(int(c), np.zeros(rows.vectors.shape[1])) for c in rows.camids])
        return Embeddings(
            (moved / np.linalg.norm(moved, axis=1, keepdims=True)).astype(np.float32), rows.pids, rows.camids
        )

    return draw.changed(change)


def tracklets(rows: Embeddings) -> Embeddings:
    """Means of at least three images of one person and camera."""
    means = pseudo_tracklets(labelled(rows), frames=3)
    return Embeddings(means.vectors, means.identities, means.cameras)


def in_tracklets(rows: Embeddings) -> Embeddings:
    """The single images that those are made of."""
    _, group, count = np.unique(np.stack([rows.pids, rows.camids], 1), axis=0, return_inverse=True, return_counts=True)
    return rows.select(count[group.reshape(-1)] >= 3)


VARIANTS: dict[str, Callable[[Draw, Embeddings], Scores]] = {
    "template: one mean": mean_template,
    "template: 2 diverse": diverse(2),
    "template: 3 diverse": diverse(3),
    "minus half the second-nearest": second_nearest(0.5),
    "minus the cohort's mean": cohort_mean,
    "adaptive s-norm": s_norm,
}


def differences(data: Embeddings, size: int, draws: int, enrol: int) -> dict[str, list[tuple[float, float]]]:
    """(plain DIR, variant's DIR) of each draw."""
    found: dict[str, list[tuple[float, float]]] = {}
    for seed in range(draws):
        draw = Draw(data, size, seed, enrol)
        base, moved = draw.dir(plain), without_camera_means(draw)
        for name, score in VARIANTS.items():
            found.setdefault(name, []).append((base, draw.dir(score)))
        found.setdefault("camera means removed", []).append((base, moved.dir(plain)))
        for name in ("minus half the second-nearest", "minus the cohort's mean", "adaptive s-norm"):
            found.setdefault(f"camera means removed, {name}", []).append((base, moved.dir(VARIANTS[name])))
        images, means = draw.probes_as(in_tracklets), draw.probes_as(tracklets)
        if len(means.returning) > 50:
            single = images.dir(plain)
            found.setdefault("probe: mean of 3 frames or more", []).append((single, means.dir(plain)))
            found.setdefault("probe: mean, minus the cohort's mean", []).append((single, means.dir(cohort_mean)))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vectors", type=Path, required=True)
    parser.add_argument("--model", default="retail-0287", choices=MODELS)
    parser.add_argument("--place", default="market1501", choices=PLACES)
    parser.add_argument("--size", type=int, default=400)
    parser.add_argument("--draws", type=int, default=20)
    options = parser.parse_args()
    data = Embeddings.from_parquet(options.vectors / f"{options.model}_{options.place}.parquet")
    print(f"{options.model} {options.place}, {options.size} enrolled, {options.draws} draws, 1 % of others accepted")
    for name, pairs in differences(data, options.size, options.draws, PLACES[options.place][1]).items():
        base, other = np.array(pairs).T
        difference = 100 * (other - base)
        error = difference.std(ddof=1) / np.sqrt(len(difference)) if len(difference) > 1 else np.nan
        print(
            f"{name:56} DIR {other.mean():.1%} against {base.mean():.1%}: {difference.mean():+5.1f} points "
            f"(standard error {error:.1f}), larger in {(difference > 0).sum()} of {len(difference)}",
            flush=True,
        )


if __name__ == "__main__":
    main()
