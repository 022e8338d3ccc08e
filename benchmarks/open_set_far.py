"""Asked against obtained false accept rates of galleries that calibrate themselves, over models, places and sizes.

    python -m benchmarks.open_set_far --market DIR --cuhk DIR --weights DIR --vectors DIR [--models osnet ...]

`--market` is the folder with Market-1501 (as `load_dataset("market1501", root)` takes it), `--cuhk` one with the
folders train/ and test/ of CUHK03's first camera pair (PPPP_NN.jpg; NN // 5 is the camera), `--weights` one with
osnet_x0_25_msmt17.onnx and openvino/person-reidentification-retail-0277.xml and -0287.xml. Each set is embedded once
into `--vectors`; where its file lies there already, images and weights are not needed.

One draw enrols G people at random with 6 images each (Market-1501; CUHK03: 2), lets the gallery calibrate itself and
searches all images of all other people in it, the probe's camera left out. For up to 100 enrolled people 100 others are
set aside, from whom the encoder's laws come. Results are printed and, with `--out`, written as numbers.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from passerby.data.datasets import load_dataset
from passerby.data.records import Sample
from passerby.embedding.embed import embed
from passerby.embedding.embeddings import Embeddings
from passerby.evaluation.open_set.encoder_impostor_laws import blend_with_encoder, fit_held_out_laws
from passerby.evaluation.open_set.impostor_distances import impostor_distances, person_weights
from passerby.evaluation.open_set.impostor_fit import fit_impostor_law
from passerby.evaluation.open_set.nearest_identities import LabelledVectors
from passerby.models.encoder import load_encoder

SIZES = (10, 20, 50, 100, 200, 400, 500)
_RETAIL = 'colors = "BGR"\nscale = 1.0\nlicence = "Apache-2.0"\n'
MODELS = {
    "osnet": (
        "osnet_x0_25_msmt17.onnx",
        "mean = [0.485, 0.456, 0.406]\nstd = [0.229, 0.224, 0.225]\nlicence = 'MIT'\n",
    ),
    "retail-0287": ("openvino/person-reidentification-retail-0287.xml", _RETAIL),
    "retail-0277": ("openvino/person-reidentification-retail-0277.xml", _RETAIL),
}
PLACES = {"market1501": (10, 6), "cuhk03": (6, 2)}
"""Images a person that are used at most, and that are enrolled."""
HELD_OUT = 100


@dataclass(frozen=True)
class Draw:
    """What one gallery met: distances of other people's images, and of images of enrolled people to themselves."""

    others: np.ndarray
    people: np.ndarray
    genuine: np.ndarray

    def far(self, threshold: float) -> tuple[float, float, float]:
        """Share of images accepted; the same with each person counting once; share of people ever accepted."""
        hit = self.others < threshold
        row = np.unique(self.people, return_inverse=True)[1]
        return float(hit.mean()), float(person_weights(self.people) @ hit), float((np.bincount(row, hit) > 0).mean())

    def dir(self, threshold: float) -> float:
        """Share of enrolled people's images that are accepted as themselves."""
        return float((self.genuine < threshold).mean())

    def ideal(self, far: float) -> float:
        """The largest threshold whose rate is at most the asked one here."""
        return float(np.sort(self.others)[int(far * len(self.others) + 1e-9)])


