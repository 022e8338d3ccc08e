"""How many observations play impostors, and that changes leave what a new calculation finds."""

from typing import Literal

import numpy as np
import pytest

from passerby.gallery import impostor_searches
from passerby.gallery.impostor_searches import CalibrationRows
from passerby.gallery.stores.enrolled_rows import EnrolledRows

VECTORS = np.random.default_rng(0).standard_normal((400, 8)).astype(np.float32)
VECTORS /= np.linalg.norm(VECTORS, axis=1, keepdims=True)


def rows_of(ids: np.ndarray) -> EnrolledRows:
    return EnrolledRows(ids, ids // 10, ids // 5 % 3)


def read(ids: np.ndarray) -> np.ndarray:
    rows: np.ndarray = VECTORS[ids]
    return rows


def test_all_observations_play_impostors_unless_the_pairs_are_very_many(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = CalibrationRows(rows_of(np.arange(300)), {})
    assert len(whole.impostors("identify", "images", read)) == 300
    monkeypatch.setattr(impostor_searches, "MOST_PAIRS", 30 * 300 * 4)
    few = CalibrationRows(rows_of(np.arange(300)), {})
    found = few.impostors("identify", "images", read)
    assert (few.most_of_one, len(found), found.people, found.searched) == (4, 120, 30, 29)
    monkeypatch.setattr(impostor_searches, "MOST_PAIRS", 10)
    one = CalibrationRows(rows_of(np.arange(300)), {})
    assert (len(one.impostors("observe", "images", read)), len(one.impostors("observe", "tracklets", read))) == (30, 30)


@pytest.mark.parametrize("probes", ["images", "tracklets"])
def test_changes_leave_what_a_new_calculation_finds(
    probes: Literal["images", "tracklets"], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(impostor_searches, "MOST_PAIRS", 30 * 300 * 2)
    draw = np.random.default_rng(1)
    kept = CalibrationRows(rows_of(np.arange(300)), {})
    kept.impostors("identify", probes, read)
    limits = set()
    for size in (310, 290, 300, 200, 120, 250, 380):
        rows = rows_of(np.sort(draw.choice(400, size, replace=False)))
        kept = kept.updated(rows, read)
        limits.add(kept.most_of_one)
        found, fresh = (made.impostors("identify", probes, read) for made in (kept, CalibrationRows(rows, {})))
        np.testing.assert_allclose(np.sort(found.distances), np.sort(fresh.distances), rtol=1e-6)
        assert np.sort(found.identities).tolist() == np.sort(fresh.identities).tolist()
    assert len(limits) > 1
