"""A folder of pictures where a run or an encoder is expected."""

from __future__ import annotations

from pathlib import Path

import pytest

from passerby.cli import run


@pytest.mark.parametrize("words", [["evaluate"], ["report"], ["calibrate"], ["calibrate", "--people", "people"]])
def test_what_the_folder_lacks_is_named_before_the_data(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "people" / "ann").mkdir(parents=True)
    assert run([words[0], "people", *words[1:]]) == 2
    assert "people: holds no run (config.toml) and no encoder (encoder.json" in capsys.readouterr().err


def test_an_encoder_without_a_run_is_asked_for_data(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "encoder").mkdir()
    (tmp_path / "encoder" / "encoder.json").write_text("{}")
    for folder in (tmp_path, tmp_path / "encoder"):
        assert run(["evaluate", str(folder)]) == 2
        assert "which data?" in capsys.readouterr().err
