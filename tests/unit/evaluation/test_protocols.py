"""Hand-worked cases of every closed-set protocol."""

import json
from typing import Any

import numpy as np
import pytest

import passerby as pb
from passerby.errors import ConfigError, EmbeddingError
from passerby.evaluation.closed_set.result import ScoreWarning


def line(*places: float) -> np.ndarray:
    """Points on a line: distances are plain differences."""
    return np.array(places, dtype=np.float32)[:, None]


# One query (person 1, camera 0) at 0; gallery from near to far: hits at kept places 1, 3 and 6.
GALLERY = line(0.5, 1, 1.5, 2, 3, 4, 5, 6, 7)
PIDS = [1, 1, -1, 2, 1, 0, 3, 1, 2]
CAMIDS = [0, 1, 1, 1, 1, 1, 0, 2, 1]


def score(**arguments: Any) -> pb.Report:
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


@pytest.mark.filterwarnings("ignore::passerby.evaluation.closed_set.result.ScoreWarning")
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


@pytest.mark.parametrize("protocol", ["market1501", "cuhk03", "single_shot", "all_shots", "multi_query", "no_cameras"])
def test_where_no_query_has_a_match_all_figures_are_zero_and_a_warning_says_why(protocol: str) -> None:
    arguments = (line(0, 0), GALLERY, [8, 9], PIDS, [0, 0], CAMIDS)
    with pytest.raises(EmbeddingError, match="none of the 2 queries has a true match"):
        pb.evaluate_embeddings(*arguments, protocol=protocol)
    with pytest.warns(ScoreWarning, match="none of the 2 queries has a true match"):
        zero = pb.evaluate_embeddings(*arguments, protocol=protocol, empty="zero")
    assert (zero.mAP, zero.mINP, zero.rank(1), zero.rank(20)) == (0, 0, 0, 0)
    assert (zero.queries, zero.skipped) == (2, 2)
    assert sum("check that person ids agree" in note for note in zero.notes) == 1


@pytest.mark.parametrize("protocol", ["cuhk03", "single_shot"])
def test_one_draw_claims_no_spread(protocol: str) -> None:
    one = pb.evaluate_embeddings(*SHOTS, protocol=protocol, repeats=1)
    assert (one.repeats, one.std) == (1, {})
    assert "±" not in str(one)
    assert "one random draw, without a standard deviation, of the gallery, seed 0" in one.notes
    two = pb.evaluate_embeddings(*SHOTS, protocol=protocol, repeats=2)
    assert "±" in str(two)


def test_one_split_claims_no_spread() -> None:
    one = pb.average_splits([score()])
    assert (one.repeats, one.std) == (1, {})
    assert "±" not in str(one)
    assert one.notes[-1] == "one split alone, without a standard deviation"
    assert "± is the standard deviation" in str(pb.average_splits([score(), score()]))


@pytest.mark.parametrize("wrong", ["x", [1], [None], 5])
def test_splits_are_reports(wrong: Any) -> None:
    with pytest.raises(
        EmbeddingError, match=r"average_splits: expected (a list of )?reports, found (str|int|NoneType)"
    ):
        pb.average_splits(wrong)


@pytest.mark.parametrize("wrong", ["x", None, 1.5, 0])
def test_a_rank_is_a_whole_number(wrong: Any) -> None:
    with pytest.raises(EmbeddingError, match="rank: expected k of 1 or more"):
        score().rank(wrong)


