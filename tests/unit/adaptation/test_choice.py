"""Which round is kept."""

import pytest

from passerby.adaptation.choice import best_round
from passerby.adaptation.result import Round


def rounds(scores: list[float], errors: list[float]) -> list[Round]:
    return [
        Round(number, "f", 10, 0, 100, 0, score, score, error, 1.0)
        for number, (score, error) in enumerate(zip(scores, errors, strict=True))
    ]


@pytest.mark.parametrize(
    ("scores", "errors", "kept"),
    [
        ([0.5], [0.0], 0),
        ([0.5, 0.5], [0.0, 0.0], 0),
        ([0.5, 0.4], [0.01, 0.01], 0),
        ([0.5, 0.49], [0.01, 0.01], 1),
        ([0.5, 0.6, 0.55, 0.59], [0.01] * 4, 3),
        ([0.5, 0.6, 0.4], [0.01] * 3, 1),
        # a noisy measurement does not win over a later and better one
        ([0.60, 0.708, 0.689, 0.651, 0.696], [0.015, 0.007, 0.020, 0.010, 0.008], 4),
    ],
)
def test_the_best_or_a_later_one_that_is_as_good(scores: list[float], errors: list[float], kept: int) -> None:
    assert best_round(rounds(scores, errors)).number == kept
