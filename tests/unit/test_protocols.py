"""Hand-worked cases of every closed-set protocol."""

import numpy as np
import pytest

import passerby as pb
from passerby.errors import ConfigError, EmbeddingError


def line(*places: float) -> np.ndarray:
    """Points on a line: distances are plain differences."""
    return np.array(places, dtype=np.float32)[:, None]


# One query (person 1, camera 0) at 0; gallery from near to far: hits at kept places 1, 3 and 6.
GALLERY = line(0.5, 1, 1.5, 2, 3, 4, 5, 6, 7)
PIDS = [1, 1, -1, 2, 1, 0, 3, 1, 2]
CAMIDS = [0, 1, 1, 1, 1, 1, 0, 2, 1]


def score(**arguments: object) -> pb.Report:
    return pb.evaluate_embeddings(line(0), GALLERY, [1], PIDS, [0], CAMIDS, **arguments)


def test_market1501_drops_junk_and_the_same_camera_only() -> None:
    report = score(protocol="market1501")
    assert report.mAP == pytest.approx((1 + 2 / 3 + 3 / 6) / 3, abs=1e-12)
    assert report.mINP == pytest.approx(3 / 6, abs=1e-12)
    assert report.rank(1) == 1.0
    assert (report.queries, report.skipped, report.gallery, report.junk) == (1, 0, 8, 1)
    assert report.per_query.kept.tolist() == [7]


def test_trapezoid_average_precision() -> None:
    report = score(ap="trapezoid")
    assert report.mAP == pytest.approx((1 + (1 / 2 + 2 / 3) / 2 + (2 / 5 + 3 / 6) / 2) / 3, abs=1e-12)


def test_unknown_cameras_turn_market1501_into_no_cameras() -> None:
    report = pb.evaluate_embeddings(line(0), GALLERY, [1], PIDS)
    assert report.protocol == "no_cameras"
    assert "no cameras" in report.notes[0]
    assert report.mAP == pytest.approx((1 + 1 + 3 / 4 + 4 / 7) / 4, abs=1e-12)


@pytest.mark.filterwarnings("ignore::passerby.evaluation.protocols.ScoreWarning")
def test_equal_distances_stand_in_gallery_order() -> None:
    behind = pb.evaluate_embeddings(line(0), line(1, 1), [1], [2, 1])
    ahead = pb.evaluate_embeddings(line(0), line(1, 1), [1], [1, 2])
    assert (behind.rank(1), ahead.rank(1)) == (0.0, 1.0)
    assert behind.tied == ahead.tied == 1


def test_a_query_without_a_match_is_skipped_or_counts_zero() -> None:
    arguments = (line(0, 0), GALLERY, [1, 9], PIDS, [0, 0], CAMIDS)
    skipped = pb.evaluate_embeddings(*arguments)
    assert (skipped.queries, skipped.skipped) == (1, 1)
    zero = pb.evaluate_embeddings(*arguments, empty="zero")
    assert (zero.queries, zero.skipped) == (2, 1)
    assert zero.mAP == pytest.approx(skipped.mAP / 2)


BAD = [
    ({"query_pids": [0]}, EmbeddingError, "positive"),
    ({"query_pids": [1, 2]}, EmbeddingError, "expected 1 labels"),
    ({"query_pids": [1.0]}, EmbeddingError, "integers"),
    ({"query_pids": [7]}, EmbeddingError, "no.* true match"),
    ({"query_vectors": np.array([[np.nan]], np.float32)}, EmbeddingError, "NaN"),
    ({"query_vectors": np.array([[1]])}, EmbeddingError, "floating-point"),
    ({"query_vectors": np.zeros((1, 2), np.float32)}, EmbeddingError, "dimensions"),
    ({"gallery_vectors": np.zeros((0, 1), np.float32)}, EmbeddingError, "at least one"),
    ({"protocol": "market1502"}, ConfigError, "did you mean 'market1501'"),
    ({"metric": "cosinus"}, ConfigError, "did you mean 'cosine'"),
    ({"ap": "steps"}, ConfigError, "did you mean 'step'"),
    ({"max_rank": 0}, ConfigError, "max_rank"),
    ({"rerank": {"k3": 1}}, ConfigError, "k3"),
]


@pytest.mark.parametrize(("change", "error", "message"), BAD)
def test_bad_input_is_named(change: dict, error: type[Exception], message: str) -> None:
    arguments = {
        "query_vectors": line(0), "gallery_vectors": GALLERY, "query_pids": [1], "gallery_pids": PIDS,
        "query_camids": [0], "gallery_camids": CAMIDS,
    }  # fmt: skip
    with pytest.raises(error, match=message):
        pb.evaluate_embeddings(**(arguments | change))


def test_open_set_by_hand() -> None:
    # persons 1 and 2 enrolled at 0 and 10; genuine probes 0.2, 0.3 from their own; impostors 0.1 and 4 from the nearest
    report = pb.evaluate_open_set(line(0.2, 10.3, 0.1, 6), line(0, 10), [1, 2, 8, 9], [1, 2], far=(0.5, 1.0))
    half = report.at(0.5)
    assert half.threshold == pytest.approx(4)
    assert (half.far, half.dir) == (0.5, {1: 1.0})
    assert report.at(0.0).dir == {1: 0.0}
    assert report.at(1.0).threshold == np.inf
    assert (report.genuine, report.impostors, report.skipped) == (2, 2, 0)


def test_threshold_states_what_it_was_chosen_on() -> None:
    threshold = pb.calibrate_threshold(line(0.2, 10.3, 0.1, 6), line(0, 10), [1, 2, 8, 9], [1, 2], far=0.5)
    assert threshold.value == pytest.approx(4)
    assert (threshold.far, threshold.dir, threshold.impostors, threshold.finest_far) == (0.5, 1.0, 2, 0.5)
    assert threshold.interval[0] <= threshold.value <= threshold.interval[1]
