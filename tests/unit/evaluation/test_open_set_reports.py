"""Open-set results as text and JSON: what is claimed of few impostors, and arguments of another type."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import passerby as pb
from passerby.errors import ConfigError, EmbeddingError
from passerby.evaluation.open_set.stream import enroll_stream
from passerby.evaluation.open_set.verification import verify_pairs

DRAW = np.random.default_rng(0)
GALLERY = DRAW.standard_normal((8, 4)).astype(np.float32)
PROBES = DRAW.standard_normal((12, 4)).astype(np.float32)
KNOWN = np.arange(8) + 1


def impostors(count: int, people: int = 100) -> tuple[Any, ...]:
    """Eight genuine probes and so many impostors, of so many people."""
    pids = np.concatenate([KNOWN, 100 + np.arange(count) % people])
    return PROBES[: 8 + count], GALLERY, pids, KNOWN


@pytest.mark.parametrize("count", [0, 1, 3])
@pytest.mark.parametrize("far", [(0.01,), (1.0,), (0.0, 0.5, 1.0)])
def test_json_is_strict(count: int, far: tuple[float, ...]) -> None:
    report = pb.evaluate_open_set(*impostors(count), far=far)
    content = json.loads(report.to_json(), parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    json.dumps(report.to_dict(), allow_nan=False)
    assert content["points"][-1]["threshold"] is None or count
    assert content["finest_far"] == (1 / count if count else None)


def test_no_rate_among_more_people_is_claimed_where_no_impostor_was_accepted() -> None:
    report = pb.evaluate_open_set(*impostors(1), far=(0.01, 0.5))
    text = str(report)
    assert "people enrolled\n" not in text
    assert text.count("not known, as it accepts none of the 1 impostors here") == 2
    assert [point["expected_far"] for point in report.to_dict()["points"]] == [[], []]
    some = pb.evaluate_open_set(*impostors(4), far=0.5)
    assert "with 300 people enrolled" in str(some)
    assert len(some.to_dict()["points"][0]["expected_far"]) == 4


def test_an_interval_of_one_impostor_alone_is_none() -> None:
    one = pb.calibrate_threshold(*impostors(4, people=1), far=0.25)
    assert "no interval: one impostor alone" in str(one)
    assert one.to_dict()["interval"] == [None, None]
    several = pb.calibrate_threshold(*impostors(4), far=0.25)
    assert "95 % of resamples" in str(several)
    assert several.to_dict()["interval"] == list(several.interval)


def test_one_rate_and_one_rank_need_no_tuple() -> None:
    one = pb.evaluate_open_set(*impostors(4), far=0.25, ranks=2)
    several = pb.evaluate_open_set(*impostors(4), far=(0.25,), ranks=(2,))
    assert one.to_dict() == several.to_dict()
    assert one.ranks == (2,)
    assert verify_pairs(*impostors(4), fpr=0.1).to_dict() == verify_pairs(*impostors(4), fpr=(0.1,)).to_dict()
    assert pb.evaluate_open_set(*impostors(4), far=np.array([0.1, 0.25]).tolist()).points[1].target == 0.25


WRONG: dict[str, tuple[Callable[[], object], type[Exception], str]] = {
    "far": (lambda: evaluate(far="x"), EmbeddingError, "far: expected shares between 0 and 1, found 'x'"),
    "far in a list": (lambda: evaluate(far=[None]), EmbeddingError, "far: expected shares .* found None"),
    "no far": (lambda: evaluate(far=()), EmbeddingError, "far: expected at least one false accept rate, found none"),
    "ranks": (lambda: evaluate(ranks="x"), EmbeddingError, "ranks: expected a whole number, at least 1, found 'x'"),
    "half a rank": (lambda: evaluate(ranks=1.5), EmbeddingError, "ranks: expected a whole number"),
    "no rank": (lambda: evaluate(ranks=()), EmbeddingError, "ranks: expected at least one rank"),
    "metric": (lambda: evaluate(metric=["cosine"]), ConfigError, "unknown metric"),
    "junk": (lambda: evaluate(junk_pids="x"), EmbeddingError, "junk_pids: expected whole numbers, found 'x'"),
    "cohort": (
        lambda: evaluate(normalization="adaptive_s", cohort_vectors=GALLERY, cohort_size="x"),
        EmbeddingError,
        "cohort_size: expected a whole number",
    ),
    "at": (lambda: pb.evaluate_open_set(*impostors(4)).at(None), EmbeddingError, "far: expected"),  # type: ignore[arg-type]
    "curve": (lambda: pb.evaluate_open_set(*impostors(4)).curve("x"), EmbeddingError, "rank: expected"),  # type: ignore[arg-type]
    "threshold's far": (lambda: calibrate(far="x"), EmbeddingError, "far: expected"),
    "confidence": (lambda: calibrate(confidence=95), ConfigError, "confidence: expected a share .* found 95"),
    "resamples": (lambda: calibrate(resamples=-1), ConfigError, "resamples: expected a whole number"),
    "seed": (lambda: calibrate(seed="x"), ConfigError, "seed: expected a whole number"),
    "fpr": (lambda: verify_pairs(*impostors(4), fpr="x"), EmbeddingError, "fpr: expected shares"),  # type: ignore[arg-type]
    "stream": (lambda: enroll_stream(GALLERY, KNOWN, threshold="x"), EmbeddingError, "threshold: expected"),  # type: ignore[arg-type]
}


def evaluate(**arguments: Any) -> object:
    return pb.evaluate_open_set(*impostors(4), **arguments)


def calibrate(**arguments: Any) -> object:
    return pb.calibrate_threshold(*impostors(4), **arguments)


@pytest.mark.parametrize("case", WRONG)
def test_another_type_is_one_clear_error(case: str) -> None:
    ask, error, message = WRONG[case]
    with pytest.raises(error, match=message):
        ask()


def test_every_result_is_strict_json() -> None:
    stream = enroll_stream(GALLERY[:1], KNOWN[:1], threshold=np.inf)  # nobody comes twice
    pairs = verify_pairs(*impostors(4), fpr=1.0)
    for result in (stream, pairs):
        json.dumps(result.to_dict(), allow_nan=False)
    assert stream.to_dict()["recognised"] is None
    assert pairs.to_dict()["thresholds"] == [None]
