"""Streams of unknowns, consolidated; and a search over all past sightings: on vectors that were embedded before.

    python -m benchmarks.sightings --vectors market1501.parquet [--draws 3] [--first-draw 0] [--probes 500]

**Stream.** 300 people whom nobody enrolled, drawn from the vectors, pass the cameras. The pictures of one person by
one camera with no break of more than 30 s are a tracklet (Market-1501 counts 25 frames a second); its mean is compared.
They are observed in the order of time by a gallery that starts with 100 other people, with the threshold for which
their own impostor law promises the false accept rate. Then the unknowns are consolidated.

**Search.** Every picture is a sighting of a gallery that keeps vectors; queries search all of them. Sightings of the
person by the query's own camera are left out, as in Market-1501's protocol; the mAP must be that of
`evaluate_embeddings`.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np

from passerby.embedding.embeddings import Embeddings
from passerby.embedding.tracklet import Tracklet
from passerby.evaluation.closed_set.protocols import evaluate_embeddings
from passerby.evaluation.open_set.assignment import evaluate_assignment
from passerby.evaluation.open_set.impostor_distances import impostor_distances
from passerby.evaluation.open_set.impostor_fit import fit_impostor_law
from passerby.evaluation.open_set.nearest_identities import LabelledVectors
from passerby.gallery.consolidation import LEAST_SIMILARITY
from passerby.gallery.gallery import Gallery
from passerby.gallery.stores.rows import SightingWhere

PEOPLE, ENROLLED, IMAGES = 300, 100, 6
FRAMES_PER_SECOND, BREAK_SECONDS = 25.0, 30.0
RATES = (0.01, 0.001)


def tracklets_of(data: Embeddings) -> list[tuple[int, Tracklet]]:
    """(person, tracklet) in the order of time."""
    times = np.asarray(data.times, np.float64) / FRAMES_PER_SECOND
    order = np.lexsort((times, data.camids, data.pids))
    same = (np.diff(data.pids[order]) == 0) & (np.diff(data.camids[order]) == 0)
    starts = np.flatnonzero(np.r_[True, ~same | (np.diff(times[order]) > BREAK_SECONDS)])
    found = []
    for rows in np.split(order, starts[1:]):
        rows = rows[np.unique(times[rows], return_index=True)[1]]
        n = len(rows)
        tracklet = Tracklet(
            str(data.camids[rows[0]]), np.arange(1, n + 1), times[rows], np.zeros((n, 4), np.float32),
            np.ones(n, np.float32), data.vectors[rows], np.arange(1, n + 1), np.ones(n, np.float32),
        )  # fmt: skip
        found.append((int(data.pids[rows[0]]), tracklet))
    return sorted(found, key=lambda one: one[1].start)


def stream(data: Embeddings, seed: int, far: float, least: float) -> None:
    rng = np.random.default_rng(seed)
    people = rng.permutation(np.unique(data.pids))
    known = [rng.permutation(np.flatnonzero(data.pids == p))[:IMAGES] for p in people[:ENROLLED]]
    enrolled = data.select(np.concatenate(known))
    rows = LabelledVectors(enrolled.vectors, enrolled.pids, enrolled.camids)
    threshold = fit_impostor_law(impostor_distances(rows, exclude_camera=False)).threshold(far)
    coming = tracklets_of(data.select(np.isin(data.pids, people[ENROLLED : ENROLLED + PEOPLE])))
    who = [person for person, _ in coming]
    with tempfile.TemporaryDirectory() as folder, Gallery.open(Path(folder) / "people.gallery") as gallery:
        gallery.set_sightings(keep_vectors=True)
        names = [f"enrolled-{pid}" for pid in enrolled.pids]
        gallery.enroll_many(names, enrolled.vectors, cameras=[str(c) for c in enrolled.camids])
        seen = [gallery.observe_tracklet(tracklet, threshold=threshold) for _, tracklet in coming]
        found = gallery.consolidate(least=least, apply=True)
        final = {sighting.id: sighting.identity for sighting in gallery.sightings()}
    before = evaluate_assignment(numbers([one.identity for one in seen]), who)
    after = evaluate_assignment(numbers([final[one.id] for one in seen]), who)
    print(f"draw {seed}, FAR {far:g} (distance {threshold:.3f}), {len(who):,} tracklets")
    print(f"  observed:     {before}")
    print(f"  consolidated: {after} ({len(found.joined)} joined, {len(found.moved)} moved)", flush=True)


def numbers(names: list[str]) -> np.ndarray:
    return np.unique(names, return_inverse=True)[1]


def search(data: Embeddings, probes: int) -> None:
    queries = np.flatnonzero(["/query/" in str(path) for path in data.paths])
    queries = np.random.default_rng(0).permutation(queries)[:probes]
    with tempfile.TemporaryDirectory() as folder, Gallery.open(Path(folder) / "people.gallery") as gallery:
        gallery.set_sightings(keep_vectors=True)
        pictures = np.setdiff1d(np.arange(len(data)), queries)
        gallery.enroll_many([f"person-{p}" for p in np.unique(data.pids)], first_of_each(data))
        store = gallery._store  # one transaction, and one search for all queries: the same code as one by one
        owner = {record.name: number for number, record in store.identities().items()}
        person = {}
        with store.transaction():
            for row in pictures.tolist():
                record = sighting(owner[f"person-{data.pids[row]}"], str(data.camids[row]), float(data.times[row]))
                person[store.sightings.add(record, data.vectors[row], None)] = row
        found = store.sightings.search(data.vectors[queries], SightingWhere(with_vector=True), top=len(pictures))
    precisions = []
    for query, (ids, _) in zip(queries.tolist(), found, strict=True):
        ranked = np.array([person[i] for i in ids.tolist()])
        same = data.pids[ranked] == data.pids[query]
        ranked = same[~(same & (data.camids[ranked] == data.camids[query]))]
        hits = np.flatnonzero(ranked)
        if len(hits):
            precisions.append(float((np.arange(1, len(hits) + 1) / (hits + 1)).mean()))
    report = evaluate_embeddings(
        data.vectors[queries], data.vectors[pictures], data.pids[queries], data.pids[pictures], data.camids[queries],
        data.camids[pictures],
    )  # fmt: skip
    print(
        f"search over {len(pictures):,} sightings by {len(precisions):,} queries: mAP {np.mean(precisions):.4f}; "
        f"evaluate_embeddings: {report.mAP:.4f}"
    )


def first_of_each(data: Embeddings) -> np.ndarray:
    return data.vectors[np.unique(data.pids, return_index=True)[1]]


def sighting(identity: int, camera: str, time: float):  # type: ignore[no-untyped-def]
    from passerby.gallery.stores.rows import SightingRecord

    return SightingRecord(identity, camera, time, time)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vectors", type=Path, required=True)
    parser.add_argument("--draws", type=int, default=3)
    parser.add_argument("--first-draw", type=int, default=0)
    parser.add_argument("--least", type=float, default=LEAST_SIMILARITY)
    parser.add_argument("--probes", type=int, default=500)
    options = parser.parse_args()
    data = Embeddings.from_parquet(options.vectors)
    for seed in range(options.first_draw, options.first_draw + options.draws):
        for far in RATES:
            stream(data, seed, far, options.least)
    if options.probes:
        search(data, options.probes)


if __name__ == "__main__":
    main()
