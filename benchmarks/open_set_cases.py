"""Galleries that are not as the law expects: people enrolled twice, one camera, tracklets, a stream of unknowns.

    python -m benchmarks.open_set_cases --vectors DIR [--model retail-0287] [--place market1501] [--draws 20]

`--vectors` holds what `benchmarks.open_set_far` embedded. 100 people are enrolled, 1 % is asked, and all others are
searched, as there. Each line gives the false accept rate obtained (mean and 90 % of draws) and the DIR, as a share of
that at the ideal threshold of the same gallery.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.open_set_far import PLACES, Draw, chosen, genuine_distances, labelled, nearest
from passerby.embedding.embeddings import Embeddings
from passerby.evaluation.open_set.impostor_distances import (
    ImpostorDistances,
    impostor_distances,
    pseudo_tracklets,
)
from passerby.evaluation.open_set.impostor_fit import fit_impostor_law
from passerby.evaluation.open_set.nearest_identities import LabelledVectors, search_nearest_identities

FAR = 0.01
ENROLLED = 100
STREAM = 300


def split(data: Embeddings, seed: int, enrol: int) -> tuple[Embeddings, Embeddings, Embeddings]:
    """Enrolled images, other images of the enrolled people, all images of the others."""
    rng = np.random.default_rng([seed, ENROLLED])
    order = rng.permutation(np.unique(data.pids))
    rows = {int(p): np.flatnonzero(data.pids == p) for p in order}
    first = chosen(rng, rows, order[:ENROLLED], enrol)
    left = {int(p): np.setdiff1d(rows[p], first) for p in order[:ENROLLED]}
    probes = chosen(rng, left, order[:ENROLLED], 6)
    return data.select(first), data.select(probes), data.select(np.isin(data.pids, order[ENROLLED:]))


def drawn(others: Embeddings, probes: Embeddings, enrolled: Embeddings) -> Draw:
    return Draw(nearest(others.vectors, others.camids, enrolled), others.pids, genuine_distances(probes, enrolled))


def twice_enrolled(data: Embeddings, seed: int, enrol: int) -> tuple[Draw, dict[str, ImpostorDistances]]:
    """Five of 100 people have half of their images under a second name."""
    enrolled, probes, others = split(data, seed, enrol)
    rows = labelled(enrolled)
    names = rows.identities.copy()
    for person in np.unique(names)[:: ENROLLED // 5]:
        names[np.flatnonzero(rows.identities == person)[: enrol // 2]] = person + 10**6
    wrong = LabelledVectors(rows.vectors, names, rows.cameras)
    pairs = [(int(p), int(p) - 10**6) for p in np.unique(names[names >= 10**6])]
    return drawn(others, probes, enrolled), {
        "nobody twice": impostor_distances(rows),
        "5 % twice, not noticed": impostor_distances(wrong),
        "5 % twice, pairs named": impostor_distances(wrong, one_person=pairs),
    }


def one_camera(data: Embeddings, seed: int, enrol: int) -> tuple[Draw, dict[str, ImpostorDistances]]:
    """Everybody is enrolled by one camera and seen by the others."""
    camera = np.bincount(data.camids).argmax()
    here = data.select(np.isin(data.pids, np.unique(data.pids[data.camids == camera])))
    enrolled, _, others = split(here.select(here.camids == camera), seed, 2)
    away = here.select(here.camids != camera)
    probes = away.select(np.isin(away.pids, enrolled.pids))
    others = away.select(np.isin(away.pids, others.pids))
    return drawn(others, probes, enrolled), {"one camera": impostor_distances(labelled(enrolled))}


def tracklet_probes(data: Embeddings, seed: int, enrol: int) -> tuple[Draw, dict[str, ImpostorDistances]]:
    """Probes are means of at least three images of one camera."""
    enrolled, probes, others = split(data, seed, enrol)

    def joined(rows: Embeddings) -> Embeddings:
        means = pseudo_tracklets(labelled(rows), frames=3)
        return Embeddings(means.vectors, means.identities, means.cameras)

    return drawn(joined(others), joined(probes), enrolled), {
        "tracklets, calibrated by images": impostor_distances(labelled(enrolled)),
        "tracklets, by pseudo-tracklets": impostor_distances(pseudo_tracklets(labelled(enrolled)), labelled(enrolled)),
    }


def show(
    data: Embeddings, draws: int, enrol: int, case: Callable[..., tuple[Draw, dict[str, ImpostorDistances]]]
) -> None:
    rates: dict[str, list[tuple[float, float, float, float]]] = {}
    for seed in range(draws):
        draw, found = case(data, seed, enrol)
        ideal = draw.dir(draw.ideal(FAR))
        for name, impostors in found.items():
            threshold = fit_impostor_law(impostors).threshold(FAR)
            rates.setdefault(name, []).append(
                (draw.far(threshold)[0], draw.dir(threshold), ideal, impostors.conservative)
            )
    for name, values in rates.items():
        far, rate, ideal, conservative = np.mean(values, axis=0)
        high = np.quantile([v[0] for v in values], 0.9)
        print(
            f"{name:34} FAR {far:.2%} (90 %: {high:.2%})  DIR {rate:.2%} of {ideal:.2%}, "
            f"conservative {conservative:.0%}"
        )


def stream(data: Embeddings, seed: int, enrol: int) -> None:
    """Images of 300 people nobody enrolled, one after the other; who is not recognised becomes a new identity."""
    enrolled, _, others = split(data, seed, enrol)
    rng = np.random.default_rng(seed)
    people = rng.permutation(np.unique(others.pids))[:STREAM]
    coming = np.flatnonzero(np.isin(others.pids, people))
    coming = coming[rng.permutation(len(coming))]
    base = labelled(enrolled)
    law = fit_impostor_law(impostor_distances(base, exclude_camera=False))
    for policy in (
        "threshold of the enrolled, kept",
        "law of the enrolled, G of people met",
        "law of the enrolled, G of identities",
        "law of everybody (runs away)",
    ):
        vectors, own, missed, returns, seen = [base.vectors], law.threshold(FAR), 0, 0, set()
        made: list[int] = []  # the person behind each new identity
        rows = base
        state = search_nearest_identities(base, base, exclude_camera=False)
        for i in coming:
            stored = np.concatenate(vectors)
            similar = stored @ others.vectors[i]
            distance = float(np.sqrt(max(2 - 2 * similar.max(), 0)))
            person = int(others.pids[i])
            returns += person in seen
            if distance < own:
                continue
            missed += person in seen
            seen.add(person)
            made.append(person)
            vectors.append(others.vectors[i : i + 1])
            new = LabelledVectors(vectors[-1], np.array([10**7 + len(made)]), np.array([others.camids[i]]))
            if policy.startswith("law of the enrolled"):
                known = len(seen) if policy.endswith("people met") else len(made)
                own = law.carried(law.identities + known).threshold(FAR)
            elif policy.startswith("law of everybody"):
                state = state.with_enrolled(rows, new, metric="euclidean", exclude_camera=False)
                state = state.append(search_nearest_identities(new, rows, exclude_camera=False))
                rows = LabelledVectors(
                    *(
                        np.concatenate([getattr(a, n) for a in (rows, new)])
                        for n in ("vectors", "identities", "cameras")
                    )
                )
                if len(made) % 10 == 0:
                    distances = ImpostorDistances(
                        state.distances[:, 0], rows.identities, len(np.unique(rows.identities)) - 1
                    )
                    own = fit_impostor_law(distances).threshold(FAR)
        print(f"stream, {policy:38} {len(made)} identities of {STREAM} people, returns missed {missed / returns:.1%}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vectors", type=Path, required=True)
    parser.add_argument("--model", default="retail-0287")
    parser.add_argument("--place", choices=PLACES, default="market1501")
    parser.add_argument("--draws", type=int, default=20)
    options = parser.parse_args()
    data = Embeddings.from_parquet(options.vectors / f"{options.model}_{options.place}.parquet")
    for case in (twice_enrolled, one_camera, tracklet_probes):
        show(data, options.draws, PLACES[options.place][1], case)
    stream(data, 0, PLACES[options.place][1])


if __name__ == "__main__":
    main()
