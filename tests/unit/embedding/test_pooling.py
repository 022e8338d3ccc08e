"""Frames become a tracklet's vector: mean, maximum, attention, weights; against loops."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import passerby as pb
from passerby.config import InputConfig, ModelConfig
from passerby.data.records import ReIDDataset, Sample
from passerby.embedding.pooling import group_rows, pool
from passerby.embedding.quality import frame_quality
from passerby.errors import ConfigError, EmbeddingError
from passerby.evaluation.closed_set.splits import average_splits, cross_domain, evaluate_splits
from passerby.models.encoder import Encoder
from passerby.models.model import build_model

RNG = np.random.default_rng(0)
VECTORS = RNG.normal(size=(9, 4)).astype(np.float32)
NUMBERS = np.array([2, 2, 0, 2, 0, 5, 5, 5, 5])
WEIGHTS = np.array([1.0, 0, 2, 3, 0.5, 0, 0, 0, 0])


def slow_pool(pooling: str, weights: np.ndarray | None) -> np.ndarray:
    pooled = []
    for number in (2, 0, 5):
        rows = [i for i in range(9) if NUMBERS[i] == number]
        w = [1.0 if weights is None else float(weights[i]) for i in rows]
        if sum(w) == 0:
            w = [1.0] * len(rows)
        x = [VECTORS[i].astype(np.float64) for i in rows]
        mean = sum(a * b for a, b in zip(w, x, strict=True)) / sum(w)
        if pooling == "attention":
            w = [
                a * np.exp(b @ mean / np.linalg.norm(b) / np.linalg.norm(mean) / 0.1) for a, b in zip(w, x, strict=True)
            ]
            mean = sum(a * b for a, b in zip(w, x, strict=True)) / sum(w)
        pooled.append(mean)
    return np.array(pooled)


@pytest.mark.parametrize("pooling", ["mean", "attention"])
@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_pooling_against_a_loop(pooling: str, weights: np.ndarray | None) -> None:
    found = pool(VECTORS, group_rows(NUMBERS), pooling, weights)
    np.testing.assert_allclose(found, slow_pool(pooling, weights), rtol=1e-5)


def test_attention_trusts_the_frames_that_agree() -> None:
    vectors = np.array([[1, 0], [0.99, 0.1], [0, 1]], np.float32)
    groups = group_rows(np.zeros(3, np.int64))
    plain, attended = pool(vectors, groups, "mean")[0], pool(vectors, groups, "attention")[0]
    assert attended[1] / attended[0] < 0.5 * plain[1] / plain[0]


def score(**settings: Any) -> pb.Report:
    return pb.evaluate_embeddings(
        VECTORS[:4], VECTORS[4:], [1, 1, 2, 2], [1, 1, 2, 2, 2], [0, 0, 0, 0], [1] * 5, progress=False, **settings
    )


def test_weights_decide_a_video() -> None:
    tracks = {"protocol": "video", "query_tracklets": [0, 0, 1, 1], "gallery_tracklets": [0, 0, 1, 1, 1]}
    only_first = score(**tracks, query_weights=[1, 0, 1, 0], gallery_weights=[1, 0, 1, 0, 0])
    chosen = pb.evaluate_embeddings(VECTORS[[0, 2]], VECTORS[[4, 6]], [1, 2], [1, 2], [0, 0], [1, 1], progress=False)
    assert only_first.mAP == chosen.mAP
    assert score(**tracks, pooling="attention").queries == 2
    with pytest.raises(EmbeddingError, match="query_weights"):
        score(**tracks, query_weights=[1, 0, 1, -1])
    with pytest.raises(ConfigError, match="nothing is weighted"):
        score(query_weights=[1, 0, 1, 1])


@pytest.fixture
def encoder() -> Encoder:
    torch.manual_seed(0)
    settings = ModelConfig(backbone="tiny:osnet_x0_25")
    return Encoder.from_model(build_model(settings).eval(), InputConfig(height=64, width=32), settings)


@pytest.fixture
def film(tmp_path: Path) -> ReIDDataset:
    """Two people, two cameras, a tracklet of three frames each; the last frame of each is flat."""

    def frames(pid: int, camid: int) -> tuple[Sample, ...]:
        made = []
        for i in range(3):
            path = tmp_path / f"{pid}_{camid}_{i}.png"
            picture = RNG.integers(0, 256, (64, 32, 3), dtype=np.uint8) if i < 2 else np.full((64, 32, 3), 9, np.uint8)
            Image.fromarray(picture).save(path)
            made.append(Sample(path, pid, camid, time=float(i), tracklet=pid))
        return tuple(made)

    return ReIDDataset("film", (), frames(1, 0) + frames(2, 0), frames(1, 1) + frames(2, 1), "video")


@pytest.mark.parametrize("pooling", ["mean", "max", "attention", "sharpness", "norm"])
def test_evaluate_pools_a_film(encoder: Encoder, film: ReIDDataset, pooling: str) -> None:
    report = pb.evaluate(encoder, film, pooling=pooling, progress=False)
    assert (report.queries, report.gallery) == (2, 2)
    assert any(pooling in note for note in report.notes)


def test_quality_of_frames(encoder: Encoder, film: ReIDDataset) -> None:
    sharp = frame_quality(encoder, film.query, "sharpness", batch_size=4, progress=False)
    assert sharp[2] == sharp[5] == 0
    assert (sharp[[0, 1, 3, 4]] > 0).all()
    norms = frame_quality(encoder, film.query, "norm", batch_size=4, progress=False)
    for i, sample in enumerate(film.query):
        pixels = torch.from_numpy(np.asarray(Image.open(sample.path)).copy()).permute(2, 0, 1)[None]
        with torch.no_grad():
            assert norms[i] == pytest.approx(
                float(encoder.model(encoder.preprocessing(pixels)).embedding.norm()), rel=1e-5
            )
    with pytest.raises(ConfigError, match="pools nothing"):
        pb.evaluate(encoder, film, protocol="no_cameras", pooling="norm", progress=False)
    with pytest.raises(ConfigError, match=r"expected a passerby\.Encoder"):
        frame_quality(object(), film.query, "norm")  # type: ignore[arg-type]


def test_splits_are_averaged_and_a_matrix_has_every_cell(encoder: Encoder, film: ReIDDataset) -> None:
    other = ReIDDataset("other", (), film.gallery, film.query, "video")
    one, two = (pb.evaluate(encoder, data, progress=False) for data in (film, other))
    both = evaluate_splits(encoder, [film, other], progress=False)
    assert both.mAP == pytest.approx((one.mAP + two.mAP) / 2)
    assert both.std["mAP"] == pytest.approx(np.std([one.mAP, two.mAP], ddof=1))
    assert both.queries == len(both.per_query) == 4
    assert "mean over 2 splits" in str(both)
    with pytest.raises(EmbeddingError, match="one metric"):
        average_splits([one, pb.evaluate(encoder, film, metric="cosine", progress=False)])
    with pytest.raises(EmbeddingError, match="found none"):
        average_splits([])
    table = cross_domain({"a": encoder}, {"film": film, "other": other}, progress=False)
    assert [table.reports["a"][name].mAP for name in ("film", "other")] == [one.mAP, two.mAP]
    assert "film" in str(table)
    assert f"{two.mAP:.4f} / {two.rank(1):.4f}" in str(table)
    with pytest.raises(EmbeddingError, match="at least one encoder"):
        cross_domain({}, {"film": film})
