"""What `calibrate` keeps beside the threshold, old threshold files, and a stream that must not run away."""

import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import passerby as pb
from passerby.embedding.embeddings import Embeddings
from passerby.errors import EmbeddingError
from passerby.evaluation.open_set.calibration import (
    calibrate_on_people,
    describe_calibration,
    laws_of_people,
)
from passerby.evaluation.open_set.encoder_impostor_laws import LAWS, stored_laws
from passerby.evaluation.open_set.error_rates import SIZES, far_at_size
from passerby.evaluation.open_set.impostor_distances import impostor_distances
from passerby.evaluation.open_set.impostor_fit import fit_impostor_law
from passerby.evaluation.open_set.nearest_identities import LabelledVectors

OLD = {"value": 0.84, "far": 0.0625, "target": 0.1, "identities": 20, "metric": "euclidean"}  # as 0.1 wrote


def people_of(
    seed: int, people: int, *, shots: int = 2, cameras: int = 3, dim: int = 16, noise: float = 0.5
) -> tuple[Embeddings, Embeddings]:
    rng = np.random.default_rng(seed)
    pids = np.repeat(np.arange(1, people + 1), shots * cameras)
    centers = rng.standard_normal((people + 1, dim))
    vectors = centers[pids] + noise * rng.standard_normal((len(pids), dim))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    every = Embeddings(vectors.astype(np.float32), pids, np.tile(np.repeat(np.arange(cameras), shots), people))
    first = np.arange(len(pids)) % shots == 0
    return every.select(first), every.select(~first)


def test_laws_of_both_kinds_are_kept_as_json() -> None:
    query, gallery = people_of(0, 40)
    laws = laws_of_people(query, gallery)
    content = json.loads(json.dumps({**OLD, LAWS: {kind: law.to_list() for kind, law in laws.items()}}))
    identify, observe = (stored_laws(content, kind) for kind in ("identify", "observe"))
    assert identify == laws["identify"]
    assert identify is not None
    assert observe is not None
    assert observe.at(20).threshold(0.05) < identify.at(20).threshold(0.05)
    assert "galleries of every size" in describe_calibration(content)


def test_without_cameras_both_kinds_are_one() -> None:
    query, gallery = people_of(0, 20)
    laws = laws_of_people(query, gallery, cameras=False)
    assert laws["identify"] == laws["observe"]


def test_junk_and_too_few_people_give_no_law() -> None:
    query, gallery = people_of(0, 2)
    junk = Embeddings(query.vectors, np.full(len(query), -1), query.camids)
    assert laws_of_people(query, gallery) == {}
    assert laws_of_people(junk, junk) == {}


def test_the_threshold_file_of_0_1_says_what_it_is() -> None:
    golden = Path(__file__).parents[2] / "golden" / "v0_1" / "encoder" / "threshold.json"
    content = json.loads(golden.read_text("utf-8"))
    assert stored_laws(content, "identify") is None
    assert "with 2 people enrolled; no impostor law" in describe_calibration(content)


def test_a_threshold_without_laws_says_what_it_is() -> None:
    assert stored_laws(OLD, "identify") is None
    said = describe_calibration(OLD)
    assert "20 people enrolled" in said
    assert "no impostor law" in said
    assert "not calibrated" in describe_calibration({})
    with pytest.raises(EmbeddingError, match="impostor law"):
        stored_laws({**OLD, LAWS: {"identify": [{"distances": []}]}}, "identify")
    with pytest.raises(EmbeddingError, match="at least one impostor law"):
        stored_laws({**OLD, LAWS: {"identify": []}}, "identify")


def test_thresholds_and_reports_say_their_rate_at_other_sizes() -> None:
    query, gallery = people_of(0, 40)
    threshold = calibrate_on_people(query, gallery, far=0.05)
    assert threshold.expected_far == ()
    known = gallery.select(gallery.pids <= 20)
    report = pb.evaluate_open_set(query.vectors, known.vectors, query.pids, known.pids, query.camids, known.camids)
    rows = report.to_dict()["points"][1]["expected_far"]
    assert [row["identities"] for row in rows] == list(SIZES)
    assert rows[0]["far"] < report.points[1].far < rows[1]["far"]
    assert "people enrolled" in str(report)


def test_rates_at_other_sizes() -> None:
    assert far_at_size(0.01, 100, 100) == pytest.approx(0.01)
    assert far_at_size(0.01, 100, 10) == pytest.approx(0.001, rel=0.01)
    assert far_at_size(0.01, 100, 1000) == pytest.approx(1 - 0.99**10)
    assert math.isnan(far_at_size(math.nan, 10, 100))
    assert far_at_size(1.0, 10, 100) == 1.0
    assert far_at_size(0.5, 0, 100) == 0.5


def test_a_stream_of_people_does_not_run_away() -> None:
    """Calibrated enrolled against enrolled and carried to the number of people met, 60 people with six images each
    become few more identities: those that the stream makes tighten nothing."""
    _, gallery = people_of(1, 40)
    enrolled = LabelledVectors(gallery.vectors, gallery.pids, gallery.camids)
    law = fit_impostor_law(impostor_distances(enrolled, exclude_camera=False))
    _, coming = people_of(2, 60, shots=4, cameras=2, noise=0.45)
    order = np.random.default_rng(0).permutation(len(coming))

    def identities_of(threshold_of: Callable[[LabelledVectors, list[int]], float]) -> int:
        rows, people = enrolled, []
        threshold = law.threshold(0.02)
        for i in order:
            distance = math.sqrt(max(2 - 2 * float((rows.vectors @ coming.vectors[i]).max()), 0))
            if distance < threshold:
                continue
            people.append(int(coming.pids[i]))
            rows = LabelledVectors(
                np.concatenate([rows.vectors, coming.vectors[i : i + 1]]),
                np.append(rows.identities, 1000 + len(people)),
                np.append(rows.cameras, coming.camids[i]),
            )
            threshold = threshold_of(rows, people)
        return len(people)

    met = identities_of(lambda _, people: law.carried(law.identities + len(set(people))).threshold(0.02))
    made = identities_of(lambda _, people: law.carried(law.identities + len(people)).threshold(0.02))
    assert 60 <= met <= made  # counting every identity as a person feeds its own errors back
    assert met < 2 * 60
