"""Open-set figures against slow loops, and golden cases by hand."""

import itertools
import math
from typing import Literal

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import passerby as pb
from passerby.embedding.embeddings import Embeddings
from passerby.errors import ConfigError, EmbeddingError
from passerby.evaluation.open_set.calibration import calibrate_on_people
from passerby.evaluation.open_set.stream import enroll_stream
from passerby.evaluation.open_set.thresholds import camera_thresholds
from passerby.evaluation.open_set.verification import verify_pairs

World = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]
"""Vectors, persons and cameras, of probes and gallery in turn."""


def line(*places: float) -> np.ndarray:
    return np.array(places, dtype=np.float32)[:, None]


def world_of(seed: int, probes: int, images: int, people: int, cameras: int, spread: int) -> World:
    rng = np.random.default_rng(seed)
    return (
        rng.integers(-spread, spread + 1, (probes, 2)).astype(np.float32),
        rng.integers(-spread, spread + 1, (images, 2)).astype(np.float32),
        rng.integers(1, people + 3, probes),
        rng.integers(1, people + 1, images),
        rng.integers(0, cameras, probes),
        rng.integers(0, cameras, images),
    )


def slow_search(
    p: np.ndarray, g: np.ndarray, pp: np.ndarray, gp: np.ndarray, pc: np.ndarray, gc: np.ndarray
) -> list[tuple[float, float, int, str]]:
    """(nearest, own, own place, kind) of each probe."""
    rows: list[tuple[float, float, int, str]] = []
    for i in range(len(p)):
        best: dict[int, tuple[float, int]] = {}
        for j in range(len(g)):
            if gp[j] == pp[i] and gc[j] == pc[i]:
                continue
            d = math.dist(p[i].tolist(), g[j].tolist())
            if gp[j] not in best or (d, j) < best[gp[j]]:
                best[gp[j]] = (d, j)
        order = sorted(best, key=lambda pid: best[pid])
        nearest = best[order[0]][0] if order else math.inf
        if pp[i] not in set(gp.tolist()):
            rows.append((nearest, math.inf, 0, "impostor"))
        elif pp[i] not in best:
            rows.append((nearest, math.inf, 0, "skipped"))
        else:
            rows.append((nearest, best[pp[i]][0], order.index(pp[i]) + 1, "genuine"))
    return rows


@settings(max_examples=120, deadline=None)
@given(
    st.builds(world_of, st.integers(0, 2**32 - 1), st.integers(1, 12), st.integers(1, 15), st.integers(1, 5),
              st.integers(1, 3), st.integers(0, 3)),
    st.sampled_from([0.0, 0.1, 0.25, 0.29, 0.5, 1.0]),
)  # fmt: skip
@example(world_of(416123850, 2, 10, 3, 2, 1), 0.0)  # somebody nearer has another image as far away as the own one
def test_rates_equal_the_slow_loop(world: World, far: float) -> None:
    rows = slow_search(*world)
    report = pb.evaluate_open_set(*world, far=(far,), ranks=(1, 2))
    impostors = sorted(r[0] for r in rows if r[3] == "impostor")
    genuine = [r for r in rows if r[3] == "genuine"]
    assert report.genuine == len(genuine)
    assert report.impostors == len(impostors)
    assert report.skipped == len(rows) - len(genuine) - len(impostors)
    allowed = next(k for k in range(len(impostors), -1, -1) if k <= far * len(impostors) + 1e-9)
    threshold = impostors[allowed] if allowed < len(impostors) else math.inf
    point = report.at(far)
    assert point.threshold == pytest.approx(threshold)
    if impostors:
        assert point.far == pytest.approx(sum(d < threshold for d in impostors) / len(impostors))
        assert point.far <= far + 1e-9
    else:
        assert math.isnan(point.far)
    for rank in (1, 2):
        if genuine:
            hits = sum(own < threshold and place <= rank for _, own, place, _ in genuine)
            assert point.dir[rank] == pytest.approx(hits / len(genuine))


