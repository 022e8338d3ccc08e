"""Figures of a stream, counted by hand."""

from __future__ import annotations

import math

import pytest

from passerby.errors import EmbeddingError
from passerby.evaluation.open_set.assignment import evaluate_assignment


def test_a_stream_counted_by_hand() -> None:
    pids = [1, 1, 2, 1, 2, 3]
    identities = [7, 7, 8, 9, 7, 9]  # pairs of one identity: 3 of 7 (one right), 1 of 9 (wrong)
    report = evaluate_assignment(identities, pids)
    assert (report.items, report.people, report.identities, report.inflation) == (6, 3, 3, 1.0)
    assert report.pairwise_precision == pytest.approx(1 / 4)
    assert report.pairwise_recall == pytest.approx(1 / 4)  # 3 pairs of person 1, 1 of person 2
    assert report.returns == 3
    assert report.returns_recognised == pytest.approx(1 / 3)
    assert "3 people became 3 identities" in str(report)


def test_nothing_to_count() -> None:
    alone = evaluate_assignment([1], [1])
    assert math.isnan(alone.pairwise_precision)
    assert math.isnan(alone.returns_recognised)
    with pytest.raises(EmbeddingError, match="at least one"):
        evaluate_assignment([], [])
    with pytest.raises(EmbeddingError):
        evaluate_assignment([1, 2], [1])
