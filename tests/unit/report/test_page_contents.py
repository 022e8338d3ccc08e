"""What a report shows where, and what it leaves out."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.unit.report.test_report_page import people

from passerby.evaluation.closed_set.protocols import evaluate_embeddings
from passerby.evaluation.open_set.curves import evaluate_open_set
from passerby.report.camera_names import CameraNames
from passerby.report.figures import identity_map
from passerby.report.formatting import plain_text
from passerby.report.sections import provenance, scores
from passerby.report.sections.distance_pairs import open_set, rates_below

QUERY, GALLERY = people(10, seed=0), people(40, seed=1)


def reports() -> dict[str, object]:
    labels = (QUERY.pids, GALLERY.pids, QUERY.camids, GALLERY.camids)
    plain = evaluate_embeddings(QUERY.vectors, GALLERY.vectors, *labels)
    return {
        "plain": plain,
        "re-ranked": evaluate_embeddings(QUERY.vectors, GALLERY.vectors, *labels, rerank="k_reciprocal"),
    }


def test_settings_of_a_reranking_stand_below_the_table() -> None:
    section = scores.numbers(reports())  # type: ignore[arg-type]
    assert section.table is not None
    assert ("re-ranking", "none", "k_reciprocal") in section.table.rows
    assert max(len(cell) for row in section.table.rows for cell in row) < 30
    assert any(note.startswith("re-ranked: k_reciprocal (k1 20") for note in section.notes)


def test_the_headline_is_at_the_calibrated_threshold() -> None:
    found = evaluate_open_set(
        QUERY.vectors, GALLERY.vectors[GALLERY.pids < 4], QUERY.pids, GALLERY.pids[GALLERY.pids < 4]
    )
    tiles = {tile.name: tile for tile in scores.tiles(reports(), found, 0.6)}  # type: ignore[arg-type]
    far, rate = rates_below(found, 0.6)
    own = found.scores
    assert far == (own.nearest[own.impostor] < 0.6).mean()
    assert tiles["enrolled people recognised"].value == f"{100 * rate:.1f}\u00a0%"
    assert "calibrated threshold" in tiles["enrolled people recognised"].detail
    table = open_set(found, 0.6).table
    assert table is not None
    assert table.rows[-1][0] == "calibrated"


def test_a_line_needs_three_points(tmp_path: Path) -> None:
    def written(epochs: int) -> Path:
        rows = [{"kind": "epoch", "epoch": n, "losses": {"total": 3.0 / n}, "lr": 0.1} for n in range(1, epochs + 1)]
        path = tmp_path / f"{epochs}.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return path

    few, many = provenance.training(written(2)), provenance.training(written(3))
    assert few is not None
    assert few.table is not None
    assert few.plots == ()
    assert ("Loss, total", "3 (1), 1.5 (2)") in few.table.rows
    assert many is not None
    assert many.table is None
    assert len(many.plots) == 2


@pytest.mark.parametrize(
    ("names", "first"),
    [("0001_c{}s1_000.jpg", 1), ("cam_0{}.png", 1), ("img{}.jpg", 0), ("0001_c9s1_{}.jpg", 0)],
)
def test_cameras_are_numbered_as_the_files_number_them(names: str, first: int) -> None:
    one = replace(QUERY, paths=tuple(f"/data/{names.format(camera + 1)}" for camera in QUERY.camids.tolist()))
    cameras = CameraNames([one, one])
    assert cameras.of(2) == f"camera {2 + first}"
    assert cameras.of(-1) == "camera unknown"
    assert CameraNames([one, replace(QUERY, paths=())]).of(2) == "camera 2"


def test_empty_fields_are_dropped() -> None:
    assert plain_text({"name": "x", "notes": (), "code": None, "count": 0}) == "name x, count 0"


def test_names_on_the_map_stand_beside_the_points_and_apart() -> None:
    draw = np.random.default_rng(0)
    points, pids = draw.normal(size=(60, 2)), np.repeat(np.arange(20), 3)
    axes = identity_map(points, pids, width=9.6).axes[0]
    places = np.array([text.get_position() for text in axes.texts])
    assert sorted(text.get_text() for text in axes.texts) == sorted(map(str, range(20)))
    assert ((places[:, 0] < 0) | (places[:, 0] > 1)).all()
    for side in (places[places[:, 0] < 0], places[places[:, 0] > 1]):
        assert np.diff(np.sort(side[:, 1])).min() > 0.05
