"""Which queries a ranking scores, and that it names those it does not."""

from typing import Any

import numpy as np
import pytest

import passerby as pb
from passerby.embedding.embeddings import Embeddings
from passerby.errors import ConfigError


def embedded(pids: list[int], camera: int, seed: int) -> Embeddings:
    people = np.random.default_rng(0).normal(size=(10, 8))
    noise = 0.05 * np.random.default_rng(seed).normal(size=(len(pids), 8))
    vectors = (people[np.asarray(pids)] + noise).astype(np.float32)
    return Embeddings(vectors=vectors, pids=np.asarray(pids), camids=np.full(len(pids), camera))


GALLERY = embedded([1, 2, 3, 4], 1, 1)


def test_queries_of_nobody_are_ranked_and_counted() -> None:
    ranked = pb.rank(embedded([1, 0, 3, 0], 0, 2), GALLERY)
    assert ranked.indices.shape == (4, 4)
    assert ranked.report is not None
    assert ranked.report.queries == 2
    assert ranked.note.startswith("2 queries without a known person")
    assert ranked.note in str(ranked)
    assert ranked.to_dict()["note"] == ranked.note


def test_all_known_has_no_note() -> None:
    assert pb.rank(embedded([1, 3], 0, 2), GALLERY).note == ""


def test_no_score_says_why() -> None:
    nobody = pb.rank(embedded([0, 0], 0, 2), GALLERY)
    assert nobody.report is None
    assert "no query's person is known" in nobody.note
    absent = pb.rank(embedded([8, 9], 0, 2), GALLERY)
    assert absent.report is None
    assert "in the gallery" in absent.note


@pytest.mark.parametrize("top", [0, -1, 2.5])
def test_so_many_candidates_there_cannot_be(top: Any) -> None:
    with pytest.raises(ConfigError, match=rf"top: expected .* at least 1, found {top}"):
        pb.rank(GALLERY, GALLERY, top=top)


def test_who_is_not_known_has_no_marks() -> None:
    lines = str(pb.rank(embedded([1, 0], -1, 2), GALLERY, top=2)).splitlines()
    assert "(person 1, camera not known)" in lines[0]
    assert [line[5] for line in lines[1:3]] == ["+", "-"]
    assert "(person not known, camera not known)" in lines[3]
    assert [line[5] for line in lines[4:6]] == [" ", " "]