def samples_of(place: str, folder: Path) -> list[Sample]:
    """At most so many images a person, drawn by seed 0."""
    if place == "market1501":
        data = load_dataset("market1501", folder)
        every = [s for s in (*data.query, *data.gallery) if s.pid > 0]
    else:
        every = []
        for part, first in (("train", 1), ("test", 10_001)):  # the two folders number their people separately
            for path in sorted((folder / part).glob("*.jpg")):
                person, number = map(int, path.stem.split("_"))
                every.append(Sample(path=path, pid=first + person, camid=number // 5))
    rows: dict[int, list[int]] = {}
    for i in np.random.default_rng(0).permutation(len(every)):
        rows.setdefault(every[i].pid, []).append(int(i))
    return [every[i] for pid in sorted(rows) for i in sorted(rows[pid][: PLACES[place][0]])]


def vectors_of(model: str, place: str, options: argparse.Namespace) -> Embeddings:
    """Read the set's vectors, or make them."""
    file = options.vectors / f"{model}_{place}.parquet"
    if not file.is_file():
        weights, rest = MODELS[model]
        with tempfile.TemporaryDirectory() as folder:
            description = Path(folder) / f"{model}.toml"
            path = (options.weights / weights).resolve()
            description.write_text(f'file = "{path}"\nheight = 256\nwidth = 128\n{rest}')
            samples = samples_of(place, options.market if place == "market1501" else options.cuhk)
            embed(load_encoder(description), samples, flip=False, batch_size=32).to_parquet(file)
    return Embeddings.from_parquet(file)


def chosen(rng: np.random.Generator, rows: dict[int, np.ndarray], people: np.ndarray, count: int) -> np.ndarray:
    return np.concatenate([rng.permutation(rows[p])[:count] for p in people])


def nearest(vectors: np.ndarray, cameras: np.ndarray, enrolled: Embeddings) -> np.ndarray:
    """Distance of the nearest enrolled image of another camera."""
    order = np.argsort(enrolled.camids, kind="stable")
    present, starts = np.unique(enrolled.camids[order], return_index=True)
    best = np.concatenate([
        np.maximum.reduceat(vectors[i : i + 2048] @ enrolled.vectors[order].T, starts, axis=1)
        for i in range(0, len(vectors), 2048)
    ])  # fmt: skip
    best[present[None] == cameras[:, None]] = -np.inf
    return np.sqrt(np.maximum(2.0 - 2.0 * best.max(axis=1), 0.0))


def genuine_distances(probes: Embeddings, enrolled: Embeddings) -> np.ndarray:
    """Distance to the own identity where it is the nearest, else infinity; without probes it cannot be found for."""
    similar = probes.vectors @ enrolled.vectors.T
    similar[probes.camids[:, None] == enrolled.camids] = -np.inf
    own = probes.pids[:, None] == enrolled.pids
    mine, other = np.where(own, similar, -np.inf).max(axis=1), np.where(own, -np.inf, similar).max(axis=1)
    found = np.isfinite(mine)
    distances = np.sqrt(np.maximum(2.0 - 2.0 * np.where(found, mine, 0.0), 0.0))
    return np.where(mine >= other, distances, np.inf)[found]


def labelled(rows: Embeddings) -> LabelledVectors:
    return LabelledVectors(rows.vectors, rows.pids, rows.camids)


def thresholds_of_draw(data: Embeddings, size: int, seed: int, enrol: int, far: float) -> tuple[Draw, dict[str, float]]:
    """One gallery: what it met, and its thresholds."""
    rng = np.random.default_rng([seed, size])
    order = rng.permutation(np.unique(data.pids))
    rows = {int(p): np.flatnonzero(data.pids == p) for p in order}
    known, held = order[:size], order[len(order) - HELD_OUT :] if size <= HELD_OUT else order[:0]
    first = chosen(rng, rows, known, enrol)
    left = {int(p): np.setdiff1d(rows[p], first) for p in known}
    probes, enrolled = data.select(chosen(rng, left, known, 6)), data.select(first)
    others = data.select(np.isin(data.pids, order[size : len(order) - len(held)]))
    draw = Draw(nearest(others.vectors, others.camids, enrolled), others.pids, genuine_distances(probes, enrolled))
    impostors = impostor_distances(labelled(enrolled))
    law = fit_impostor_law(impostors)
    found = {
        "ideal": draw.ideal(far),
        "gallery": law.threshold(far),
        "guaranteed": fit_impostor_law(impostors, guaranteed=True).threshold(far),
    }
    if len(held):
        encoder = fit_held_out_laws(labelled(data.select(chosen(rng, rows, held, enrol))))
        if encoder is not None:
            found["blend"] = blend_with_encoder(law, impostors, encoder).threshold(far)
            found["encoder"] = encoder.at(size).threshold(far)
    return draw, found


def cells(model: str, place: str, data: Embeddings, options: argparse.Namespace) -> Iterator[dict[str, object]]:
    for size in options.sizes:
        rates: dict[str, list[tuple[float, ...]]] = {}
        for seed in range(options.draws):
            draw, found = thresholds_of_draw(data, size, seed, PLACES[place][1], options.far)
            for law, threshold in found.items():
                rates.setdefault(law, []).append((*draw.far(threshold), draw.dir(threshold)))
        ideal = np.mean(rates["ideal"], axis=0)[3]
        for law, values in rates.items():
            image, person, ever, rate = np.mean(values, axis=0)
            yield {
                "model": model, "place": place, "enrolled": size, "law": law, "draws": len(values),
                "far": round(float(image), 5), "far_90": round(float(np.quantile([v[0] for v in values], 0.9)), 5),
                "far_by_person": round(float(person), 5), "people_ever_accepted": round(float(ever), 4),
                "dir": round(float(rate), 4), "dir_of_ideal": round(float(rate / ideal), 3) if ideal else None,
            }  # fmt: skip


def show(found: list[dict[str, object]]) -> None:
    print(f"{'model':12} {'place':11} {'G':>4} {'law':10}    FAR   90 % person   ever    DIR of ideal")
    for c in found:
        values = (100 * float(str(c[k])) for k in ("far", "far_90", "far_by_person", "people_ever_accepted", "dir"))
        numbers = " ".join(f"{v:6.2f}" for v in values)
        print(
            f"{c['model']:12} {c['place']:11} {c['enrolled']:4} {c['law']:10} {numbers} {c['dir_of_ideal']:>8}",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("market", "cuhk", "weights"):
        parser.add_argument(f"--{name}", type=Path)
    parser.add_argument("--vectors", type=Path, required=True)
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--places", nargs="+", choices=PLACES, default=list(PLACES))
    parser.add_argument("--sizes", nargs="+", type=int, default=list(SIZES))
    parser.add_argument("--draws", type=int, default=40)
    parser.add_argument("--far", type=float, default=0.01)
    parser.add_argument("--out", type=Path, help="a JSON file; cells of other models and places in it stay")
    options = parser.parse_args()
    for model in options.models:
        for place in options.places:
            found = list(cells(model, place, vectors_of(model, place, options), options))
            show(found)
            if options.out:
                kept = json.loads(options.out.read_text())["cells"] if options.out.is_file() else []
                kept = [c for c in kept if (c["model"], c["place"]) != (model, place)]
                lines = ",\n".join(json.dumps(c) for c in [*kept, *found])
                options.out.write_text(f'{{"far": {options.far}, "cells": [\n{lines}\n]}}\n')


if __name__ == "__main__":
    main()
