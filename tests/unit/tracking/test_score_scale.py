"""Scores of boxes on other scales than shares."""

import numpy as np
import pytest

from passerby.tracking.score_scale import ScoreScale


def test_shares_stay_what_they_are() -> None:
    scale = ScoreScale()
    scale.see([0.0, 0.4, 1.0005])  # the last as half precision rounds
    assert scale.is_share
    scores = np.array([0.2, 1.0005], np.float32)
    assert scale.certainties(scores).tolist() == pytest.approx([0.2, 1.0])
    assert scale.for_tracker(scores, None).tolist() == scores.tolist()
    assert scale.for_tracker(scores, 0.5).tolist() == scores.tolist()


def test_scores_of_another_scale_weigh_nothing_and_start_from_where_somebody_says() -> None:
    scale = ScoreScale()
    scale.see([0.5])
    scale.see(np.array([-0.7, 2.5], np.float32))
    assert not scale.is_share
    scores = np.array([-0.7, 2.5], np.float32)
    assert scale.certainties(scores).tolist() == [1, 1]
    assert scale.for_tracker(scores, None).tolist() == [1, 1]
    assert scale.for_tracker(scores, 0.0).tolist() == [-1, 1]
    assert str(scale).startswith("scores of boxes reach from -0.7 to 2.5, not from 0 to 1")


def test_a_start_beyond_shares_is_of_another_scale() -> None:
    assert ScoreScale().for_tracker(np.array([0.9, 3.0], np.float32), 2.0).tolist() == [-1, 1]
