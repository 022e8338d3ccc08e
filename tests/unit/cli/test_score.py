"""`passerby score`: what it says about vectors that may not be what somebody meant."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from passerby.cli import run

PIDS, CAMIDS = np.arange(12) % 4 + 1, np.arange(12) // 4


def said(capsys: pytest.CaptureFixture[str], folder: Path, vectors: np.ndarray, *flags: str, **columns: object) -> str:
    np.savez(folder / "v.npz", vector=vectors, pid=PIDS, **columns)  # type: ignore[arg-type]
    assert run(["score", str(folder / "v.npz"), str(folder / "v.npz"), *flags]) == 0
    return capsys.readouterr().out


@pytest.fixture
def vectors() -> np.ndarray:
    drawn: np.ndarray = np.random.default_rng(0).normal(size=(12, 8))
    drawn /= np.linalg.norm(drawn, axis=1, keepdims=True)
    return drawn


def test_vectors_of_other_lengths_than_one_are_named(
    tmp_path: Path, vectors: np.ndarray, capsys: pytest.CaptureFixture[str]
) -> None:
    longer = vectors * np.linspace(2, 5, 12)[:, None]
    text = "lengths from 2 to 5, which count in Euclidean distances: the metric cosine (--metric cosine)"
    assert text in said(capsys, tmp_path, longer, camid=CAMIDS)
    assert "lengths" not in said(capsys, tmp_path, longer, "--metric", "cosine", camid=CAMIDS)
    assert "lengths" not in said(capsys, tmp_path, vectors, camid=CAMIDS)


def test_rows_without_a_camera_are_counted(
    tmp_path: Path, vectors: np.ndarray, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "24 of 24 rows name no camera (camid), so that pictures" in said(capsys, tmp_path, vectors)
    assert "name no camera" not in said(capsys, tmp_path, vectors, camid=CAMIDS)


def test_an_empty_person_id_is_found_in_its_file(
    tmp_path: Path, vectors: np.ndarray, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("query", "gallery"):
        np.save(tmp_path / f"{name}.npy", vectors.astype(np.float32))
        rows = [f"{pid},{camid}" for pid, camid in zip(PIDS, CAMIDS, strict=True)]
        (tmp_path / f"{name}.csv").write_text("\n".join(["pid,camid", *rows]) + "\n")
    lines = (tmp_path / "gallery.csv").read_text().split("\n")
    (tmp_path / "gallery.csv").write_text("\n".join([*lines[:4], ",0", *lines[5:]]))
    files = [str(tmp_path / name) for name in ("query.npy", "gallery.npy", "query.csv", "gallery.csv")]
    assert run(["score", *files[:2], "--labels", *files[2:]]) == 2
    message = f"{files[3]}: pid: expected integers, found nothing (or nan) in row 5 (row 1 is the header)"
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("wrong", [np.nan, np.inf, 1.5])
def test_a_person_id_that_is_no_integer_is_found_in_its_array(
    wrong: float, tmp_path: Path, vectors: np.ndarray, capsys: pytest.CaptureFixture[str]
) -> None:
    place = str(tmp_path / "v.npz")
    np.savez(place, vector=vectors, pid=np.where(np.arange(12) == 7, wrong, PIDS), camid=CAMIDS)
    assert run(["score", place, place]) == 2
    err = capsys.readouterr().err
    assert f"{place}: pid: expected integers, found" in err
    assert "in row 7 (counted from 0)" in err
