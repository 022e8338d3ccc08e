"""`passerby COMMAND --help`: what may be given several times has dots behind it."""

from __future__ import annotations

import pytest

from passerby.cli import run
from passerby.evaluation.closed_set.protocols import PROTOCOLS


@pytest.mark.parametrize(
    ("command", "usage", "flags"),
    [
        (["identify"], "usage: passerby identify --encoder ENCODER [OPTIONS] GALLERY IMAGE...", ["--mean X..."]),
        (["enroll"], "usage: passerby enroll --encoder ENCODER [OPTIONS] GALLERY [NAME] [IMAGE...]", ["IMAGE..."]),
        (["score"], "usage: passerby score [OPTIONS] QUERY GALLERY", ["--labels FILE...", "--seed N "]),
        (
            ["evaluate-tracks"],
            "usage: passerby evaluate-tracks --truth [FILM=]FILE [OPTIONS] RESULT...",
            ["--truth [FILM=]FILE... "],
        ),
        (["embed"], "usage: passerby embed --out FOLDER [OPTIONS] ENCODER", ["--parts CHOICE... ", "--images FOLDER "]),
    ],
)
def test_lists_have_dots(command: list[str], usage: str, flags: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*command, "--help"]) == 0
    text = capsys.readouterr().out
    assert text.splitlines()[0] == usage
    for flag in flags:
        assert f"  {flag}" in text


def test_choices_are_named_where_there_is_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["gallery", "keep-sightings", "--help"]) == 0
    assert "One of" not in capsys.readouterr().out, "--days takes a number, or never"
    assert run(["export", "--help"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "One of: onnx, openvino, exported_program." in text
    assert "One of: inside, outside." in text


def test_a_default_of_zero_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["demo", "--help"]) == 0
    assert "[default: 0]" in capsys.readouterr().out


def test_the_protocols_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["score", "--help"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    for name in PROTOCOLS:
        assert f" {name}" in text
