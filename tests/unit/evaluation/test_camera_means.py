"""Camera statistics in evaluation: off by default, reported, the same for scores, lists and figures."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.unit.embedding.cameras import place

import passerby as pb
from passerby.config import EvaluationSettings, parse_config
from passerby.embedding.camera_statistics import measure_camera_statistics
from passerby.embedding.embeddings import Embeddings
from passerby.errors import ConfigError, EmbeddingError
from passerby.evaluation.evaluate import score
from passerby.report.figure_data import as_evaluated

EVERYBODY = place(60, offset=1.5, images=1)
QUERY, GALLERY = EVERYBODY.select(EVERYBODY.camids == 0), EVERYBODY.select(EVERYBODY.camids != 0)


def test_off_by_default_and_reported_where_used() -> None:
    plain = score(QUERY, GALLERY)
    assert plain.settings["camera_statistics"] is None
    report = score(QUERY, GALLERY, camera_statistics="test")
    assert report.mAP > plain.mAP
    assert "camera_statistics test" in str(report)
    assert "3 of 3 cameras" in str(report)
    assert "transductive" in str(report)


def test_below_the_minimum_nothing_changes_and_it_is_said() -> None:
    report = score(QUERY, GALLERY, camera_statistics="test", camera_minimum=61)
    assert report.mAP == score(QUERY, GALLERY).mAP
    assert "off, 3 of 3 cameras saw fewer than 61 people" in str(report)


def test_statistics_of_a_file(tmp_path: Path) -> None:
    file = tmp_path / "camera_statistics.parquet"
    statistics = measure_camera_statistics(EVERYBODY)
    statistics.to_parquet(file)
    report = score(QUERY, GALLERY, camera_statistics=str(file))
    assert report.mAP == score(QUERY, GALLERY, camera_statistics="test").mAP
    assert "transductive" not in str(report)
    other = replace(QUERY, fingerprint="another"), replace(GALLERY, fingerprint="another")
    for settings in ({"camera_statistics": str(file)}, {"settings": EvaluationSettings(camera_statistics=str(file))}):
        with pytest.raises(EmbeddingError, match="do not fit vectors of another"):
            score(*other, **settings)


def test_junk_and_distractors_do_not_count_as_people() -> None:
    generator = np.random.default_rng(1)
    noise = generator.normal(size=(300, QUERY.vectors.shape[1])).astype(np.float32)
    nobody = Embeddings(noise, np.repeat([0, -1], 150), np.ones(300, np.int64), fingerprint=QUERY.fingerprint)
    joint = Embeddings(
        np.concatenate([GALLERY.vectors, nobody.vectors]),
        np.concatenate([GALLERY.pids, nobody.pids]),
        np.concatenate([GALLERY.camids, nobody.camids]),
        fingerprint=QUERY.fingerprint,
    )
    digest = score(QUERY, GALLERY, camera_statistics="test").notes[0].split(":")[0]
    assert score(QUERY, joint, camera_statistics="test").notes[0].split(":")[0] == digest


def test_lists_and_figures_are_of_the_same_vectors() -> None:
    ranked = pb.rank(QUERY, GALLERY, top=1, camera_statistics="test")
    assert ranked.report is not None
    hits = GALLERY.pids[ranked.indices[:, 0]] == QUERY.pids
    assert hits.mean() == pytest.approx(ranked.report.rank(1))
    shown, _ = as_evaluated(QUERY, GALLERY, ranked.report)
    assert not np.allclose(shown.vectors, QUERY.vectors)
    assert any("camera statistics" in note for note in shown.notes)


def test_a_minimum_without_a_measurement_is_refused() -> None:
    with pytest.raises(ConfigError, match="camera_minimum goes with camera_statistics"):
        parse_config({"evaluation": {"camera_minimum": 20}}, where="test")


def test_statistics_of_other_cameras(tmp_path: Path) -> None:
    file = tmp_path / "camera_statistics.parquet"
    replace(measure_camera_statistics(EVERYBODY), cameras=("0", "1", "door")).to_parquet(file)
    unknown = int((GALLERY.camids == 2).sum())
    assert f"{unknown} images of cameras that the statistics do not know" in str(
        score(QUERY, GALLERY, camera_statistics=str(file))
    )
    replace(measure_camera_statistics(EVERYBODY), cameras=("hall", "stairs", "door")).to_parquet(file)
    with pytest.raises(EmbeddingError, match="some of the cameras hall, stairs, door, found others only"):
        score(QUERY, GALLERY, camera_statistics=str(file))
