"""What to do about an error is said in the words of the command line, too."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.contracts.galleries import TinyEncoder, people

from passerby.cli import run
from passerby.gallery.gallery import Gallery


@pytest.fixture
def picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr("passerby.cli.open_gallery._encoder", lambda *_: TinyEncoder(threshold=None))
    monkeypatch.chdir(tmp_path)
    Path("run").mkdir()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 32, 3), np.uint8)).save("a.jpg")
    return "a.jpg"


def told(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert run(list(words)) == 2
    return capsys.readouterr().err


def test_observe_says_what_is_missing_and_the_flag(picture: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = told(capsys, "observe", "new.gallery", picture, "--encoder", "run")
    assert "enrol at least 2 people" in text
    assert "--threshold" in text
    assert not Path("new.gallery").exists()


def test_another_rate_says_the_command_that_changes_it(picture: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["enroll", "old.gallery", "c", picture, "--encoder", "run"]) == 0
    text = told(capsys, "enroll", "old.gallery", "d", picture, "--encoder", "run", "--far", "0.2")
    assert "leave far (--far) out" in text
    assert "passerby gallery calibration GALLERY --far 0.2 --set-far" in text
    assert run(["gallery", "calibration", "old.gallery", "--far", "0.2", "--set-far"]) == 0
    assert run(["enroll", "old.gallery", "d", picture, "--encoder", "run", "--far", "0.2"]) == 0


def test_what_a_gallery_does_not_store_says_the_command(picture: str, capsys: pytest.CaptureFixture[str]) -> None:
    with Gallery.open("old.gallery") as gallery:
        gallery.enroll("c", vectors=people(1, 1)[0, 0])
    assert "keep-sightings GALLERY --templates N" in told(capsys, "gallery", "thin-templates", "old.gallery")
    assert run(["enroll", "new.gallery", "c", picture, "--encoder", "run"]) == 0
    text = told(capsys, "gallery", "find-sightings", "new.gallery", picture, "--encoder", "run")
    assert "passerby gallery keep-sightings GALLERY --vectors" in text


def test_a_dataset_that_is_not_the_published_one_says_the_flag(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for part in ("bounding_box_train", "query", "bounding_box_test"):
        (tmp_path / part).mkdir()
        for camera in (1, 2):
            Image.new("RGB", (32, 64)).save(tmp_path / part / f"0001_c{camera}s1_000001_00.jpg")
    data = ["--data.name", "market1501", "--data.root", str(tmp_path)]
    text = told(capsys, "embed", "hub:none", *data, "--out", str(tmp_path / "out"))
    assert "verify=False (--data.arguments verify=false) loads it all the same" in text
    text = told(capsys, "embed", "hub:none", *data, "--out", str(tmp_path / "out"), "--data.arguments", "verify=false")
    assert "unknown encoder of the hub" in text, "the data were read"
