"""What an encoder loses at a place that it never saw, and what camera means and adaptation give back.

    python -m benchmarks.cross_domain --encoders msmt17=DIR market1501=DIR --market1501 DIR --cuhk03 DIR

For every encoder and place: plain; with the camera means of the place's *training* images, whose people are counted by
clusters, without labels; and, where an encoder folder is given as NAME@PLACE=DIR, adapted to that place (and its camera
means). No label of a place is read before the scores; nothing is measured on test images but these.

CUHK03's first camera pair is a folder with train/PPPP_NN.jpg and test/PPPP_NN.jpg, camera NN // 5: queries are all
images of the test people under camera 1, the gallery those under camera 2.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from passerby.adaptation.place import place_of
from passerby.adaptation.pseudo_labels import find_pseudo_labels
from passerby.config.adaptation import AdaptationSettings
from passerby.data.datasets import load_dataset
from passerby.data.records import ReIDDataset, Sample
from passerby.embedding.camera_statistics import CameraStatistics
from passerby.embedding.embed import embed
from passerby.embedding.embeddings import Embeddings
from passerby.evaluation.evaluate import score
from passerby.models.encoder import Encoder, load_encoder


def cuhk03_pair(folder: Path) -> ReIDDataset:
    """CUHK03's first camera pair."""
    train, test = (
        [Sample(p, base + int(p.stem[:4]), int(p.stem[5:]) // 5) for p in sorted((folder / part).glob("*.jpg"))]
        for part, base in (("train", 1), ("test", 10_001))
    )
    query, gallery = (tuple(s for s in test if s.camid == camera) for camera in (0, 1))
    return ReIDDataset("cuhk03-pair1", tuple(train), query, gallery)


def vectors(encoder: Encoder, samples: tuple[Sample, ...]) -> Embeddings:
    """Vectors of single images, without their mirror images."""
    return embed(encoder, samples, batch_size=64, flip=False)


def statistics_of(encoder: Encoder, data: ReIDDataset, settings: AdaptationSettings) -> CameraStatistics | None:
    """Camera statistics of the training images, without their labels."""
    crops = tuple(replace(s, pid=0, time=None) for s in data.train)
    return find_pseudo_labels(place_of(crops), vectors(encoder, crops), settings).statistics


def main() -> None:
    """Print a line for every encoder and place."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--encoders", nargs="+", required=True, metavar="NAME=DIR")
    parser.add_argument("--market1501", type=Path, help="folder that holds Market-1501")
    parser.add_argument("--cuhk03", type=Path, help="folder of CUHK03's first camera pair")
    parser.add_argument("--k1", type=int, default=AdaptationSettings().k1)
    parser.add_argument("--engine", default=None)
    arguments = parser.parse_args()
    places = {}
    if arguments.market1501:
        places["market1501"] = load_dataset("market1501", arguments.market1501)
    if arguments.cuhk03:
        places["cuhk03"] = cuhk03_pair(arguments.cuhk03)
    print("| encoder | place | plain | camera means |\n|---|---|---|---|")
    for item in arguments.encoders:
        name, _, folder = item.partition("=")
        only = name.partition("@")[2]
        encoder = load_encoder(folder, arguments.engine)
        for place, data in places.items():
            if only in ("", place):
                print(f"| {name} | {place} | {' | '.join(figures(encoder, data, arguments.k1))} |", flush=True)


def figures(encoder: Encoder, data: ReIDDataset, k1: int) -> list[str]:
    """MAP / rank-1 plain, and with camera means."""
    query, gallery = vectors(encoder, data.query), vectors(encoder, data.gallery)
    statistics = statistics_of(encoder, data, AdaptationSettings(k1=k1))
    pairs = [(query, gallery)]
    if statistics is not None:
        pairs.append((statistics.map(query), statistics.map(gallery)))
    reports = [score(*pair, protocol=data.protocol, progress=False) for pair in pairs]
    return [f"{100 * r.mAP:.2f} / {100 * r.rank(1):.2f}" for r in reports]


if __name__ == "__main__":
    main()
