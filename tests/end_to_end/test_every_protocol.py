"""Every benchmark's layout is read and judged under its own protocol, with vectors that know the answer."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from passerby.data.datasets import DATASETS, dataset_info, load_dataset
from passerby.data.layouts.write import write_layout
from passerby.data.records import Sample
from passerby.evaluation.closed_set.protocols import PROTOCOLS, evaluate_embeddings

pytest.importorskip("scipy")
pytest.importorskip("h5py")


def draw(person: int, camera: int, image: int) -> np.ndarray:
    return np.full((12, 6, 3), (person * 5 % 256, camera * 40 % 256, image * 30 % 256), np.uint8)


def vectors(samples: tuple[Sample, ...], *, right: bool, first: int) -> np.ndarray:
    """A direction a person and a little noise; strangers each their own, and wrong vectors point anywhere."""
    seeds = [(s.pid, 0) if s.pid > 0 and right else (first + i, 1) for i, s in enumerate(samples)]
    means = np.stack([np.random.default_rng(seed).normal(size=64) for seed in seeds])
    return (means + 0.01 * np.random.default_rng(first).normal(size=means.shape)).astype(np.float32)


@pytest.mark.parametrize("name", DATASETS)
def test_right_vectors_win_and_wrong_ones_lose(name: str, tmp_path: Path) -> None:
    root = write_layout(name, tmp_path / name, draw=draw, images=2)
    variants: list[dict[str, Any]] = (
        [{}] + [{"protocol": "classic"}] * (name == "cuhk03") + [{"multi_query": True}] * (name == "market1501")
    )
    for arguments in variants:
        data = load_dataset(name, root, verify=False, **arguments)
        protocol = "multi_query" if "multi_query" in arguments else data.protocol
        assert protocol in PROTOCOLS
        video: dict[str, Any] = {}
        if protocol == "video":
            video["query_tracklets"] = [s.tracklet for s in data.query]
            video["gallery_tracklets"] = [s.tracklet for s in data.gallery]
        scores = []
        for right in (True, False):
            report = evaluate_embeddings(
                vectors(data.query, right=right, first=0),
                vectors(data.gallery, right=True, first=10**6),
                *([s.pid for s in part] for part in (data.query, data.gallery)),
                *([s.camid for s in part] for part in (data.query, data.gallery)),
                protocol=protocol,
                **video,
            )
            assert report.skipped == 0
            scores.append(report.rank(1))
        assert scores[0] == 1.0
        assert scores[1] < 0.5
    assert dataset_info(name).kind == ("video" if data.protocol == "video" else "image")
