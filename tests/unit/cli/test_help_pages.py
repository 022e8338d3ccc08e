"""`passerby COMMAND --help`: what may be given several times has dots behind it."""

from __future__ import annotations

import pytest

from passerby.cli import run


@pytest.mark.parametrize(
    ("command", "usage", "flags"),
    [
        (["identify"], "usage: passerby identify --encoder ENCODER [OPTIONS] GALLERY IMAGE...", ["--mean X..."]),
        (["enroll"], "usage: passerby enroll --encoder ENCODER [OPTIONS] GALLERY [NAME] [IMAGE...]", ["IMAGE..."]),
        (["score"], "usage: passerby score [OPTIONS] QUERY GALLERY", ["--labels FILE...", "--seed N "]),
        (["embed"], "usage: passerby embed --out FOLDER [OPTIONS] ENCODER", ["--parts CHOICE... ", "--images FOLDER "]),
    ],
)
def test_lists_have_dots(command: list[str], usage: str, flags: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*command, "--help"]) == 0
    text = capsys.readouterr().out
    assert text.splitlines()[0] == usage
    for flag in flags:
        assert f"  {flag}" in text