def test_the_curve_passes_through_the_points() -> None:
    world = world_of(1, 60, 40, 6, 2, 9)
    report = pb.evaluate_open_set(*world)
    far, rate, threshold = report.curve()
    for wanted in (0.1, 0.3, 1.0):
        point = report.at(wanted)
        at = np.flatnonzero(threshold == point.threshold)[0]
        assert (far[at], rate[at]) == (pytest.approx(point.far), pytest.approx(point.dir[1]))


def test_people_of_no_number_are_different_people() -> None:
    """Impostors by 0 or -1 are impostors like others, and distractors are enrolled people like others."""
    rng = np.random.default_rng(5)
    gallery, probes = rng.normal(size=(12, 4)), rng.normal(size=(20, 4))
    enrolled, asked = np.array([1, 1, 2, 2, 3, 3, 0, 0, 0, 0, -1, -1]), np.tile([1, 2, 3, 8, 9], 4)
    numbered = np.where(enrolled == 0, np.arange(100, 112), enrolled)
    expected = pb.evaluate_open_set(probes, gallery, asked, numbered, ranks=(1, 2, 5))
    assert (expected.genuine, expected.impostors, expected.identities) == (12, 8, 7)
    found = pb.evaluate_open_set(probes, gallery, asked, enrolled, ranks=(1, 2, 5))
    assert found.to_dict() == expected.to_dict()
    nameless = np.where(asked == 8, -1, asked)
    assert pb.evaluate_open_set(probes, gallery, nameless, enrolled, ranks=(1, 2, 5)).to_dict() == expected.to_dict()
    some = enrolled > 0
    strangers = pb.evaluate_open_set(probes, gallery[some], np.where(asked > 3, 0, asked), enrolled[some])
    assert strangers.to_dict() == pb.evaluate_open_set(probes, gallery[some], asked, enrolled[some]).to_dict()


def test_nobody_on_both_sides_is_refused() -> None:
    """0 is a distractor; whoever counts people from 0 means somebody by it."""
    for ask in (pb.evaluate_open_set, pb.calibrate_threshold, verify_pairs):
        with pytest.raises(EmbeddingError, match=r"_pids: row 1 is 0, and so are 2 gallery images; ids below 1"):
            ask(line(0, 5, 9), line(1, 2, 3), [1, 0, 2], [0, 0, 1])
    with pytest.raises(EmbeddingError, match="row 0 is -1, and so are 1 gallery images"):
        pb.evaluate_open_set(line(0, 5), line(1, 2), [-1, 2], [-1, 1], junk_pids=())
    query, gallery = people_of()
    from_zero = [Embeddings(one.vectors, one.pids - 1, one.camids) for one in (query, gallery)]
    with pytest.raises(EmbeddingError, match="ids below 1 are nobody"):
        calibrate_on_people(*from_zero, far=0.05)


def test_a_rate_finer_than_the_impostors_is_said() -> None:
    report = pb.evaluate_open_set(line(0, 5), line(1), [1, 9], [1], far=(0.01,))
    assert report.finest_far == 1.0
    assert "finer than" in report.notes[0]
    assert "note: a FAR" in str(report)
    with pytest.raises(EmbeddingError, match="between 0 and 1"):
        report.at(1.5)


def test_without_impostors_no_rate_and_no_threshold() -> None:
    report = pb.evaluate_open_set(line(0), line(1), [1], [1])
    assert math.isnan(report.at(0.1).far)
    assert report.at(0.1).threshold == math.inf
    assert "FAR expected" not in str(report)
    with pytest.raises(EmbeddingError, match="at least one false accept rate"):
        pb.evaluate_open_set(line(0), line(1), [1], [1], far=())
    with pytest.raises(EmbeddingError, match="no impostor"):
        pb.calibrate_threshold(line(0), line(1), [1], [1])


def people_of(
    seed: int = 0, people: int = 60, cameras: int = 3, shots: int = 3, dim: int = 16, noise: float = 0.6
) -> tuple[Embeddings, Embeddings]:
    rng = np.random.default_rng(seed)
    pids = np.repeat(np.arange(1, people + 1), cameras * shots)
    camids = np.tile(np.repeat(np.arange(cameras), shots), people)
    centers = rng.standard_normal((people + 1, dim))
    vectors = (centers[pids] + noise * rng.standard_normal((len(pids), dim))).astype(np.float32)
    every = Embeddings(vectors, pids, camids)
    first = np.tile(np.arange(shots) == 0, people * cameras)
    return every.select(first), every.select(~first)


