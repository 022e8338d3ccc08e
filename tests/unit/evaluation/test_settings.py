"""Every evaluation takes the same settings, single ones of them by name, and its report says what they were."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tests.unit.embedding.coordinates import CoordinateEncoder, sample

import passerby as pb
from passerby.config import EvaluationSettings
from passerby.data.records import ReIDDataset
from passerby.errors import ConfigError
from passerby.evaluation.closed_set.result import Report

DATA = ReIDDataset(
    "drawn",
    query=(sample(0, 1, 1, 0), sample(3, 1, 2, 1)),
    gallery=(sample(0, 2, 1, 1), sample(5, 1, 2, 0), sample(1, 1.1, -2, 1), sample(0, 1.5, 2, 0), sample(9, 2, 1, 0)),
)
SETTINGS = EvaluationSettings(metric="cosine", ap="trapezoid", max_rank=3, junk_pids=(-1, -2), exclude="same_camera")
EMBEDDED = [pb.embed(CoordinateEncoder(), part, progress=False) for part in (DATA.query, DATA.gallery)]


def of_arrays(**arguments: Any) -> Report:
    query, gallery = EMBEDDED
    return pb.evaluate_embeddings(
        query.vectors, gallery.vectors, query.pids, gallery.pids, query.camids, gallery.camids, **arguments
    )


def of_rank(**arguments: Any) -> Report:
    report = pb.rank(*EMBEDDED, **arguments).report
    assert report is not None
    return report


WAYS: dict[str, Callable[..., Report]] = {
    "evaluate_embeddings": of_arrays,
    "evaluate": lambda **a: pb.evaluate(CoordinateEncoder(), DATA, progress=False, **a),
    "evaluate_splits": lambda **a: pb.evaluate_splits(CoordinateEncoder(), [DATA], progress=False, **a),
    "cross_domain": lambda **a: pb.cross_domain({"e": CoordinateEncoder()}, {"d": DATA}, progress=False, **a).reports[
        "e"
    ]["d"],
    "rank": of_rank,
}


@pytest.mark.parametrize("way", WAYS)
def test_settings_and_single_ones(way: str) -> None:
    report = WAYS[way](settings=SETTINGS, ap="step")
    assert (report.metric, report.ap_definition, len(report.cmc), report.junk) == ("cosine", "step", 3, 1)
    assert report.per_query.kept.tolist() == [1, 3]  # of the other camera alone, without junk
    expected = SETTINGS.model_dump(mode="json") | {"ap": "step", "protocol": "market1501"}
    assert report.settings == {name: expected[name] for name in report.settings}
    images = way not in ("evaluate_embeddings", "rank")
    assert ({"flip", "batch_size"} <= report.settings.keys()) is images  # of vectors nobody knows
    assert json.loads(report.to_json())["settings"] == report.settings
    assert "exclude same_camera" in str(report)
    by_name = WAYS[way](**{name: value for name, value in SETTINGS if name != "ap"})
    assert by_name.settings == report.settings
    np.testing.assert_array_equal(by_name.per_query.ap, report.per_query.ap)


@pytest.mark.parametrize("way", WAYS)
def test_an_unknown_setting_is_named(way: str) -> None:
    with pytest.raises(ConfigError, match="unknown setting 'max_rnk': did you mean 'max_rank'"):
        WAYS[way](max_rnk=3)


def test_a_protocol_in_the_settings_wins_over_the_datasets() -> None:
    named = EvaluationSettings(protocol="no_cameras")
    for way, evaluate in WAYS.items():
        assert evaluate(settings=named).per_query.kept.tolist() == [5, 5], way


def test_images_are_embedded_as_the_settings_say() -> None:
    calls = []

    class Watched(CoordinateEncoder):
        def encode(self, images: Any, *, batch_size: int = 128, flip: bool = True) -> np.ndarray:
            calls.append((batch_size, flip))
            return super().encode(images, batch_size=batch_size, flip=flip)

    pb.evaluate(Watched(), DATA, settings=EvaluationSettings(flip=False, batch_size=2), progress=False)
    assert set(calls) == {(2, False)}


def test_lists_of_rank_leave_out_what_the_settings_say() -> None:
    ranked = pb.rank(*EMBEDDED, settings=SETTINGS, top=5)
    assert ranked.indices.tolist() == [[0, -1, -1, -1, -1], [4, 1, 3, -1, -1]]


def test_frames_weighted_by_a_quality_need_the_weights() -> None:
    vectors, pids = np.eye(4, dtype=np.float32), [1, 1, 2, 2]
    tracks: Any = {"protocol": "video", "query_tracklets": [0, 0, 1, 1], "gallery_tracklets": [0, 0, 1, 1]}
    with pytest.raises(ConfigError, match="expected query_weights"):
        pb.evaluate_embeddings(vectors, vectors, pids, pids, pooling="sharpness", **tracks)
    weights: Any = {"query_weights": [1.0, 3, 1, 1], "gallery_weights": [2.0, 1, 1, 1]}
    sharp = pb.evaluate_embeddings(vectors, vectors, pids, pids, pooling="sharpness", **weights, **tracks)
    mean = pb.evaluate_embeddings(vectors, vectors, pids, pids, pooling="mean", **weights, **tracks)
    assert sharp.mAP == mean.mAP
    assert sharp.settings["pooling"] == "sharpness"


def test_splits_of_other_settings_are_not_averaged() -> None:
    reports = [of_arrays(exclude=exclude) for exclude in ("none", "same_camera")]
    with pytest.raises(pb.errors.EmbeddingError, match="one exclude, found 'none' and 'same_camera'"):
        pb.average_splits(reports)
