"""Intervals, paired tests and camera tables against values that can be worked out."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import passerby as pb
from passerby.errors import ConfigError, EmbeddingError
from passerby.evaluation.closed_set.camera_pairs import evaluate_camera_pairs
from passerby.evaluation.closed_set.statistics import compare_reports, intervals
from passerby.experiments.compare.comparison_table import _behind
from passerby.report.sections.scores import _with_intervals


def reports(noise: tuple[float, ...], queries: int = 300) -> list[pb.Report]:
    """Reports of models that differ in noise, on the same queries."""
    rng = np.random.default_rng(3)
    pids = np.arange(queries) // 3 + 1
    centers = rng.standard_normal((pids.max() + 1, 16))
    clean = centers[pids]
    parts = [rng.standard_normal(clean.shape) for _ in range(2)]
    return [
        pb.evaluate_embeddings((clean + s * parts[0]).astype(np.float32), (clean + s * parts[1]).astype(np.float32),
                               pids, pids)
        for s in noise
    ]  # fmt: skip


def test_interval_of_a_mean_is_about_two_standard_errors() -> None:
    (report,) = reports((1.0,))
    found = intervals(report)["mAP"]
    error = report.per_query.ap.std() / np.sqrt(len(report.per_query))
    assert found.value == pytest.approx(report.mAP)
    assert found.high - found.low == pytest.approx(2 * 1.96 * error, rel=0.1)
    assert found.low < report.mAP < found.high
    assert str(found).startswith("mAP 0.")


def test_drawing_identities_widens_the_interval() -> None:
    (report,) = reports((1.0,))
    query, identity = (intervals(report, unit=unit)["mAP"] for unit in ("query", "identity"))
    assert identity.high - identity.low > query.high - query.low


def test_a_better_model_is_found_and_an_equal_one_is_not() -> None:
    good, bad = reports((0.8, 1.2))
    found = compare_reports(good, bad)
    assert found.difference == pytest.approx(good.mAP - bad.mAP)
    assert found.low > 0
    assert found.p_value == pytest.approx(1 / 2001)
    same = compare_reports(good, good)
    assert (same.difference, same.p_value, same.better, same.worse) == (0.0, 1.0, 0, 0)


def test_p_values_of_equal_models_are_uniform() -> None:
    rng = np.random.default_rng(0)
    (report,) = reports((1.0,), queries=60)
    values = []
    for seed in range(200):
        swap = rng.permutation(60)[:30]
        first, second = report.per_query.ap.copy(), rng.permutation(report.per_query.ap)
        first[swap], second[swap] = second[swap], first[swap]
        a, b = (_with_ap(report, ap) for ap in (first, second))
        values.append(compare_reports(a, b, resamples=300, seed=seed).p_value)
    assert np.mean(values) == pytest.approx(0.5, abs=0.08)
    assert np.mean(np.array(values) < 0.1) == pytest.approx(0.1, abs=0.06)


def _with_ap(report: pb.Report, ap: np.ndarray) -> pb.Report:
    return replace(report, per_query=replace(report.per_query, ap=ap))


def test_reports_that_cannot_be_compared_are_refused() -> None:
    (first,) = reports((1.0,))
    (second,) = reports((1.0,), queries=150)
    with pytest.raises(EmbeddingError, match="same queries"):
        compare_reports(first, second)
    with pytest.raises(ConfigError, match="mAP"):
        compare_reports(first, first, figure="map")
    with pytest.raises(ConfigError, match="unit"):
        intervals(first, unit="person")


def test_nothing_is_claimed_of_one_identity_or_query() -> None:
    (report,) = reports((1.0,))
    pids = np.ones_like(report.per_query.pid)
    one = replace(report, per_query=replace(report.per_query, pid=pids))
    found = intervals(one, unit="identity")["mAP"]
    assert np.isnan([found.low, found.high]).all()
    assert str(found) == f"mAP {found.value:.4f} (no interval: there is one identity alone)"
    assert intervals(one, figures="mAP")["mAP"].low < found.value
    test = compare_reports(one, one, unit="identity")
    assert "no interval: there is one identity alone" in str(test)
    assert test.p_value == 1
    assert json.loads(json.dumps(test.to_dict(), allow_nan=False))["low"] is None
    assert _with_intervals(one)["mAP, interval"] == "none: one person alone"
    assert "(" not in _behind(test)


@pytest.mark.parametrize(
    "wrong",
    [{"confidence": 95}, {"confidence": "x"}, {"resamples": 2.5}, {"seed": -1}, {"figures": 5}, {"unit": None}],
    ids=str,
)
def test_what_no_interval_can_be_drawn_by_is_refused(wrong: dict[str, Any]) -> None:
    (report,) = reports((1.0,))
    with pytest.raises(ConfigError, match=next(iter(wrong)).removesuffix("s")):
        intervals(report, **wrong)
    with pytest.raises(ConfigError, match="expected a report, found str"):
        intervals("x")  # type: ignore[arg-type]


def test_camera_pairs_by_hand() -> None:
    def line(*places: float) -> np.ndarray:
        return np.array(places, dtype=np.float32)[:, None]

    table = evaluate_camera_pairs(line(0, 10), line(1, 2, 9, 8.5, 0), [1, 2], [2, 1, 2, 1, 1], [0, 1], [1, 1, 2, 2, 0])
    assert table.query_cameras.tolist() == [0, 1]
    assert table.gallery_cameras.tolist() == [0, 1, 2]
    # person 1 of camera 0: among camera 1's images (2 at 1, 1 at 2) second; among camera 2's (1 at 8.5, 2 at 9) first
    np.testing.assert_allclose(table.mAP, [[np.nan, 0.5, 1.0], [np.nan, np.nan, 1.0]])
    np.testing.assert_allclose(table.rank1, [[np.nan, 0.0, 1.0], [np.nan, np.nan, 1.0]])
    assert table.queries.tolist() == [[0, 1, 1], [0, 0, 1]]
    assert "to 2" in str(table)
    assert table.to_dict()["mAP"][0][0] is None