def test_calibration_holds_on_people_it_never_saw() -> None:
    threshold = calibrate_on_people(*people_of(0), far=0.05)
    assert threshold.impostors == 60 * 9  # each person is a stranger once, with all nine images
    assert threshold.far <= 0.05
    low, high = threshold.interval
    assert low < threshold.value < high
    query, gallery = people_of(1)
    known = gallery.select(gallery.pids <= 30)
    fresh = pb.evaluate_open_set(query.vectors, known.vectors, query.pids, known.pids, query.camids, known.camids)
    far = (fresh.scores.nearest[fresh.scores.impostor] < threshold.value).mean()
    assert 0.01 < far < 0.13  # 90 impostors
    assert str(threshold).startswith("accept below")
    points = threshold.to_dict()["curve"]
    assert all(a["far"] <= b["far"] and a["dir"] <= b["dir"] for a, b in itertools.pairwise(points))


def test_thresholds_by_camera_where_the_data_allow() -> None:
    query, gallery = people_of()
    query = query.select((query.camids != 2) | (query.pids < 35))  # too few strangers on camera 2
    known = gallery.select(gallery.pids <= 30)
    report = pb.evaluate_open_set(query.vectors, known.vectors, query.pids, known.pids, query.camids, known.camids)
    found = camera_thresholds(report.scores, query.pids, query.camids, report.identities, far=0.05, metric="euclidean")
    assert sorted(found) == [0, 1]
    here = query.camids == 1
    single = pb.calibrate_threshold(
        query.vectors[here], known.vectors, query.pids[here], known.pids, query.camids[here], known.camids, far=0.05
    )
    assert found[1] == single


@pytest.mark.parametrize("name", ["z", "adaptive_s"])
def test_normalization_by_the_formula(name: Literal["z", "adaptive_s"]) -> None:
    rng = np.random.default_rng(0)
    probe, gallery, cohort = (rng.standard_normal((n, 4)).astype(np.float32) for n in (5, 6, 20))
    report = pb.evaluate_open_set(
        probe, gallery, [1, 2, 3, 8, 9], [1, 2, 3, 4, 5, 6], normalization=name, cohort_vectors=cohort, cohort_size=7
    )

    def figures(x: np.ndarray) -> tuple[float, float]:
        distances = sorted(math.dist(x.tolist(), c.tolist()) for c in cohort)
        used = distances if name == "z" else distances[:7]
        mean = sum(used) / len(used)
        return mean, math.sqrt(sum((d - mean) ** 2 for d in used) / (len(used) - 1))

    for i, p in enumerate(probe):
        values = []
        for g in gallery:
            d = math.dist(p.tolist(), g.tolist())
            mean, spread = figures(g)
            value = (d - mean) / spread
            if name == "adaptive_s":
                mean, spread = figures(p)
                value = (value + (d - mean) / spread) / 2
            values.append(value)
        assert report.scores.nearest[i] == pytest.approx(min(values), rel=1e-5)


def test_normalization_makes_one_threshold_fit_two_cameras() -> None:
    # camera 1's images lie ten times as far apart as camera 0's: people, probes and cohort alike
    rng = np.random.default_rng(2)
    scale = np.repeat([1.0, 10.0], 100)
    centers = rng.standard_normal((200, 8)) * scale[:, None] + np.repeat([0.0, 1000.0], 100)[:, None]
    probe = (centers + 0.5 * rng.standard_normal(centers.shape) * scale[:, None]).astype(np.float32)
    pids = np.arange(1, 201)
    cohort = (rng.standard_normal((400, 8)) * np.repeat(scale, 2)[:, None]
              + np.repeat([0.0, 1000.0], 200)[:, None]).astype(np.float32)  # fmt: skip
    known = pids % 2 == 0
    arguments = (probe, centers[known].astype(np.float32), pids, pids[known])
    plain = pb.evaluate_open_set(*arguments, far=(0.05,)).points[0]
    fair = pb.evaluate_open_set(
        *arguments, far=(0.05,), normalization="adaptive_s", cohort_vectors=cohort, cohort_size=50
    ).points[0]
    assert fair.dir[1] > plain.dir[1] + 0.1


