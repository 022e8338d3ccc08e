"""An encoder and a dataset in, a report out."""

from typing import Any

import pytest
from tests.unit.embedding.coordinates import CoordinateEncoder, sample

import passerby as pb
from passerby.data.records import ReIDDataset
from passerby.embedding.embed import embed
from passerby.errors import ConfigError, EmbeddingError

DATA = ReIDDataset(
    "drawn",
    query=(sample(0, 0, 1, 0),),
    gallery=(sample(0, 1, 1, 1), sample(0, 2, 2, 1), sample(0, 3, 1, 1), sample(0, 0.5, 1, 0)),
    notes=("a retracted dataset",),
)


def test_the_dataset_says_how_it_is_judged_and_what_must_be_known() -> None:
    report = pb.evaluate(CoordinateEncoder(), DATA, progress=False)
    assert report.mAP == pytest.approx((1 + 2 / 3) / 2)
    assert report.protocol == "market1501"
    assert "a retracted dataset" in report.notes
    assert pb.evaluate(CoordinateEncoder(), DATA, protocol="no_cameras", progress=False).per_query.kept.tolist() == [4]


def test_frames_are_pooled_under_the_video_protocol() -> None:
    data = ReIDDataset(
        "video",
        query=(sample(0, 0, 1, 0, 5), sample(0, 2, 1, 0, 5)),
        gallery=(sample(0, 9, 1, 1, 1), sample(0, -7, 1, 1, 1), sample(0, 4, 2, 1, 2)),
        protocol="video",
    )
    report = pb.evaluate(CoordinateEncoder(), data, progress=False)
    assert (report.queries, report.gallery, report.mAP) == (1, 2, 1.0)


@pytest.mark.parametrize("change", [{"protocol": "market"}, {"metric": "l1"}, {"rerank": "k"}, {"device": "nowhere"}])
def test_a_wrong_setting_stops_before_anything_is_encoded(change: dict[str, Any]) -> None:
    encoder = CoordinateEncoder()
    with pytest.raises(ConfigError):
        pb.evaluate(encoder, DATA, progress=False, **change)
    assert encoder.encoded == 0


def test_nothing_to_evaluate_is_said() -> None:
    with pytest.raises(EmbeddingError, match="gallery, found none"):
        pb.evaluate(CoordinateEncoder(), ReIDDataset("half", query=DATA.query), progress=False)
    with pytest.raises(EmbeddingError, match="at least one sample"):
        embed(CoordinateEncoder(), [], progress=False)