BAD = [
    ({"junk_pids": "x"}, ConfigError, "junk_pids"),
    ({"device": 2.5}, ConfigError, "device 2.5 cannot be used here"),
    ({"query_weights": "x", "protocol": "multi_query"}, EmbeddingError, "query_weights: expected 1 numbers, found str"),
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


def test_query_and_gallery_in_exchanged_places_are_pointed_out() -> None:
    """Distractors among the queries and none in the gallery; not where the gallery has some, too."""
    vectors, pids = line(0, 1, 2, 3), [1, 2, 0, -1]
    hint = r"; the gallery of 2 has none, the 4 queries have 2: are query and gallery exchanged\?"
    with pytest.raises(EmbeddingError, match=hint):
        pb.evaluate_embeddings(vectors, line(0, 1), pids, [1, 2])
    with pytest.raises(EmbeddingError, match="queries need positive person ids") as refused:
        pb.evaluate_embeddings(vectors, line(0, 1), pids, [1, 0])
    assert "exchanged" not in str(refused.value)


@pytest.mark.parametrize(("change", "error", "message"), BAD)
def test_bad_input_is_named(change: dict[str, Any], error: type[Exception], message: str) -> None:
    arguments: dict[str, Any] = {
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


def test_multi_shot_leaves_out_the_whole_camera() -> None:
    report = score(exclude="same_camera")
    # kept, near to far: 1, 2, 1, 0, 1, 2 (two images of camera 0 and one junk image gone)
    assert report.per_query.kept.tolist() == [6]
    assert report.mAP == pytest.approx((1 + 2 / 3 + 3 / 5) / 3, abs=1e-12)


def test_all_shots_scores_each_match_as_if_alone() -> None:
    report = score(protocol="all_shots", max_rank=5)
    # matches at places 1, 3, 6 with 0, 1, 2 matches ahead: ranks 1, 2, 4, a third each
    assert report.cmc.tolist() == pytest.approx([1 / 3, 2 / 3, 2 / 3, 1, 1])
    assert report.mAP == pytest.approx((1 + 2 / 3 + 3 / 6) / 3, abs=1e-12)


# One query of person 1; person 1 has images at 1 and 3, person 2 at 0 and 2, person 3 at 2.5, all from another camera.
SHOTS = (line(0), line(1, 3, 0, 2, 2.5, 0.1), [1], [1, 1, 2, 2, 3, 4], [0], [1, 1, 1, 1, 1, 0])


def test_cuhk03_expectation_by_hand() -> None:
    report = pb.evaluate_embeddings(*SHOTS, protocol="cuhk03", max_rank=4)
    # own image at 1: person 2 nearer with chance 1/2, person 3 never -> rank 1 or 2, half each
    # own image at 3: persons 2 and 3 always nearer -> rank 3; person 4 is of the query's camera
    assert report.cmc.tolist() == pytest.approx([0.25, 0.5, 1.0, 1.0])
    assert report.mAP == pytest.approx(0.25 * 1 + 0.25 / 2 + 0.5 / 3)
    assert report.repeats is None
    assert any("exact expectation" in note for note in report.notes)


def test_cuhk03_repeats_approach_the_expectation() -> None:
    exact = pb.evaluate_embeddings(*SHOTS, protocol="cuhk03", ap="trapezoid")
    drawn = pb.evaluate_embeddings(*SHOTS, protocol="cuhk03", ap="trapezoid", repeats=4000, seed=1)
    assert drawn.repeats == 4000
    for name in ("mAP", "mINP"):
        assert getattr(drawn, name) == pytest.approx(getattr(exact, name), abs=5 * drawn.std[name] / 4000**0.5)
    assert drawn.rank(1) == pytest.approx(exact.rank(1), abs=5 * drawn.std["rank-1"] / 4000**0.5)
    assert drawn.std["rank-1"] == pytest.approx((0.25 * 0.75) ** 0.5, rel=0.05)


def test_cuhk03_ranks_only_strictly_nearer_people() -> None:
    report = pb.evaluate_embeddings(line(0), line(1, 1, 1), [1], [2, 1, 3], protocol="cuhk03")
    assert report.rank(1) == 1.0


def test_single_shot_draws_one_image_of_each_person_and_keeps_distractors() -> None:
    gallery, pids = line(1, 3, 2, 0.5), [1, 1, 2, 0]
    report = pb.evaluate_embeddings(line(0), gallery, [1], pids, protocol="single_shot", repeats=400)
    # the distractor is always ahead; own image at 1: rank 2; at 3: person 2 is ahead too, rank 3
    assert report.cmc[:3].tolist() == pytest.approx([0, 0.5, 1], abs=0.12)
    assert (report.repeats, report.distractors) == (400, 1)
    assert report.std["rank-5"] == 0.0
    assert report.mAP == pytest.approx((1 / 2 + 1 / 3) / 2, abs=0.02)


def test_single_shot_needs_no_repeats_where_there_is_nothing_to_draw() -> None:
    report = pb.evaluate_embeddings(line(0), line(1, 2), [1], [1, 2], protocol="single_shot")
    assert report.repeats is None
    assert report.std == {}


@pytest.mark.parametrize(
    ("pooling", "first"),
    [("mean", 2), ("max", 1), ("min_distance", 1)],
)
def test_multi_query_pooling(pooling: str, first: int) -> None:
    # queries of person 1, camera 0, at 0 and 4: mean 2, maximum 4; gallery: the person at 4.5, somebody else at 2
    report = pb.evaluate_embeddings(
        line(0, 4), line(4.5, 2), [1, 1], [1, 2], [0, 0], [1, 1], protocol="multi_query", pooling=pooling
    )
    assert report.queries == 1
    assert report.per_query.first_rank.tolist() == [first]
    assert any("2 query images pooled" in note for note in report.notes)


def test_video_pools_tracklets() -> None:
    report = pb.evaluate_embeddings(
        line(0, 2, 9), line(-4, 5, 0.9, 1.1, 8), [1, 1, 2], [2, 1, 1, 1, 2], [0, 0, 0], [1, 1, 1, 1, 1],
        protocol="video", query_tracklets=[7, 7, -1], gallery_tracklets=[-1, -1, 3, 3, -1],
    )  # fmt: skip
    # query tracklets at 1 (person 1) and 9 (2); gallery at -4 (2), 5 (1), 1.0 (1), 8 (2)
    assert report.queries == 2
    assert report.gallery == 4
    assert report.per_query.ap.tolist() == pytest.approx([1.0, (1 + 2 / 4) / 2])


def test_a_tracklet_of_two_people_is_refused() -> None:
    with pytest.raises(EmbeddingError, match="tracklet 3 holds person"):
        pb.evaluate_embeddings(
            line(0), line(1, 2), [1], [1, 2], [0], [1, 1], protocol="video", gallery_tracklets=[3, 3]
        )


def test_unknown_cameras_among_known_ones_are_never_left_out() -> None:
    report = pb.evaluate_embeddings(line(0), line(1, 2), [1], [1, 1], [0], [-1, 0])
    assert report.per_query.matches.tolist() == [1]
    assert any("1 images do not name their camera" in note for note in report.notes)


def test_report_prints_and_turns_into_json() -> None:
    report = score()
    text = str(report)
    assert "0.7222" in text
    assert "1 queries (0 skipped)" in text
    assert "step AP" in text
    content = json.loads(report.to_json(per_query=True))
    assert content["mAP"] == report.mAP
    assert content["per_query"][0]["first_rank"] == 1
    assert "per_query" not in report.to_dict()
    assert report.rank(10**6) == report.cmc[-1]


def test_identity_open_set_rank_counts_people_not_images() -> None:
    # the probe's own person is third as an image but second as a person
    report = pb.evaluate_open_set(line(0, 9), line(1, 1.5, 2), [1, 5], [2, 2, 1], ranks=(1, 2))
    assert report.at(1.0).dir == {1: 0.0, 2: 1.0}