def test_normalization_that_makes_no_sense_is_refused() -> None:
    arguments = (line(0), line(1), [1], [1])
    with pytest.raises(ConfigError, match="needs cohort_vectors"):
        pb.evaluate_open_set(*arguments, normalization="z")
    with pytest.raises(ConfigError, match="say how"):
        pb.evaluate_open_set(*arguments, cohort_vectors=line(1, 2))
    with pytest.raises(ConfigError, match="adaptive_s"):
        pb.evaluate_open_set(*arguments, normalization="adaptiv", cohort_vectors=line(1, 2))
    with pytest.raises(EmbeddingError, match="at least 2"):
        pb.evaluate_open_set(*arguments, normalization="z", cohort_vectors=line(1))


def test_stream_by_hand() -> None:
    # persons 1, 1, 2, 1, 3: 0.5 is near 0; 5 is new; 4.2 is nearer to 5, a confusion; 9 is new
    report = enroll_stream(line(0, 0.5, 5, 4.2, 9), [1, 1, 2, 1, 3], threshold=1.0)
    assert report.assigned.tolist() == [0, 0, 1, 1, 2]
    assert report.new.tolist() == [True, False, True, False, True]
    assert (report.recognised, report.confused, report.missed, report.novel) == (0.5, 0.5, 0.0, 1.0)
    assert (report.identities, report.people) == (3, 3)
    strict = enroll_stream(line(0, 1), [1, 1], threshold=1.0)
    assert strict.new.tolist() == [True, True]
    assert strict.missed == 1.0
    chain = enroll_stream(line(0, 0.8, 1.6), [1, 1, 1], threshold=1.0, add_accepted=True)
    assert chain.assigned.tolist() == [0, 0, 0]
    assert enroll_stream(line(0, 0.8, 1.6), [1, 1, 1], threshold=1.0).assigned.tolist() == [0, 0, 1]
    assert "became 3 identities" in str(report)


def test_verification_by_hand() -> None:
    # genuine pairs at 1 and 4; impostor pairs at 2, 3, 6, 7
    report = verify_pairs(line(0, 10), line(1, 3, 6), [1, 2], [1, 3, 2], fpr=(0.0, 0.25, 0.5, 1.0))
    distances = {"genuine": [1, 4], "impostor": sorted([3, 6, 9, 7])}
    assert (report.genuine, report.impostor) == (2, 4)
    for rate, tpr, achieved, threshold in zip(report.fpr, report.tpr, report.achieved, report.thresholds, strict=True):
        allowed = int(rate * 4)
        assert threshold == (distances["impostor"][allowed] if allowed < 4 else math.inf)
        assert tpr == sum(d < threshold for d in distances["genuine"]) / 2
        assert achieved == allowed / 4
    with pytest.raises(EmbeddingError, match="both kinds"):
        verify_pairs(line(0), line(1), [1], [1])


def test_people_and_cameras_may_be_called_by_names() -> None:
    rng = np.random.default_rng(0)
    query, gallery = rng.normal(size=(4, 8)), rng.normal(size=(6, 8))
    names, cameras = np.array(["ann", "bob", "cem", "dee"]), np.array(["hall", "gate"])
    asked, there = [0, 1, 0, 3], [0, 1, 0, 2, 1, 0]
    seen, kept = [0, 1, 0, 1], [1, 0, 1, 0, 1, 0]
    for function, number in ((pb.evaluate_open_set, [9, 7, 5, 3]), (pb.calibrate_threshold, [1, 2, 3, 4])):
        numbers = np.array(number)
        by_name = function(query, gallery, names[asked], list(names[there]), cameras[seen], cameras[kept])
        by_number = function(query, gallery, numbers[asked], numbers[there], seen, kept)
        assert str(by_name) == str(by_number)
    closed = [0, 1, 0, 2]
    report = pb.evaluate_embeddings(query, gallery, names[closed], names[there])
    assert report.mAP == pb.evaluate_embeddings(query, gallery, [1, 2, 1, 3], np.array([1, 2, 3])[there]).mAP
